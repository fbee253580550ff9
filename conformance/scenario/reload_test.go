package scenario

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"longmen/conformance/harness"
)

// web is an origin of net/http: WebSocket echo at /ws, the size and the hash of
// a body at /upload, its own name elsewhere.
type web struct{ *httptest.Server }

func startWeb(t testing.TB, name string) web {
	up := websocket.Upgrader{}
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, p) != nil {
				return
			}
		}
	})
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, h.Sum(nil), err)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return web{s}
}

func (w web) addr() string { return w.Listener.Addr().String() }
func (w web) CloseConns()  { w.CloseClientConnections() }

// reloadConfig is the nth configuration: what the load uses stays, in other
// words; everything beside it comes and goes.
func reloadConfig(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listeners:\n  http: {bind: \"@http@\", routes: main, limits: {headers: %d}, timeouts: {body: 10m, stream: 10m}}\n", 100+n%3)
	if n%2 == 1 {
		fmt.Fprintf(&b, "  extra: {bind: \"@extra@\", routes: side}\n")
	}
	fmt.Fprintf(&b, "routes:\n  main:\n    - hosts: [\"*\"]\n      rules:\n")
	fmt.Fprintf(&b, "        - {match: {path: /version}, respond: {status: 200, body: \"v%d\"}}\n", n)
	for i := range n % 5 {
		fmt.Fprintf(&b, "        - {match: {prefix: /extra-%d}, to: a}\n", i)
	}
	fmt.Fprintf(&b, "        - {match: {path: /ws}, to: a, idle_timeout: 10m}\n")
	fmt.Fprintf(&b, "        - {match: {path: /upload}, to: b, timeout: 1m}\n")
	fmt.Fprintf(&b, "        - {to: {a: %d, b: %d}}\n", 1+n%9, 9-n%9)
	if n%2 == 1 {
		fmt.Fprintf(&b, "  side: [{hosts: [\"*\"], rules: [{match: {path: /version}, respond: {status: 200, body: \"v%d\"}}, {to: side-%d}]}]\n", n, n)
	}
	fmt.Fprintf(&b, "clusters:\n  a: {endpoints: [\"@a@\"], pool: {idle: %d}}\n", 100+n%2)
	fmt.Fprintf(&b, "  b: {endpoints: [\"@b@\"], lb: %s}\n", []string{"round_robin", "random", "least_request"}[n%3])
	if n%2 == 1 {
		fmt.Fprintf(&b, "  side-%d: {endpoints: [\"@a@\"]}\n", n)
	}
	return b.String()
}

func TestReload(t *testing.T) {
	t.Parallel()
	reloads, sockets, uploads := 50, 50, 10
	if harness.Full() {
		reloads, sockets, uploads = 1000, 500, 100
	}
	a, b := startWeb(t, "a"), startWeb(t, "b")
	g := serve(t, map[string]string{"a": a.addr(), "b": b.addr()}, reloadConfig(0))
	g.noLeak(a, b)
	l := startLoad(g)
	chats := openChats(g, sockets)
	ups := openUploads(g, uploads, reloads)
	r := &reloader{gateway: g, watch: dial(t, g.Addr)}
	for n := 1; n <= reloads; n++ {
		if n%10 == 0 {
			r.broken(n)
		}
		if n == reloads/3*2 {
			r.becomeConfigMap()
		}
		r.put(n)
		// Every connection is used while the change is under way.
		chats.round(n)
		ups.round()
		r.serves(n)
		r.extra(n)
	}
	chats.end()
	ups.end()
	l.end(t)
	if f := g.failures(); f != nil {
		t.Errorf("failed requests: %v", f)
	}
	m := g.metrics()
	if got := m[`longmen_config_reloads_total{result="failure"}`]; got != float64(reloads/10) {
		t.Errorf("%v refused configurations counted, want %d", got, reloads/10)
	}
	for key := range m {
		if strings.Contains(key, `cluster="side-`) || strings.Contains(key, `listener="extra"`) {
			t.Errorf("what was removed is still counted: %s", key)
			break
		}
	}
	t.Logf("%d reloads, %d requests, %d WebSocket messages, %d uploads", reloads, l.requests.Load(), sockets*reloads, uploads)
}

