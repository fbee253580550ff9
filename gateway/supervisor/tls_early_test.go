package supervisor

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"longmen/gateway/cluster"
	"longmen/gateway/router"
	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/tls/server"
)

// A halfway stands between a client and the gateway: it holds back what the client sends behind
// its early data until it is told to go on.
type halfway struct {
	testing.TB
	at       string // where the gateway listens; "" passes nothing on
	ln       net.Listener
	more     chan struct{} // closed: it goes on
	released atomic.Bool
	first    chan []byte // what it passed on before

	client, gateway net.Conn // once first was passed on
}

func newHalfway(t testing.TB, at string) *halfway {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	w := &halfway{TB: t, at: at, ln: ln, more: make(chan struct{}), first: make(chan []byte, 1)}
	go w.serve()
	return w
}

func (w *halfway) release() {
	w.released.Store(true)
	close(w.more)
}

func (w *halfway) serve() {
	client, err := w.ln.Accept()
	if err != nil {
		return
	}
	if w.at == "" {
		w.first <- w.upTo(client, io.Discard)
		client.Close()
		return
	}
	gateway, err := net.Dial("tcp", w.at)
	if err != nil {
		w.Error(err)
		return
	}
	back := make(chan struct{})
	go func() {
		io.Copy(client, gateway)
		client.(*net.TCPConn).CloseWrite()
		close(back)
	}()
	w.client, w.gateway = client, gateway
	w.first <- w.upTo(client, gateway)
	<-w.more
	io.Copy(gateway, client)
	<-back
	client.Close()
	gateway.Close()
}

// upTo passes on what a client sends up to the first protected record, and gives it.
func (w *halfway) upTo(from io.Reader, to io.Writer) (all []byte) {
	for {
		record := make([]byte, 5)
		if _, err := io.ReadFull(from, record); err != nil {
			w.Error(err)
			return all
		}
		record = append(record, make([]byte, int(record[3])<<8|int(record[4]))...)
		if _, err := io.ReadFull(from, record[5:]); err != nil {
			w.Error(err)
			return all
		}
		to.Write(record)
		if all = append(all, record...); record[0] == 23 {
			return all
		}
	}
}

// An earlyHouse is a gateway with early data, and an origin that tells what it is asked.
type earlyHouse struct {
	*house
	dir  string
	last atomic.Pointer[halfway]
	seen chan string // "GET /early 1 before": method, path, Early-Data, and whether it was held back
	log  func() string

	listener *snapshot.Listener
	cluster  *cluster.Cluster
	protocol string // that s_client asks for
	mayFail  bool   // s_client may
}

func newEarlyHouse(t *testing.T, change ...func(*snapshot.Listener)) *earlyHouse {
	e := &earlyHouse{house: newHouse(t, Options{Workers: 2}), dir: t.TempDir(), seen: make(chan string, 100), protocol: "http/1.1"}
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		when := "after"
		if half := e.last.Load(); half != nil && !half.released.Load() {
			when = "before"
		}
		body, _ := io.ReadAll(r.Body)
		e.seen <- fmt.Sprintf("%s %s %s%s %s", r.Method, r.URL.Path, strings.Join(r.Header["Early-Data"], ","), body, when)
		if r.URL.Path == "/early/425" {
			w.WriteHeader(425)
		}
		fmt.Fprintf(w, "answer to %s", r.URL.Path)
	}))
	t.Cleanup(origin.Close)
	l := forwards(t, "https", "origin")
	secured(t, l, map[string]crypto.Signer{"a.test": p256Key(t)})
	forward := func(early bool, prefix string) *router.Route {
		return &router.Route{Name: prefix, EarlyData: early, Match: router.Match{Prefix: prefix}, Forward: &router.Forward{
			Clusters: []router.WeightedCluster{{Cluster: router.ClusterRef{Name: "origin"}, Weight: 1}}, TotalWeight: 1}}
	}
	l.Routes = table(t, forward(true, "/early"), forward(false, "/"))
	l.TLS.Default.EarlyData = &server.EarlyData{Most: 4096, Remember: 1000}
	format, err := stream.ParseFormat("%REQ(:METHOD)% %REQ(:PATH)% %DOWNSTREAM_TLS_EARLY_DATA% %RESPONSE_CODE%")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(e.dir, "access.log")
	l.HTTP.AccessLog = []snapshot.AccessLog{{Path: path, Format: format}}
	e.log = func() string { text, _ := os.ReadFile(path); return string(text) }
	leaf := l.TLS.Certificates.All()[0].Chain[0]
	if err := os.WriteFile(filepath.Join(e.dir, "root.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(l)
	}
	e.listener, e.cluster = l, cluster.New(clusterOf("origin", origin.Listener.Addr()))
	e.applied(having(snap("1", l), e.cluster))
	return e
}

