package scenario

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"longmen/conformance/harness"
)

// pressure is many clients that ask all the time, of either version, at both
// clusters; each checks what comes back.
type pressure struct {
	stop     atomic.Bool
	refused  atomic.Bool // connections that are refused are no faults from now on
	requests atomic.Int64
	done     sync.WaitGroup

	mu     sync.Mutex
	faults []string
}

func press(t testing.TB, g *gateway) *pressure {
	p := &pressure{}
	for version := 1; version <= 2; version++ {
		for range 2 {
			client := speaker(t, version)
			for i := range 6 {
				url := fmt.Sprintf("http://%s/%d", g.Addr, i%2+1)
				if version == 1 {
					// Without content: an idle connection may end as the request goes
					// out, and only such requests are repeated by the client.
					p.done.Go(func() {
						p.ask(func() (*http.Response, error) { return client.Get(url + "/any") }, []byte(fmt.Sprintf("origin /%d/any", i%2+1)))
					})
					continue
				}
				p.done.Go(func() {
					sent := randomBytes(i * i * 3000)
					p.ask(func() (*http.Response, error) { return client.Post(url+"/echo", "", bytes.NewReader(sent)) }, sent)
				})
			}
		}
	}
	return p
}

func (p *pressure) ask(request func() (*http.Response, error), want []byte) {
	for !p.stop.Load() {
		p.requests.Add(1)
		res, err := request()
		var got []byte
		if err == nil {
			got, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		switch {
		case err != nil && p.refused.Load() && errors.Is(err, syscall.ECONNREFUSED):
			return
		case err != nil && strings.Contains(err.Error(), "force closed via ClientConn.Close"):
			// net/http has closed a connection of its own accord: of two that it
			// had opened it keeps one.
		case err != nil:
			p.fault(err.Error())
			return
		case res.StatusCode != 200 || !bytes.Equal(got, want):
			p.fault(fmt.Sprintf("%s: HTTP/%d, %d, %d bytes of %d, %s", res.Request.URL, res.ProtoMajor, res.StatusCode, len(got), len(want), differs(got, want)))
			return
		}
	}
}

func (p *pressure) fault(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, what)
}

func (p *pressure) end(t *testing.T) {
	t.Helper()
	p.stop.Store(true)
	p.done.Wait()
	t.Logf("%d requests", p.requests.Load())
	for _, f := range p.faults[:min(5, len(p.faults))] {
		t.Errorf("under way: %s", f)
	}
}

// TestHTTP2Drain ends a gateway under load: what it has taken it answers, and
// what it has not it leaves to the clients to ask again.
func TestHTTP2Drain(t *testing.T) {
	t.Parallel()
	rounds := 2
	if harness.Full() {
		rounds = 20
	}
	for range rounds {
		o := startBoth(t)
		g := serve(t, map[string]string{"o": o.addr}, pairs)
		p := press(t, g)
		for p.requests.Load() < 200 {
			time.Sleep(time.Millisecond)
		}
		p.refused.Store(true)
		g.signal(syscall.SIGTERM)
		if code := g.exit(); code != 0 {
			t.Errorf("exit code %d\n%s", code, g.out)
		}
		p.done.Wait() // each ends with the first connection that is refused
		p.end(t)
	}
}

// TestHTTP2Reload changes the configuration under load, clusters and their
// protocols included.
func TestHTTP2Reload(t *testing.T) {
	t.Parallel()
	reloads := 20
	if harness.Full() {
		reloads = 300
	}
	o := startBoth(t)
	versions := func(n int) string {
		text := strings.Replace(pairs, "      rules:\n", fmt.Sprintf("      rules:\n        - {match: {path: /version}, respond: {status: 200, body: \"v%d\"}}\n", n), 1)
		text = strings.Replace(text, "half_close: abort", fmt.Sprintf("half_close: abort, http2: {max_streams: %d}", 100+n%3), 1)
		if n%4 == 3 { // the cluster changes its protocol
			return strings.Replace(text, "protocol: h2", "protocol: http/1.1", 1)
		}
		return strings.Replace(text, "protocol: h2", fmt.Sprintf("protocol: h2, http2: {max_streams: %d}", 50+n%2*50), 1)
	}
	g := serve(t, map[string]string{"o": o.addr}, versions(0))
	p := press(t, g)
	watch := dial(t, g.Addr)
	for n := 1; n <= reloads; n++ {
		r := &reloader{gateway: g, watch: watch}
		r.write(g.config(versions(n)), fmt.Sprint(n))
		g.signal(syscall.SIGHUP)
		r.serves(n)
	}
	p.end(t)
	o.CloseConns()
}

// frames is a connection of HTTP/2 by hand.
type frames struct {
	t testing.TB
	net.Conn
	*http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	extends bool // the gateway takes extended CONNECT
}

// frameDial opens a connection and takes the gateway's settings.
func frameDial(t testing.TB, addr string) *frames {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	f := &frames{t: t, Conn: c, Framer: http2.NewFramer(c, c)}
	f.encoder = hpack.NewEncoder(&f.block)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	io.WriteString(c, http2.ClientPreface)
	f.WriteSettings()
	for {
		if s, ok := f.next().(*http2.SettingsFrame); ok && !s.IsAck() {
			v, given := s.Value(http2.SettingEnableConnectProtocol)
			f.extends = given && v == 1
			f.WriteSettingsAck()
			return f
		}
	}
}

func (f *frames) next() http2.Frame {
	f.t.Helper()
	frame, err := f.ReadFrame()
	if err != nil {
		f.t.Fatal(err)
	}
	return frame
}

func (f *frames) headers(id uint32, end bool, fields ...string) {
	f.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		f.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.block.Bytes(), EndHeaders: true, EndStream: end})
}

