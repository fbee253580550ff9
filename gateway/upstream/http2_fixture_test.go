package upstream

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"longmen/gateway/cluster"
	"longmen/gateway/upstream/origintest"
	"longmen/tls/client"
)

// origin2 is an endpoint that speaks HTTP/2, frame by frame as the test says.
type origin2 struct {
	*origintest.Origin
	settings []http2.Setting
	mute     chan struct{} // if not nil: settings are said when it is closed
	hold     bool          // requests are answered by the test
	tls      *tls.Config
	calls    chan *call // when hold
	ended    chan bool  // one for each connection that has ended
	goodbyes chan bool  // one for each GOAWAY that came
}

func newOrigin2(t testing.TB, edit func(*origin2)) *origin2 {
	t.Helper()
	o := &origin2{calls: make(chan *call, 10_000), ended: make(chan bool, 1000), goodbyes: make(chan bool, 1000)}
	if edit != nil {
		edit(o)
	}
	o.Origin = origintest.New(t, o.serve)
	return o
}

// peer is one connection of an origin2.
type peer struct {
	net.Conn
	mu     sync.Mutex // of what is written
	framer *http2.Framer
	hpack  *hpack.Encoder
	block  bytes.Buffer
}

// call is a request that came.
type call struct {
	*peer
	head *http2.MetaHeadersFrame
	id   uint32
}

func (o *origin2) serve(c net.Conn, _ int) {
	defer func() { c.Close(); o.ended <- true }()
	if o.tls != nil {
		secure := tls.Server(c, o.tls)
		if secure.Handshake() != nil {
			return
		}
		c = secure
	}
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil || string(preface) != http2.ClientPreface {
		return
	}
	p := &peer{Conn: c, framer: http2.NewFramer(c, c)}
	p.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.hpack = hpack.NewEncoder(&p.block)
	greet := func() { p.say(func() { p.framer.WriteSettings(o.settings...) }) }
	if o.mute == nil {
		greet()
	} else {
		go func() { <-o.mute; greet() }()
	}
	for {
		frame, err := p.framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() && o.mute == nil {
				p.say(func() { p.framer.WriteSettingsAck() })
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				p.say(func() { p.framer.WritePing(true, f.Data) })
			}
		case *http2.GoAwayFrame:
			o.goodbyes <- true
		case *http2.MetaHeadersFrame:
			k := &call{p, f, f.StreamID}
			if o.hold {
				o.calls <- k
			} else {
				k.answer()
			}
		}
	}
}

func (p *peer) say(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// answer answers the request.
func (k *call) answer() {
	k.say(func() {
		k.block.Reset()
		k.hpack.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
		k.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: k.id, BlockFragment: k.block.Bytes(), EndHeaders: true})
		k.framer.WriteData(k.id, true, []byte("hello"))
	})
}

func (k *call) reset(code http2.ErrCode) {
	k.say(func() { k.framer.WriteRSTStream(k.id, code) })
}

func (p *peer) goAway(last uint32) {
	p.say(func() { p.framer.WriteGoAway(last, http2.ErrCodeNo, nil) })
}

// next is the next request that came.
func (o *origin2) next(t testing.TB) *call {
	t.Helper()
	select {
	case k := <-o.calls:
		return k
	case <-time.After(patience):
		t.Fatal("no request comes")
		return nil
	}
}

// clusterOf2 is a cluster whose endpoints speak HTTP/2.
func clusterOf2(at ...netip.AddrPort) *cluster.Config {
	c := clusterOf(at...)
	c.Protocol = cluster.HTTP2Only
	return c
}

// overTLS is a cluster of the origin that offers these protocols.
func overTLS(o *origin2, protocols ...string) *cluster.Config {
	c := clusterOf2(o.At)
	c.TLS = trusting(protocols...)
	return c
}

// auto is one that takes what the origin chooses.
func auto(o *origin2) *cluster.Config {
	c := overTLS(o, "h2", "http/1.1")
	c.Protocol = cluster.AutoProtocol
	return c
}

func hasty(c *cluster.Config) *cluster.Config {
	c.ConnectTimeout = 30 * time.Millisecond
	return c
}

// selfSigned is a server's configuration that chooses one of these protocols.
func selfSigned(t testing.TB, protocols ...string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: protocols}
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
