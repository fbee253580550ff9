package upstream

import (
	"net/netip"
	"testing"

	"longmen/gateway/cluster"
	"longmen/gateway/ledger"
	"longmen/gateway/stream"
	"longmen/gateway/upstream/origintest"
)

// holdings is what the worker says of an address; the first cluster has the
// endpoint, if it is there.
func (p *place) holdings(at netip.AddrPort, watch bool) (all []ledger.Holding) {
	p.loop.Do(func() {
		var places []Place
		for slot, c := range p.shared {
			for _, e := range c.Hosts().Endpoints {
				if e.Address() == at {
					places = append(places, Place{slot, e})
				}
			}
		}
		all = p.up.Holdings(at, places, watch)
	})
	return all
}

// replaced gives the worker another version of its cluster.
func (p *place) replaced(config *cluster.Config) {
	p.Helper()
	next := cluster.New(config)
	next.Inherit(p.shared[0])
	p.shared[0] = next
	p.loop.Do(func() { p.up.Adopt([]*cluster.Cluster{next}) })
}

// An account holds streams and connections of both versions of HTTP until they end,
// also when the cluster does not have the endpoint any more.
func TestAccount(t *testing.T) {
	one, two := newOrigin(t, ""), origintest.NewHTTP2(t, nil)
	for name, test := range map[string]struct {
		at     netip.AddrPort
		config func(...netip.AddrPort) *cluster.Config
		conns  int
	}{
		"HTTP/1": {one.At, clusterOf, 2},
		"HTTP/2": {two.At, clusterOf2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, cluster.New(test.config(test.at)))
			if h := p.holdings(test.at, false); len(h) != 1 || h[0] != (ledger.Holding{Cluster: "c", Hosts: 1, Pickable: true}) {
				t.Fatalf("%+v, before there was anything", h)
			}
			a, b := p.acquire(), p.acquire()
			h := p.holdings(test.at, false)
			if len(h) != 1 || h[0].Streams != 2 || h[0].Connections != test.conns || h[0].Idle != 0 || !h[0].Pickable || h[0].Oldest < 0 {
				t.Fatalf("%+v", h)
			}
			a.served()
			if h := p.holdings(test.at, false)[0]; h.Streams != 1 || h.Connections != test.conns || h.Idle != test.conns-1 {
				t.Errorf("%+v, after one of two", h)
			}
			vacated := make(chan netip.AddrPort, 10)
			p.loop.Do(func() { p.up.Vacated = func(at netip.AddrPort) { vacated <- at } })
			p.replaced(test.config(origintest.ClosedPort(t)))
			h = p.holdings(test.at, true)
			if len(h) != 1 || h[0].Streams != 1 || h[0].Pickable || h[0].Connections != 1 || h[0].Hosts != 2 {
				t.Errorf("%+v, when the endpoint is gone", h)
			}
			if len(vacated) != 0 {
				t.Error("vacated too soon")
			}
			b.served()
			if len(vacated) != 1 || <-vacated != test.at {
				t.Error("nobody was told that the last stream has left")
			}
			if h := p.holdings(test.at, true); len(h) != 0 {
				t.Errorf("%+v, in the end", h)
			}
		})
	}
}

// A stream that is on its way to an endpoint is there.
func TestAccountOfDials(t *testing.T) {
	for name, test := range map[string]struct {
		config func(...netip.AddrPort) *cluster.Config
		left   int // connections in the making, when the stream is not interested any more
	}{"HTTP/1": {clusterOf, 0}, "HTTP/2": {clusterOf2, 1}} {
		t.Run(name, func(t *testing.T) {
			deaf := origintest.DeafPort(t)
			p := newPlace(t, cluster.New(test.config(deaf)))
			u := p.begin(nil)
			if h := p.holdings(deaf, false); len(h) != 1 || h[0].Streams != 1 || h[0].Connections != 1 {
				t.Errorf("%+v", h)
			}
			p.loop.Do(func() { u.Abort(&stream.Error{}) })
			if u.wait().err == nil {
				t.Fatal("connected")
			}
			if h := p.holdings(deaf, false); len(h) != 1 || h[0].Streams != 0 || h[0].Connections != test.left {
				t.Errorf("%+v, afterwards", h)
			}
		})
	}
}

// An endpoint that begins to drain between a stream's choice and its dial gets
// nothing: who was told that it is gone was told the truth.
func TestChoiceOfWhatDrains(t *testing.T) {
	first, second := newOrigin(t, ""), newOrigin(t, "")
	p := newPlace(t, cluster.New(clusterOf(first.At)))
	u := p.prepared(nil)
	p.loop.Do(func() {
		var conn *Conn
		if conn, u.choice = p.up.Cluster(0).AcquireIdle(&u.Stream, nil, &u.tried); conn != nil || u.choice.pool == nil {
			t.Error("a connection, or no choice")
		}
	})
	config := clusterOf(first.At, second.At)
	config.Endpoints[0].Draining = true
	p.replaced(config)
	if h := p.holdings(first.At, false); len(h) != 1 || h[0].Pickable || h[0].Streams != 0 {
		t.Fatalf("%+v", h)
	}
	p.loop.Do(func() { p.loop.Go(u) })
	u.wait()
	if u.err != nil || u.conn.Endpoint().Address() != second.At {
		t.Fatalf("%v", u.err)
	}
	u.served()
	if n := first.Accepted.Load(); n != 0 {
		t.Errorf("%d connections to what drains", n)
	}
}

// Connections to the address that an endpoint had before are used on, and count
// there.
func TestAccountOfAnAddressBefore(t *testing.T) {
	o := newOrigin(t, "")
	p := newPlace(t, cluster.New(clusterOf(o.At)))
	p.acquire().served()
	before := netip.MustParseAddrPort("192.0.2.1:80")
	p.loop.Do(func() { // as if LogicalDNS had said so
		a := p.up.Cluster(0).pools[0].account
		p.up.unlist(a)
		a.address = before
		p.up.accounts[before] = append(p.up.accounts[before], a)
	})
	u := p.acquire()
	if h := p.holdings(before, false); len(h) != 1 || h[0].Streams != 1 || !h[0].Pickable {
		t.Errorf("%+v", h)
	}
	other := p.acquire() // a new connection
	if h := p.holdings(o.At, false); len(h) != 1 || h[0].Streams != 1 || h[0].Connections != 1 {
		t.Errorf("%+v, at the address of now", h)
	}
	u.served()
	if h := p.holdings(before, false); len(h) != 1 || h[0].Streams != 0 || !h[0].Pickable || h[0].Idle != 1 {
		t.Errorf("%+v, with an idle connection", h)
	}
	p.loop.Do(func() { p.up.Cluster(0).pools[0].idle.discard() })
	if h := p.holdings(before, false); len(h) != 0 {
		t.Errorf("%+v, without a connection", h)
	}
	other.served()
}