// client runs s_client until the gateway closes, and gives what it printed. Requests are sent
// behind the handshake, or as early data with the session of the one before.
func (e *earlyHouse) client(at, requests string, early bool) <-chan string {
	e.Helper()
	tool, err := exec.LookPath("openssl")
	if err != nil {
		e.Fatal("openssl is needed: make setup installs it")
	}
	args := []string{"s_client", "-connect", at, "-servername", "a.test", "-verify_return_error", "-CAfile", filepath.Join(e.dir, "root.pem"),
		"-tls1_3", "-alpn", e.protocol, "-ign_eof", "-sess_out", filepath.Join(e.dir, "session")}
	cmd := exec.Command(tool, args...)
	if early {
		file := filepath.Join(e.dir, "requests")
		if err := os.WriteFile(file, []byte(requests), 0o600); err != nil {
			e.Fatal(err)
		}
		cmd = exec.Command(tool, append(args, "-sess_in", filepath.Join(e.dir, "session"), "-early_data", file)...)
		if e.mayFail && e.protocol == "http/1.1" {
			cmd.Stdin = strings.NewReader("no request\r\n\r\n") // has the gateway close
		}
	} else {
		cmd.Stdin = strings.NewReader(requests)
	}
	printed := make(chan string, 1)
	go func() {
		out, err := cmd.CombinedOutput()
		if err != nil && !e.mayFail {
			e.Errorf("s_client: %v", err)
		}
		printed <- string(out)
	}()
	return printed
}

// saw waits for the origin to be asked.
func (e *earlyHouse) saw(want string) {
	e.Helper()
	select {
	case got := <-e.seen:
		if got != want {
			e.Fatalf("the origin was asked %q, want %q", got, want)
		}
	case <-time.After(patience):
		e.Fatalf("the origin was not asked %q", want)
	}
}

// accepted waits until early data was accepted so many times: its requests are being served then.
func (e *earlyHouse) accepted(n uint64) {
	e.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		count := uint64(0)
		for _, w := range e.workers {
			w.loop.Do(func() { count += w.metrics.Listener("https").TLS.EarlyData[metrics.EarlyDataAccepted].Load() })
		}
		if count == n {
			return
		}
		if time.Now().After(end) {
			e.Fatalf("early data was accepted %d times, not %d", count, n)
		}
	}
}

func asked(method, path, fields string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: a.test\r\n" + fields + "\r\n"
}

const last = "Connection: close\r\n"

