package upstream

import (
	"net/netip"
	"testing"

	"longmen/gateway/cluster"
	"longmen/gateway/standby"
	"longmen/gateway/stream"
)

// chain is a worker's clusters "c", "two" and "three", of which the first has so many of ten
// endpoints down, and fails over to the others.
func chain(t *testing.T, down int, edit func(c *cluster.Config)) *place {
	c := clusterOf()
	for i := range 10 {
		c.Endpoints = append(c.Endpoints, cluster.EndpointConfig{Host: "10.0.0.1", Port: uint16(i + 1), Weight: 1, Down: i < down})
	}
	c.Failover = []string{"two", "three"}
	if edit != nil {
		edit(c)
	}
	two, three := clusterOf(netip.MustParseAddrPort("10.0.0.2:1")), clusterOf(netip.MustParseAddrPort("10.0.0.3:1"))
	two.Name, three.Name, two.Peer, three.Peer = "two", "three", "dc2", "dc3"
	return newPlace(t, cluster.New(c), cluster.New(two), cluster.New(three))
}

// goes counts where n requests to the first cluster go.
func (p *place) goes(n int, session netip.AddrPort, loop string) (to map[string]int, why Sent) {
	to = map[string]int{}
	p.loop.Do(func() {
		var s stream.Stream
		if loop != "" {
			s.Request.Header.AddString("cdn-loop", loop)
		}
		for range n {
			var c *Cluster
			c, why = p.up.Cluster(0).Onward(&s, Client{Session: session})
			to[c.Config().Name]++
		}
	})
	return to, why
}

// Of every hundred requests exactly the share of each cluster goes there.
func TestSharesOfFailoverAreExact(t *testing.T) {
	none := netip.AddrPort{}
	for down, want := range map[int]int{0: 100, 2: 100, 3: 98, 5: 70, 8: 28, 9: 14, 10: 0} {
		p := chain(t, down, nil)
		for range 3 {
			if to, _ := p.goes(100, none, ""); to["c"] != want || to["two"] != 100-want || to["three"] != 0 {
				t.Errorf("%d down: %v, want %d", down, to, want)
			}
		}
		if to, _ := p.goes(100, none, "dc2"); to["two"] != 0 || to["three"] != 100-want {
			t.Errorf("%d down, by way of dc2: %v", down, to)
		}
		stays := map[bool]int{true: 100, false: 0}[down < 10]
		if to, _ := p.goes(100, none, "x, dc9;sent=failover"); to["c"] != stays {
			t.Errorf("%d down, failed over to here: %v", down, to)
		}
		if to, _ := p.goes(100, none, "dc2, dc3;sent=failover"); to["c"] != 100 {
			t.Errorf("%d down, and everywhere before: %v", down, to)
		}
	}
}

// A request goes where its client's session is, as long as the endpoint there is well.
func TestSessionsStay(t *testing.T) {
	p := chain(t, 5, nil)
	for at, want := range map[string]string{"10.0.0.1:9": "c", "10.0.0.2:1": "two", "10.0.0.3:1": "three"} {
		if to, _ := p.goes(100, netip.MustParseAddrPort(at), ""); to[want] != 100 {
			t.Errorf("session at %s: %v", at, to)
		}
	}
	for _, at := range []string{"10.0.0.1:2", "10.9.9.9:9"} { // down, and unknown
		if to, _ := p.goes(100, netip.MustParseAddrPort(at), ""); to["c"] != 70 || to["two"] != 30 {
			t.Errorf("session at %s: %v", at, to)
		}
	}
	q := chain(t, 0, func(c *cluster.Config) {
		c.Failover = nil
		c.Standby = &standby.Config{State: standby.Standby, Local: 50, Forward: 50, To: "two"}
	})
	if to, why := q.goes(100, netip.MustParseAddrPort("10.0.0.2:1"), ""); to["two"] != 100 || why != SentStandby {
		t.Errorf("a session at the active side: %v", to)
	}
	if to, _ := q.goes(100, netip.MustParseAddrPort("10.0.0.1:2"), ""); to["c"] != 50 {
		t.Errorf("a session at the side in standby: %v", to)
	}
}

// A hashed client goes one way. As endpoints die, those that failed over stay there, and
// the shares are about what they are for all requests.
func TestHashedClientsFailOverForGood(t *testing.T) {
	const clients = 2000
	var gone [clients]bool
	for down, want := range map[int]int{0: 100, 5: 70, 8: 28} {
		p := chain(t, down, nil)
		here := 0
		p.loop.Do(func() {
			var s stream.Stream
			for i := range clients {
				client := Client{Hash: uint64(i), HasHash: true}
				to, _ := p.up.Cluster(0).Onward(&s, client)
				if again, _ := p.up.Cluster(0).Onward(&s, client); again != to {
					t.Errorf("client %d goes to and fro", i)
				}
				if to == p.up.Cluster(0) {
					here++
				}
			}
		})
		if percent := here * 100 / clients; percent < want-3 || percent > want+3 {
			t.Errorf("%d down: %d %% stay, about %d is right", down, percent, want)
		}
	}
	for _, down := range []int{3, 4, 5, 6, 7, 8, 9} {
		p := chain(t, down, nil)
		p.loop.Do(func() {
			var s stream.Stream
			for i := range clients {
				to, _ := p.up.Cluster(0).Onward(&s, Client{Hash: uint64(i), HasHash: true})
				if away := to != p.up.Cluster(0); gone[i] && !away {
					t.Errorf("client %d came back when one more was down", i)
				} else {
					gone[i] = away
				}
			}
		})
	}
}

// A new snapshot changes where requests go, and clusters that are gone get none.
func TestOnwardFollowsSnapshots(t *testing.T) {
	p := chain(t, 10, nil)
	none := netip.AddrPort{}
	if to, _ := p.goes(10, none, ""); to["two"] != 10 {
		t.Errorf("%v", to)
	}
	p.loop.Do(func() { p.up.Adopt([]*cluster.Cluster{p.shared[0], nil, p.shared[2]}) })
	if to, _ := p.goes(10, none, ""); to["three"] != 10 {
		t.Errorf("without two: %v", to)
	}
	p.loop.Do(func() { p.up.Adopt([]*cluster.Cluster{p.shared[0]}) })
	if to, _ := p.goes(10, none, ""); to["c"] != 10 {
		t.Errorf("alone: %v", to)
	}
}

func BenchmarkOnward(b *testing.B) {
	for _, test := range []struct {
		name     string
		failover bool
	}{{"off", false}, {"failover", true}} {
		b.Run(test.name, func(b *testing.B) {
			c, two := clusterOf(netip.MustParseAddrPort("10.0.0.1:1")), clusterOf(netip.MustParseAddrPort("10.0.0.2:1"))
			two.Name = "two"
			if test.failover {
				c.Failover = []string{"two"}
			}
			p := newPlace(b, cluster.New(c), cluster.New(two))
			p.loop.Do(func() {
				var s stream.Stream
				from := p.up.Cluster(0)
				for b.Loop() {
					from.Onward(&s, Client{})
				}
			})
		})
	}
}
