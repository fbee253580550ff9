package upstream

import (
	"errors"
	"testing"

	"golang.org/x/net/http2"

	"longmen/gateway/cluster"
	"longmen/gateway/stream"
	"longmen/gateway/upstream/origintest"
)

func wantsUpgrade(u *use) { u.up, u.Request.Upgrade = true, []byte("websocket") }

// An upgrade waits for the endpoint's settings, which say whether HTTP/2 will do
// (RFC 8441 section 3).
func TestUpgradeWaitsForSettings(t *testing.T) {
	for name, allowed := range map[string]bool{"allowed": true, "not allowed": false} {
		t.Run(name, func(t *testing.T) {
			o := origintest.NewHTTP2(t, func(o *origintest.HTTP2) {
				o.Mute = make(chan struct{})
				if allowed {
					o.Settings = []http2.Setting{{ID: http2.SettingEnableConnectProtocol, Val: 1}}
				}
			})
			p := newPlace(t, cluster.New(clusterOf2(o.At)))
			uses := []*use{p.begin(wantsUpgrade), p.begin(wantsUpgrade)}
			p.until("they wait", func() bool {
				open := p.up.Cluster(0).pools[0].open
				return len(open) == 1 && len(open[0].curious) == 2
			})
			plain := p.acquire() // others do not wait
			close(o.Mute)
			for _, u := range uses {
				if !allowed {
					if e := u.refused(stream.UpstreamProtocolError); e.Status != 502 || !errors.Is(e, errNoUpgrade) {
						t.Error(e)
					}
					continue
				}
				if u.wait().err != nil {
					t.Fatal(u.err)
				}
				u.release()
			}
			plain.served()
			if n := o.Accepted.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// A server that never says its settings is none.
func TestNoSettings(t *testing.T) {
	o := origintest.NewHTTP2(t, func(o *origintest.HTTP2) { o.Mute = make(chan struct{}) })
	t.Cleanup(func() { close(o.Mute) })
	p := newPlace(t, cluster.New(hasty(clusterOf2(o.At))))
	if e := p.begin(wantsUpgrade).refused(stream.UpstreamConnectFailure); !errors.Is(e, errNoSettings) {
		t.Error(e)
	}
	arrived(t, "the connection does not end", o.Ended)
}

// With protocol auto an upgrade that HTTP/2 does not do goes over HTTP/1.
func TestUpgradeFallsBack(t *testing.T) {
	o := origintest.NewHTTP2(t, func(o *origintest.HTTP2) { o.TLS = origintest.SelfSigned(t, "h2", "http/1.1") })
	p := newPlace(t, cluster.New(auto(o)))
	u := p.begin(wantsUpgrade).wait()
	if u.err != nil || u.conn.h1 == nil || u.conn.Agreed().Protocol != "http/1.1" {
		t.Fatalf("%+v, %v", u.conn, u.err)
	}
	plain := p.acquire()
	if plain.conn.h2 == nil {
		t.Error("HTTP/1 although there is HTTP/2")
	}
	plain.served()
	u.release()
}

// With protocol auto each connection is what its server chose.
func TestAuto(t *testing.T) {
	o := origintest.NewHTTP2(t, func(o *origintest.HTTP2) { o.TLS = origintest.SelfSigned(t, "http/1.1") })
	p := newPlace(t, cluster.New(auto(o)))
	uses := p.many(5)
	seen := map[*Conn]bool{}
	for _, u := range uses {
		if u.wait().err != nil || u.conn.h1 == nil || seen[u.conn] {
			t.Fatal(u.err)
		}
		seen[u.conn] = true
	}
	for _, u := range uses {
		u.release()
	}
	if n := o.Accepted.Load(); n != 5 {
		t.Errorf("%d connections", n)
	}
}

// A tunnel has a connection of its own.
func TestTunnelIsNotShared(t *testing.T) {
	o := origintest.NewHTTP2(t, func(o *origintest.HTTP2) { o.TLS = origintest.SelfSigned(t, "h2") })
	p := newPlace(t, cluster.New(overTLS(o, "h2")))
	p.acquire().served()
	u := p.begin(func(u *use) { u.Request.Spliced = true }).wait()
	if u.err != nil || u.conn.h1 == nil || u.conn.Agreed().Protocol != "" {
		t.Fatalf("%+v, %v", u.conn, u.err)
	}
	p.loop.Do(func() { u.conn.Tunnel().Close() })
	u.release()
}