// What a route allows is served before the client's Finished; all else waits for it, in order,
// and is served then.
func TestEarlyData(t *testing.T) {
	e := newEarlyHouse(t)
	at := e.address("https")
	first := <-e.client(at, asked("GET", "/early/first", last), false)
	e.saw("GET /early/first  after")
	if !strings.Contains(first, "answer to /early/first") || !strings.Contains(first, "Max Early Data: 4096") {
		t.Fatal(first)
	}
	var replayed []byte
	for i, c := range []struct {
		requests string
		before   []string // what the origin is asked before the Finished
		after    []string
	}{
		{asked("GET", "/early/a", last), []string{"GET /early/a 1 before"}, nil},
		{asked("HEAD", "/early/b", "") + asked("GET", "/late/c", "") + asked("GET", "/early/d", last), []string{"HEAD /early/b 1 before"}, []string{"GET /late/c  after", "GET /early/d  after"}},
		{asked("GET", "/late/e", last), nil, []string{"GET /late/e  after"}},
		{asked("POST", "/early/f", "Content-Length: 4\r\n"+last) + "body", nil, []string{"POST /early/f body after"}},
		{asked("GET", "/early/g", "Content-Length: 4\r\n"+last) + "body", nil, []string{"GET /early/g body after"}},
		{asked("DELETE", "/early/h", last), nil, []string{"DELETE /early/h  after"}},
		{asked("GET", "/early/i", "Early-Data: 0\r\n"+last), []string{"GET /early/i 1 before"}, nil},
		{asked("GET", "/late/j", "Early-Data: 1\r\n"+last), nil, []string{"GET /late/j 1 after"}}, // an intermediary's in front of us
		{asked("GET", "/early/425", last), []string{"GET /early/425 1 before"}, nil},
	} {
		half := newHalfway(t, at)
		e.last.Store(half)
		printed := e.client(half.ln.Addr().String(), c.requests, true)
		for _, want := range c.before {
			e.saw(want)
		}
		e.accepted(uint64(i + 1))
		if len(e.seen) > 0 {
			t.Fatalf("%d: the origin was asked %q before the handshake was complete", i, <-e.seen)
		}
		if i == 0 {
			replayed = <-half.first
		}
		half.release()
		for _, want := range c.after {
			e.saw(want)
		}
		out := <-printed
		if !strings.Contains(out, "Early data was accepted") || strings.Count(out, "HTTP/1.1 ")-strings.Count(out, "HTTP/1.1 425") < len(c.after) {
			t.Fatalf("%d: %s", i, out)
		}
		if strings.Contains(c.requests, "/425") != strings.Contains(out, "HTTP/1.1 425 ") {
			t.Fatalf("%d: %s", i, out)
		}
	}
	// The same bytes once more are not accepted, by no worker.
	for range 4 {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write(replayed)
		conn.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(conn)
		if len(answer) == 0 || answer[0] != 22 || bytes.Contains(answer, []byte("HTTP")) {
			t.Fatalf("%q", answer)
		}
		conn.Close()
	}
	e.accepted(9)
	if len(e.seen) > 0 {
		t.Fatalf("a replay: the origin was asked %q", <-e.seen)
	}
	e.stopped() // the log is written
	log := e.log()
	for _, line := range []string{"GET /early/first - 200", "GET /early/a 1 200", "GET /late/e 1 200", "GET /early/425 1 425"} {
		if !strings.Contains(log, line+"\n") {
			t.Errorf("%q is not in the log:\n%s", line, log)
		}
	}
}

// A client that never completes its handshake has nothing served that has to wait for it: the
// early data is somebody else's, who kept it from the gateway.
func TestEarlyDataUnconfirmed(t *testing.T) {
	t.Run("the client ends", func(t *testing.T) { unconfirmed(t, newEarlyHouse(t), true, "0") })
	t.Run("time is up", func(t *testing.T) {
		e := newEarlyHouse(t, func(l *snapshot.Listener) { l.HTTP.BodyTimeout = 50 * time.Millisecond })
		unconfirmed(t, e, false, "408")
	})
}

func unconfirmed(t *testing.T, e *earlyHouse, ends bool, code string) {
	at := e.address("https")
	<-e.client(at, asked("GET", "/early/first", last), false)
	e.saw("GET /early/first  after")
	thief := newHalfway(t, "")
	e.mayFail = true
	printed := e.client(thief.ln.Addr().String(), asked("GET", "/early/a", "")+asked("GET", "/late/b", last), true)
	flight := <-thief.first
	<-printed
	e.last.Store(thief)
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write(flight)
	e.saw("GET /early/a 1 before")
	e.accepted(1)
	if ends {
		conn.(*net.TCPConn).CloseWrite()
	}
	io.Copy(io.Discard, conn)
	conn.Close()
	e.stopped() // the log is written
	if len(e.seen) > 0 {
		t.Fatalf("the origin was asked %q", <-e.seen)
	}
	if log := e.log(); !strings.Contains(log, "GET /early/a 1 200\n") || !strings.Contains(log, "GET /late/b 1 "+code+"\n") {
		t.Fatal(log)
	}
}

