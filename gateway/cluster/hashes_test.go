package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"longmen/gateway/cluster/balance"
)

// hashedTo is where each of some hashes goes.
func hashedTo(c *Cluster, n int) []string {
	g := c.Hosts().All.Groups[0]
	b := balance.New(c.config.Balance, balance.Options{Table: g.Table, Weights: g.Weights})
	all := make([]string, n)
	for i := range all {
		r := balance.Request{Hash: balance.HashString(fmt.Sprint(i)), HasHash: true}
		all[i] = g.Usable.At(b.Pick(&r)).String()
	}
	return all
}

// However the endpoints came to be up or down, hashes go where they go in a cluster that begins so; and
// while some are down, all others' hashes stay where they are.
func TestHashesDoNotMove(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for round := range 12 {
		config := static(numbered(2 + random.IntN(300))...)
		config.Balance = []Balance{RingHash, Maglev}[round%2]
		config.Balancing.Maglev.TableSize = 4099
		if round%3 == 0 {
			for i := range config.Endpoints {
				config.Endpoints[i].Weight = 1 + random.Uint32N(3)
			}
		}
		c := made(config)
		const n = 500
		before := hashedTo(c, n)
		for range 15 {
			for range 1 + random.IntN(4) {
				c.setHealth(c.order[random.IntN(len(c.order))], random.IntN(3) > 0)
			}
			if c.publish(); c.Hosts().All.Groups[0].Usable.Len() == 0 {
				continue
			}
			up := map[string]bool{}
			for _, e := range c.order {
				up[e.String()] = e.Healthy()
			}
			for i, at := range hashedTo(c, n) {
				if at != before[i] && up[before[i]] || !up[at] {
					t.Fatalf("round %d: hash %d of %s, which is up: %v, goes to %s, which is up: %v", round, i, before[i], up[before[i]], at, up[at])
				}
			}
		}
		fresh := made(config)
		for i, e := range fresh.order {
			fresh.setHealth(e, c.order[i].Healthy())
		}
		if fresh.publish(); c.Hosts().All.Groups[0].Usable.Len() > len(c.order)/4 {
			expect(t, "hashes", fmt.Sprint(hashedTo(c, n)), fmt.Sprint(hashedTo(fresh, n)))
		}
	}
}

// An endpoint that the configuration has no more is not in the table either.
func TestHashesFollowTheMembers(t *testing.T) {
	config := static(numbered(20)...)
	config.Balance = Maglev
	c := made(config)
	c.setHealth(c.order[3], false)
	c.publish()
	less := static(numbered(19)...)
	less.Balance = Maglev
	next := made(less)
	next.Inherit(c)
	next.setHealth(next.order[3], true)
	next.publish()
	expect(t, "hashes", fmt.Sprint(hashedTo(next, 300)), fmt.Sprint(hashedTo(made(less), 300)))
}

// In panic hashes go where they went when all were up.
func TestHashesInPanic(t *testing.T) {
	for _, weight := range []uint32{1, 2} {
		config := static(numbered(40)...)
		config.Balance, config.PanicThreshold = Maglev, 50
		config.Endpoints[7].Weight = weight
		c := made(config)
		before := hashedTo(c, 300)
		for _, e := range c.order[5:] {
			c.setHealth(e, false)
		}
		if c.publish(); !c.Hosts().Panic {
			t.Fatal("no panic")
		}
		expect(t, "hashes", fmt.Sprint(hashedTo(c, 300)), fmt.Sprint(before))
	}
}