// A reloader changes the file as people, editors and Kubernetes do.
type reloader struct {
	*gateway
	watch   *client // asks which version serves
	mapped  bool    // the file is a ConfigMap's symbolic link
	refused int
	side    *client // on the listener that comes and goes
}

func (r *reloader) put(n int) {
	r.write(r.config(reloadConfig(n)), fmt.Sprint(n))
	if n%3 == 0 && !r.mapped {
		r.signal(syscall.SIGHUP)
	}
}

// write replaces the file in one step.
func (r *reloader) write(text, version string) {
	r.t.Helper()
	must := func(err error) {
		if err != nil {
			r.t.Helper()
			r.t.Fatal(err)
		}
	}
	if !r.mapped {
		next := r.file + ".next"
		must(os.WriteFile(next, []byte(text), 0o644))
		must(os.Rename(next, r.file))
		return
	}
	// A kubelet writes a new directory and swaps ..data, which the file's link
	// leads through.
	data := filepath.Join(r.dir, "..data")
	old, _ := os.Readlink(data)
	must(os.Mkdir(filepath.Join(r.dir, ".."+version), 0o755))
	must(os.WriteFile(filepath.Join(r.dir, ".."+version, "gateway.yaml"), []byte(text), 0o644))
	must(os.Symlink(".."+version, data+"_tmp"))
	must(os.Rename(data+"_tmp", data))
	if old != "" {
		must(os.RemoveAll(filepath.Join(r.dir, old)))
	}
}

// becomeConfigMap lets the file be what a mounted ConfigMap is from now on.
func (r *reloader) becomeConfigMap() {
	text, err := os.ReadFile(r.file)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mapped = true
	r.write(string(text), "first")
	link := r.file + ".link"
	if err := os.Symlink("..data/gateway.yaml", link); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(link, r.file); err != nil {
		r.t.Fatal(err)
	}
}

// broken writes a file with a mistake, which must be reported with its place
// and change nothing.
func (r *reloader) broken(n int) {
	text := r.config(reloadConfig(n))
	i := strings.Index(text, "b: {endpoints") // the cluster that routes name
	text = text[:i] + "bb" + text[i+1:]
	line, column := 0, 0
	for k, s := range strings.Split(text, "\n") {
		if c := strings.Index(s, "to: {a: "); c >= 0 {
			line, column = k+1, c+strings.Index(s[c:], "b: ")+1
		}
	}
	r.write(text, fmt.Sprint("broken-", n))
	r.refused++
	eventually(r.t, "the report of a broken file", func() bool { return r.out.count("nothing was changed") == r.refused })
	if want := fmt.Sprintf("gateway.yaml:%d:%d: ", line, column); !strings.Contains(r.out.String(), want) {
		r.t.Errorf("the report does not name the place %s", want)
	}
	if got := string(r.watch.get("/version").Body); got != fmt.Sprint("v", n-1) {
		r.t.Errorf("a broken file left %s serving, want v%d", got, n-1)
	}
}

func (r *reloader) serves(n int) {
	want := fmt.Sprint("v", n)
	eventually(r.t, want+" serves", func() bool { return string(r.watch.get("/version").Body) == want })
}

// extra looks at the listener that is there in every second configuration.
func (r *reloader) extra(n int) {
	if n%2 == 1 {
		r.side = dial(r.t, r.names["extra"])
		if got := string(r.side.get("/version").Body); got != fmt.Sprint("v", n) {
			r.t.Errorf("the new listener serves %q", got)
		}
		if got := string(r.side.get("/").Body); got != "a" {
			r.t.Errorf("the new listener's new cluster answers %q", got)
		}
		return
	}
	eventually(r.t, "the removed listener refuses", func() bool { return refused(r.names["extra"]) })
	if r.side != nil && !r.side.ended() {
		r.t.Error("an idle connection of a removed listener stays")
	}
}

// load asks all the time, on kept connections and on new ones.
type load struct {
	requests atomic.Int64
	stop     atomic.Bool
	done     sync.WaitGroup
	faults   chan string
}

