package supervisor

import (
	"crypto"
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