// answer waits for a stream's HEADERS and returns its fields.
func (f *frames) answer(id uint32) map[string]string {
	f.t.Helper()
	for {
		switch frame := f.next().(type) {
		case *http2.MetaHeadersFrame:
			if frame.StreamID == id {
				m := map[string]string{}
				for _, h := range frame.Fields {
					m[h.Name] = h.Value
				}
				return m
			}
		case *http2.RSTStreamFrame:
			if frame.StreamID == id {
				f.t.Fatalf("stream %d is reset: %v", id, frame.ErrCode)
			}
		case *http2.GoAwayFrame:
			f.t.Fatalf("GOAWAY: %v %s", frame.ErrCode, frame.DebugData())
		}
	}
}

// take reads n bytes of a stream's content.
func (f *frames) take(id uint32, n int) (got []byte) {
	f.t.Helper()
	for len(got) < n {
		switch frame := f.next().(type) {
		case *http2.DataFrame:
			if frame.StreamID == id {
				got = append(got, frame.Data()...)
				if len(frame.Data()) > 0 {
					f.WriteWindowUpdate(0, uint32(len(frame.Data())))
					f.WriteWindowUpdate(id, uint32(len(frame.Data())))
				}
				if frame.StreamEnded() && len(got) < n {
					f.t.Fatalf("stream %d ended after %d bytes, not %d", id, len(got), n)
				}
			}
		case *http2.RSTStreamFrame:
			if frame.StreamID == id {
				f.t.Fatalf("stream %d is reset: %v", id, frame.ErrCode)
			}
		}
	}
	return got
}

const sockets = `listeners:
  http: {bind: "@http@", routes: main}
  off:  {bind: "@off@", routes: main, upgrades: []}
routes:
  main: [{hosts: ["*"], rules: [{to: o}]}]
clusters:
  o: {endpoints: ["@o@"]}
`

// TestHTTP2WebSocket opens WebSockets by extended CONNECT (RFC 8441), beside
// other streams of the same connection, to an origin that knows Upgrade alone.
func TestHTTP2WebSocket(t *testing.T) {
	t.Parallel()
	o := startWeb(t, "a")
	g := serve(t, map[string]string{"o": o.addr()}, sockets)
	f := frameDial(t, g.Addr)
	if !f.extends {
		t.Fatal("the gateway does not say that it takes extended CONNECT")
	}
	connect := []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/ws", ":authority", "h", "sec-websocket-version", "13"}
	const streams = 5
	for i := range uint32(streams) {
		id := 1 + 2*i
		f.headers(id, false, connect...)
		got := f.answer(id)
		if got[":status"] != "200" || got["upgrade"] != "" || got["connection"] != "" || got["sec-websocket-accept"] != "" {
			t.Fatalf("extended CONNECT is answered with %v", got)
		}
	}
	// Together they are within the windows that a stream has in the beginning.
	for _, size := range []int{200, 1000, 20_000, 40_000} {
		for i := range uint32(streams) {
			sent := randomBytes(size + int(i))
			id := 1 + 2*i
			for m := message(sent); len(m) > 0; {
				n := min(len(m), 16<<10)
				f.WriteData(id, false, m[:n])
				m = m[n:]
			}
			// The echo has a head of 4 bytes and no mask.
			got := f.take(id, 4+len(sent))
			if !bytes.Equal(got[:2], []byte{0x82, 126}) || !bytes.Equal(got[4:], sent) {
				t.Fatalf("%d bytes: the echo begins with %x, %s", size, got[:4], differs(got[4:], sent))
			}
		}
		// Other requests go on beside.
		f.headers(uint32(1001+size*2), true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "h")
		if got := f.answer(uint32(1001 + size*2)); got[":status"] != "200" {
			t.Fatalf("beside: %v", got)
		}
		if got := f.take(uint32(1001+size*2), 1); string(got) != "a" {
			t.Fatalf("beside: %q", got)
		}
	}
	// The client ends one by a reset: the others go on.
	f.WriteRSTStream(1, http2.ErrCodeCancel)
	f.WriteData(3, false, message(randomBytes(200)))
	f.take(3, 204)
	// And one by its close frame: the origin answers, and the stream ends.
	f.WriteData(5, false, []byte{0x88, 0x82, 0, 0, 0, 0, 3, 0xe8})
	if got := f.take(5, 4); !bytes.Equal(got, []byte{0x88, 2, 3, 0xe8}) {
		t.Errorf("close is answered with %x", got)
	}
	f.Close()
	o.CloseConns()
	if left := g.Quiet(); left != "" {
		t.Error(left)
	}

	// What is declined comes as it is.
	f = frameDial(t, g.Addr)
	declined := append([]string(nil), connect...)
	declined[7] = "/not-a-socket"
	f.headers(1, false, declined...)
	// A 200 would say that there is a tunnel (RFC 8441 section 5).
	if got := f.answer(1); got[":status"][0] == '1' || got[":status"][0] == '2' {
		t.Errorf("what the origin declined with 200 is answered with %v", got)
	}
	f.headers(3, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "h")
	if got := f.answer(3); got[":status"] != "200" {
		t.Errorf("after one that was declined: %v", got)
	}

	// Without upgrades the setting is not there.
	if off := frameDial(t, g.names["off"]); off.extends {
		t.Error("a listener without upgrades says that it takes extended CONNECT")
	}
}

// message is a masked WebSocket frame of binary content.
func message(content []byte) []byte {
	b := []byte{0x82, 0x80 | 126}
	b = append(b, byte(len(content)>>8), byte(len(content)))
	mask := make([]byte, 4)
	rand.Read(mask)
	b = append(b, mask...)
	for i, c := range content {
		b = append(b, c^mask[i%4])
	}
	return b
}