func startLoad(g *gateway) *load {
	l := &load{faults: make(chan string, 8)}
	l.done.Go(func() { l.run(g.Addr, 1<<30) })
	l.done.Go(func() { l.run(g.Addr, 1) })
	return l
}

// run takes a new connection after each requests.
func (l *load) run(addr string, each int) {
	for !l.stop.Load() {
		c, err := harness.Dial(addr)
		if err != nil {
			l.faults <- err.Error()
			return
		}
		for i := 0; i < each && !l.stop.Load(); i++ {
			c.WaitAtMost(patience)
			_, err := io.WriteString(c, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
			var res *harness.Response
			if err == nil {
				res, err = c.Response("GET")
			}
			if err != nil || res.Status != 200 || len(res.Body) != 1 {
				l.faults <- fmt.Sprintf("request %d of a connection: %v, %+v", i, err, res)
				c.Close()
				return
			}
			l.requests.Add(1)
		}
		c.Close()
	}
}

func (l *load) end(t *testing.T) {
	l.stop.Store(true)
	l.done.Wait()
	close(l.faults)
	for f := range l.faults {
		t.Error("load: ", f)
	}
}

// chats are open WebSockets.
type chats struct {
	t     testing.TB
	conns []*websocket.Conn
}

func openChats(g *gateway, n int) *chats {
	c := &chats{t: g.t}
	for range n {
		conn, _, err := websocket.DefaultDialer.Dial("ws://"+g.Addr+"/ws", nil)
		if err != nil {
			g.t.Fatal(err)
		}
		g.t.Cleanup(func() { conn.Close() })
		c.conns = append(c.conns, conn)
	}
	return c
}

// round lets every WebSocket echo one message.
func (c *chats) round(n int) {
	want := fmt.Sprint("message ", n)
	for _, conn := range c.conns {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(want)); err != nil {
			c.t.Fatal("WebSocket: ", err)
		}
	}
	for i, conn := range c.conns {
		conn.SetReadDeadline(time.Now().Add(patience))
		if _, p, err := conn.ReadMessage(); err != nil || string(p) != want {
			c.t.Fatalf("WebSocket %d: %q, %v", i, p, err)
		}
	}
}

// end closes every WebSocket by its closing handshake.
func (c *chats) end() {
	for _, conn := range c.conns {
		conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
		conn.SetReadDeadline(time.Now().Add(patience))
		if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			c.t.Error("WebSocket's end: ", err)
		}
	}
}

// uploads are request bodies under way; every second one is chunked.
type uploads struct {
	t     testing.TB
	conns []*client
	piece []byte
	sent  int
}

func openUploads(g *gateway, n, pieces int) *uploads {
	u := &uploads{t: g.t, piece: []byte(strings.Repeat("0123456789abcdef", 64))}
	for i := range n {
		c := dial(g.t, g.Addr)
		framing := fmt.Sprintf("Content-Length: %d", pieces*len(u.piece))
		if i%2 == 1 {
			framing = "Transfer-Encoding: chunked"
		}
		c.send("POST /upload HTTP/1.1\nHost: h\n" + framing + "\n\n")
		u.conns = append(u.conns, c)
	}
	return u
}

func (u *uploads) round() {
	u.sent++
	for i, c := range u.conns {
		p := u.piece
		if i%2 == 1 {
			p = fmt.Appendf(nil, "%x\r\n%s\r\n", len(p), p)
		}
		c.WaitAtMost(patience)
		if _, err := c.Write(p); err != nil {
			u.t.Fatal("upload: ", err)
		}
	}
}

func (u *uploads) end() {
	h := sha256.New()
	for range u.sent {
		h.Write(u.piece)
	}
	want := fmt.Sprintf("%d %x <nil>", u.sent*len(u.piece), h.Sum(nil))
	for i, c := range u.conns {
		if i%2 == 1 {
			c.send("0\n\n")
		}
		if res := c.response("POST"); string(res.Body) != want {
			u.t.Errorf("upload %d arrived as %d %q, want %q", i, res.Status, res.Body, want)
		}
		c.Close()
	}
}
