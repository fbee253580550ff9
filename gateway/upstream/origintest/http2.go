package origintest

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
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// HTTP2 is an endpoint that speaks HTTP/2, frame by frame as the test says.
type HTTP2 struct {
	*Origin
	Settings []http2.Setting
	Mute     chan struct{} // if not nil: settings are said when it is closed
	Hold     bool          // requests are answered by the test, which takes them by Next
	Do       func(k *Call) // if not nil: called for each request, by its connection's goroutine
	TLS      *tls.Config
	calls    chan *Call // when Hold
	Ended    chan bool  // one for each connection that has ended
	Goodbyes chan bool  // one for each GOAWAY that came
}

// NewHTTP2 makes one; edit, if not nil, sees it before it serves.
func NewHTTP2(t testing.TB, edit func(*HTTP2)) *HTTP2 {
	t.Helper()
	o := &HTTP2{calls: make(chan *Call, 10_000), Ended: make(chan bool, 1000), Goodbyes: make(chan bool, 1000)}
	if edit != nil {
		edit(o)
	}
	o.Origin = New(t, o.serve)
	return o
}

// peer is one connection of an HTTP2.
type peer struct {
	net.Conn
	mu     sync.Mutex // of what is written
	framer *http2.Framer
	hpack  *hpack.Encoder
	block  bytes.Buffer
}

// Call is a request that came: whole, or the beginning of a tunnel.
type Call struct {
	*peer
	Head *http2.MetaHeadersFrame
	ID   uint32
	Body []byte
	Data chan []byte // of a tunnel: what comes; closed at its end
}

func (o *HTTP2) serve(c net.Conn, _ int) {
	defer func() { c.Close(); o.Ended <- true }()
	if o.TLS != nil {
		secure := tls.Server(c, o.TLS)
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
	greet := func() { p.say(func() { p.framer.WriteSettings(o.Settings...) }) }
	if o.Mute == nil {
		greet()
	} else {
		go func() { <-o.Mute; greet() }()
	}
	coming := map[uint32]*Call{}
	for {
		frame, err := p.framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() && o.Mute == nil {
				p.say(func() { p.framer.WriteSettingsAck() })
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				p.say(func() { p.framer.WritePing(true, f.Data) })
			}
		case *http2.GoAwayFrame:
			o.Goodbyes <- true
		case *http2.MetaHeadersFrame:
			k := &Call{peer: p, Head: f, ID: f.StreamID}
			switch {
			case f.PseudoValue("method") == "CONNECT":
				k.Data = make(chan []byte, 1000)
				coming[k.ID] = k
				o.came(k)
			case f.StreamEnded():
				o.came(k)
			default:
				coming[k.ID] = k
			}
		case *http2.DataFrame:
			if n := uint32(f.Length); n > 0 {
				p.say(func() {
					p.framer.WriteWindowUpdate(0, n)
					if !f.StreamEnded() {
						p.framer.WriteWindowUpdate(f.StreamID, n)
					}
				})
			}
			if k := coming[f.StreamID]; k != nil && k.take(f) {
				delete(coming, k.ID)
				if k.Data == nil {
					o.came(k)
				}
			}
		}
	}
}

// take adds content, and reports whether it was the last.
func (k *Call) take(f *http2.DataFrame) (last bool) {
	switch {
	case k.Data == nil:
		k.Body = append(k.Body, f.Data()...)
	case len(f.Data()) > 0:
		k.Data <- bytes.Clone(f.Data())
	}
	if k.Data != nil && f.StreamEnded() {
		close(k.Data)
	}
	return f.StreamEnded()
}

func (o *HTTP2) came(k *Call) {
	switch {
	case o.Hold:
		o.calls <- k
	case o.Do != nil:
		o.Do(k)
	default:
		k.Answer()
	}
}

func (p *peer) say(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// Answer answers the request.
func (k *Call) Answer() {
	k.say(func() {
		k.head("200")
		k.framer.WriteData(k.ID, true, []byte("hello"))
	})
}

// Accept makes the request a tunnel.
func (k *Call) Accept() { k.say(func() { k.head("200") }) }

// Send sends content, and the end of the stream.
func (k *Call) Send(p string, end bool) {
	k.say(func() { k.framer.WriteData(k.ID, end, []byte(p)) })
}

// Begin sends the head and n bytes of a response, which is not complete. The
// client's windows must have room for them.
func (k *Call) Begin(n int) {
	k.say(func() {
		k.head("200")
		for piece := make([]byte, 16<<10); n > 0; n -= len(piece) {
			k.framer.WriteData(k.ID, false, piece[:min(n, len(piece))])
		}
	})
}

func (k *Call) head(status string) {
	k.block.Reset()
	k.hpack.WriteField(hpack.HeaderField{Name: ":status", Value: status})
	k.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: k.ID, BlockFragment: k.block.Bytes(), EndHeaders: true})
}

// Reset resets the stream.
func (k *Call) Reset(code http2.ErrCode) {
	k.say(func() { k.framer.WriteRSTStream(k.ID, code) })
}

// GoAway says GOAWAY: the streams above last were not processed.
func (p *peer) GoAway(last uint32) {
	p.say(func() { p.framer.WriteGoAway(last, http2.ErrCodeNo, nil) })
}

// Next is the next request that came.
func (o *HTTP2) Next(t testing.TB) *Call {
	t.Helper()
	select {
	case k := <-o.calls:
		return k
	case <-time.After(10 * time.Second):
		t.Fatal("no request comes")
		return nil
	}
}

// SelfSigned is a server's configuration that chooses one of these protocols.
func SelfSigned(t testing.TB, protocols ...string) *tls.Config {
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
