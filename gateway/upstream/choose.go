package upstream

import (
	"slices"

	"longmen/gateway/cluster"
	"longmen/gateway/cluster/balance"
	"longmen/gateway/stream"
)

// A selection is one worker's balancers of a cluster.Selection. They are made when
// the first request needs them, and stay as long as their groups do: a change of one endpoint
// makes those anew that it concerns, and the others go on where they are.
type selection struct {
	of     *cluster.Selection
	groups []group
}

type group struct {
	of       *cluster.Group
	balancer balance.Balancer // nil: not made yet
}

// choosing is what a pick passes over, kept in the Cluster so that no pick
// allocates.
type choosing struct {
	request balance.Request
	group   *cluster.Group
	tried   []*cluster.Endpoint
	room    bool           // pass over endpoints without room, too,
	stream  *stream.Stream // for this stream
	shares  []float64
	exclude func(i int) bool
}

// follow makes the selection that of the host set's.
func (sel *selection) follow(of *cluster.Selection) {
	if sel.of == of {
		return
	}
	before := sel.groups
	groups := make([]group, len(of.Groups))
	for i, g := range of.Groups {
		groups[i].of = g
		switch {
		case i < len(before) && before[i].of == g:
			groups[i].balancer = before[i].balancer
		default:
			for k := range before {
				if before[k].of == g {
					groups[i].balancer = before[k].balancer
				}
			}
		}
	}
	sel.of, sel.groups = of, groups
}

// mostMatches bounds what is remembered of the labels of routes: each new configuration
// brings new ones.
const mostMatches = 1 << 12

// selection is the worker's side of what the labels of a request stand for; nil when no
// endpoint has them.
func (c *Cluster) selection(match *cluster.Match) *selection {
	if !c.divided {
		return &c.all
	}
	number, known := c.matches[match]
	if !known {
		number = c.hosts.Resolve(match)
		if len(c.matches) >= mostMatches { // many of routes that are no more
			clear(c.matches)
		}
		c.matches[match] = number
	}
	switch {
	case number < 0:
		return nil
	case number == 0:
		return &c.all
	}
	sel := c.subsets[number]
	if sel == nil {
		sel = new(selection)
		c.subsets[number] = sel
	}
	sel.follow(c.hosts.Selection(number))
	return sel
}

// choose picks an endpoint of the selection that is not among tried, or nil. If
// room is set, it must have room for the stream.
func (c *Cluster) choose(s *stream.Stream, sel *selection, pick *Pick, tried []*cluster.Endpoint, room bool) *cluster.Endpoint {
	var r *balance.Request
	if pick.HasHash || len(tried) > 0 || room {
		r = &c.choosing.request
		r.Hash, r.HasHash, r.Exclude = pick.Hash, pick.HasHash, nil
		if len(tried) > 0 || room {
			r.Exclude = c.choosing.exclude
			c.choosing.tried, c.choosing.room, c.choosing.stream = tried, room, s
			defer c.chosen()
		}
	}
	first := 0
	if len(sel.groups) != 1 {
		if first = c.groupOf(sel, pick, tried); first < 0 {
			return nil
		}
	}
	if e := c.chooseIn(sel, first, r); e != nil || r == nil || len(sel.groups) == 1 {
		return e
	}
	// All of the group were tried: the others, those that get requests first.
	for _, share := range [...]bool{true, false} {
		for i := range sel.groups {
			if i != first && sel.of.Shares[i] > 0 == share {
				if e := c.chooseIn(sel, i, r); e != nil {
					return e
				}
			}
		}
	}
	return nil
}

// chosen forgets the stream's.
func (c *Cluster) chosen() { c.choosing.tried, c.choosing.stream = nil, nil }

// groupOf chooses a group by the groups' shares; -1 when none has any.
func (c *Cluster) groupOf(sel *selection, pick *Pick, tried []*cluster.Endpoint) int {
	hashes := pick.HasHash && c.config.Balance.Hashes()
	if n := pick.OtherPriorities; n > 0 && len(tried) >= n {
		before := tried[:len(tried)-len(tried)%n]
		without := func(priority int) bool {
			return slices.ContainsFunc(before, func(e *cluster.Endpoint) bool { return e.Config().Priority == priority })
		}
		if shares, ok := sel.of.Without(without, c.choosing.shares); ok {
			c.choosing.shares = shares
			return sel.of.Among(shares, c.random(), pick.Hash, hashes)
		}
	}
	if hashes {
		return sel.of.Hashed(pick.Hash)
	}
	return sel.of.At(c.random())
}

// random is the next of numbers that are spread evenly over [0, 2^32), more so than random
// ones: the golden ratio's multiples.
func (c *Cluster) random() uint32 {
	c.turn += 0x9e3779b97f4a7c15
	return uint32(c.turn >> 32)
}

// chooseIn picks an endpoint of one group, or nil.
func (c *Cluster) chooseIn(sel *selection, i int, r *balance.Request) *cluster.Endpoint {
	g := &sel.groups[i]
	if g.balancer == nil {
		g.balancer = c.balancer(g.of)
	}
	c.choosing.group = g.of
	if k := g.balancer.Pick(r); k >= 0 {
		return g.of.Usable.At(k)
	}
	return nil
}

// excluded tells whether an endpoint of the group must not be picked.
func (c *Cluster) excluded(i int) bool {
	e := c.choosing.group.Usable.At(i)
	return slices.Contains(c.choosing.tried, e) || c.choosing.room && c.pool(e).crowded(c.choosing.stream)
}

// balancer makes the balancer of a group.
func (c *Cluster) balancer(g *cluster.Group) balance.Balancer {
	config := c.config
	return balance.New(config.Balance, balance.Options{
		Settings:          config.Balancing,
		Table:             g.Table,
		Weights:           g.Weights,
		Choices:           config.Choices,
		HashBalanceFactor: config.HashBalanceFactor,
		Load:              func(i int) int64 { return g.Usable.At(i).Active.Load() },
		Total:             func() int64 { return int64(float64(c.shared.Active()) * c.shareOf(g)) },
		Latency:           func(i int) *balance.Latency { return &g.Usable.At(i).Latency },
		Now:               c.worker.now,
		Seed:              c.worker.seed ^ c.hosts.Version<<32 ^ uint64(g.Priority)<<16 ^ uint64(g.Usable.Len()),
	})
}

// shareOf is the group's part of the requests to the cluster.
func (c *Cluster) shareOf(g *cluster.Group) float64 {
	for i := range c.all.groups {
		if c.all.groups[i].of == g {
			return c.all.of.Shares[i]
		}
	}
	return float64(g.Usable.Len()) / float64(max(len(c.hosts.Endpoints), 1)) // a subset's
}