// Settings that change: what tickets of before allow is not accepted any more, and nobody is
// refused for it. Clients that send no early data resume with the same tickets.
func TestEarlyDataChanges(t *testing.T) {
	e := newEarlyHouse(t)
	at := e.address("https")
	config := &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(4), NextProtos: []string{"http/1.1"}}
	for i := range 3 {
		state, body := asks(t, at, config)
		e.saw("GET /  after")
		if state.DidResume != (i > 0) || body != "answer to /" {
			t.Fatalf("%d: resumed %v, %q", i, state.DidResume, body)
		}
	}
	<-e.client(at, asked("GET", "/early/first", last), false)
	e.saw("GET /early/first  after")
	for _, w := range e.workers {
		w.loop.Do(func() {}) // they are done with the settings
	}
	e.listener.TLS.Default.EarlyData = &server.EarlyData{Remember: 1}
	next := snap("2", e.listener)
	e.applied(having(next, e.cluster))
	e.mayFail = true // s_client does not send again what was rejected
	out := <-e.client(at, asked("GET", "/early/a", last), true)
	if !strings.Contains(out, "Early data was rejected") || !strings.Contains(out, "Reused, TLSv1.3") {
		t.Fatal(out)
	}
	e.accepted(0)
	if len(e.seen) > 0 {
		t.Fatalf("the origin was asked %q", <-e.seen)
	}
}

// Over HTTP/2 requests wait for themselves.
func TestEarlyDataHTTP2(t *testing.T) {
	e := newEarlyHouse(t, func(l *snapshot.Listener) {
		l.TLS.Default.ALPN = []string{"h2", "http/1.1"}
		l.HTTP.Protocols = snapshot.Protocols{HTTP1: true, HTTP2: true}
		l.HTTP.HTTP2 = snapshot.HTTP2{
			MaxStreams: 100, StreamWindow: 65535, ConnWindow: 1 << 20, MaxStreamWindow: 1 << 20, MaxConnWindow: 4 << 20, HeaderTable: 4096,
			Resets: snapshot.Allowance{Burst: 10, PerSecond: 10}, Control: snapshot.Allowance{Burst: 100, PerSecond: 100}, Continuations: 8,
		}
	})
	at := e.address("https")
	e.protocol, e.mayFail = "h2", true
	<-e.client(at, http2.ClientPreface+"\x00\x00\x01\x00\x00\x00\x00\x00\x01x", false) // DATA without a stream has the gateway close
	half := newHalfway(t, at)
	e.last.Store(half)
	var early bytes.Buffer
	early.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&early, nil)
	framer.WriteSettings()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i, path := range []string{"/late/b", "/early/a"} {
		block.Reset()
		for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", path}} {
			encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	}
	printed := e.client(half.ln.Addr().String(), early.String(), true)
	e.accepted(1)
	e.saw("GET /early/a 1 before")
	if len(e.seen) > 0 {
		t.Fatalf("the origin was asked %q before the handshake was complete", <-e.seen)
	}
	<-half.first
	half.release()
	e.saw("GET /late/b  after")
	half.client.Close()
	half.gateway.Close()
	if out := <-printed; !strings.Contains(out, "Early data was accepted") {
		t.Fatal(out)
	}
	e.stopped()
	if log := e.log(); !strings.Contains(log, "GET /early/a 1 200\n") || !strings.Contains(log, "GET /late/b 1 ") {
		t.Fatal(log)
	}
}
