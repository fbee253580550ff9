package upstream

import (
	"crypto/tls"
	"net/netip"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/upstream/origintest"
	"longmen/tls/client"
)

// clusterOf2 is a cluster whose endpoints speak HTTP/2.
func clusterOf2(at ...netip.AddrPort) *cluster.Config {
	c := clusterOf(at...)
	c.Protocol = cluster.HTTP2Only
	return c
}

// overTLS is a cluster of the origin that offers these protocols.
func overTLS(o *origintest.HTTP2, protocols ...string) *cluster.Config {
	c := clusterOf2(o.At)
	c.TLS = trusting(protocols...)
	return c
}

// auto is one that takes what the origin chooses.
func auto(o *origintest.HTTP2) *cluster.Config {
	c := overTLS(o, "h2", "http/1.1")
	c.Protocol = cluster.AutoProtocol
	return c
}

func hasty(c *cluster.Config) *cluster.Config {
	c.ConnectTimeout = 30 * time.Millisecond
	return c
}

// trusting is TLS that believes every server.
func trusting(protocols ...string) *client.Config {
	return &client.Config{Insecure: true, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, ALPN: protocols}
}

// asks makes a request on what was acquired.
func (u *use) asks() *asker {
	a := &asker{u, make(chan error, 1)}
	u.place.loop.Do(func() { u.place.loop.Go(a) })
	return a
}

// end waits until the response was read.
func (a *asker) end() error {
	a.u.place.Helper()
	select {
	case err := <-a.done:
		return err
	case <-time.After(patience):
		a.u.place.Fatal("no answer")
		return nil
	}
}

// many begins n streams in one turn of the loop.
func (p *place) many(n int) []*use {
	uses := make([]*use, n)
	for i := range uses {
		uses[i] = p.prepared(nil)
	}
	p.loop.Do(func() {
		for _, u := range uses {
			p.loop.Go(u)
		}
	})
	return uses
}

// served makes a request on each and gives them back.
func served(uses ...*use) {
	asks := make([]*asker, len(uses))
	for i, u := range uses {
		asks[i] = u.asks()
	}
	for i, a := range asks {
		if err := a.end(); err != nil {
			uses[i].place.Error(err)
		}
		uses[i].release()
	}
}

// shared is the connection at place i of those to the first endpoint on which
// streams may begin; nil: there are not so many.
func (p *place) sharedConn(i int) (m *http2Conn) {
	p.loop.Do(func() {
		if open := p.up.Cluster(0).pools[0].open; i < len(open) {
			m = open[i]
		}
	})
	return m
}

func arrived(t testing.TB, what string, c <-chan bool) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal(what)
	}
}
