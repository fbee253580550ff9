package scenario

import (
	"context"
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

	"github.com/gorilla/websocket"
	"golang.org/x/sys/unix"
)

// A pod is an origin that comes and goes at one address. It speaks HTTP/1 and
// HTTP/2 in cleartext, echoes WebSockets at /ws, takes its time over the answer at
// /slow, and counts the requests with an X-Id.
type pod struct {
	at     string
	counts *counts
	fault  atomic.Pointer[fault] // what is wrong with it; nil: nothing
	ended  atomic.Bool           // it may not be asked any more
	late   atomic.Int64          // requests that came nevertheless
	inside atomic.Int64          // requests under way
	mu     sync.Mutex
	server *http.Server
}

// counts are how often each request was begun, over all pods.
type counts struct {
	mu    sync.Mutex
	times map[string]int
}

func (c *counts) came(id string) {
	if id == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times == nil {
		c.times = map[string]int{}
	}
	c.times[id]++
}

// duplicates are the requests that were begun more than once.
func (c *counts) duplicates() (list []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, n := range c.times {
		if n > 1 {
			list = append(list, fmt.Sprintf("%s: %d times", id, n))
		}
	}
	return list
}

// startPod starts a pod at an address that is its until the test ends.
func startPod(t testing.TB, counts *counts) *pod {
	t.Helper()
	return startPodAt(t, reserve(t), counts)
}

func startPodAt(t testing.TB, at string, counts *counts) *pod {
	t.Helper()
	p := &pod{at: at, counts: counts}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

// start listens.
func (p *pod) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	shared := func(_, _ string, c syscall.RawConn) (failed error) {
		err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		if err != nil {
			return err
		}
		return failed
	}
	ln, err := (&net.ListenConfig{Control: shared}).Listen(context.Background(), "tcp", p.at)
	if err != nil {
		return err
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	p.server = &http.Server{Handler: p, Protocols: &protocols}
	go p.server.Serve(ln)
	return nil
}

// stop ends the pod as a machine does that is switched off: connections that are
// refused from now on, and cut where they are.
func (p *pod) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		p.server.Close()
		p.server = nil
	}
}

func (p *pod) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.inside.Add(1)
	defer p.inside.Add(-1)
	if p.ended.Load() {
		p.late.Add(1)
	}
	p.counts.came(r.Header.Get("X-Id"))
	w.Header().Set("X-Pod", p.at)
	if f := p.fault.Load(); f != nil && !f.before(w, r) {
		return
	}
	switch r.URL.Path {
	case "/ws":
		p.chat(w, r)
	case "/slow":
		for i := range 10 {
			fmt.Fprintf(w, "%d,", i)
			w.(http.Flusher).Flush()
			time.Sleep(15 * time.Millisecond)
		}
	default:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, "%s %d %s", r.Method, len(body), r.Header.Get("X-Id"))
	}
}

// chat echoes until the client says goodbye.
func (p *pod) chat(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{}
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		kind, text, err := c.ReadMessage()
		if err != nil || c.WriteMessage(kind, text) != nil {
			return
		}
	}
}

// visitors are clients that ask all the time.
type visitors struct {
	t        testing.TB
	addr     string
	stop     atomic.Bool
	done     sync.WaitGroup
	requests atomic.Int64
	faults   atomic.Int64
}

// fails reports a request that failed, the first few in words.
func (v *visitors) fails(format string, args ...any) {
	if v.faults.Add(1) <= 8 {
		v.t.Errorf(format, args...)
	}
}

// each runs visit again and again, with a number that is different each time.
func (v *visitors) each(pause time.Duration, visit func(n int)) {
	v.done.Go(func() {
		for n := 0; !v.stop.Load(); n++ {
			visit(n)
			v.requests.Add(1)
			time.Sleep(pause)
		}
	})
}

// visitor is a client of its own, with one connection.
func visitor(http2 bool) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	if http2 {
		tr.Protocols.SetUnencryptedHTTP2(true)
	} else {
		tr.Protocols.SetHTTP1(true)
	}
	return &http.Client{Transport: tr, Timeout: patience}
}

// asks makes a request whose answer must be the pods' and whole.
func (v *visitors) asks(c *http.Client, method, path, id string, size int) {
	request, err := http.NewRequest(method, "http://"+v.addr+path, strings.NewReader(strings.Repeat("x", size)))
	if err != nil {
		panic(err)
	}
	request.Header.Set("X-Id", id)
	want := fmt.Sprintf("%s %d %s", method, size, id)
	if path == "/slow" {
		want = "0,1,2,3,4,5,6,7,8,9,"
	}
	res, err := c.Do(request)
	if err != nil {
		v.fails("%s %s: %v", method, path, err)
		return
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || string(body) != want {
		v.fails("%s %s: %d %q, %v; want %q", method, path, res.StatusCode, body, err, want)
	}
}

// chats opens a WebSocket, says some things and closes it.
func (v *visitors) chats(n int) {
	c, res, err := websocket.DefaultDialer.Dial("ws://"+v.addr+"/ws", nil)
	if err != nil {
		v.fails("WebSocket: %v, %+v", err, res)
		return
	}
	defer c.Close()
	for i := range 10 {
		want := fmt.Sprint("message ", n, " ", i)
		c.SetReadDeadline(time.Now().Add(patience))
		if err := c.WriteMessage(websocket.TextMessage, []byte(want)); err != nil {
			v.fails("WebSocket: %v", err)
			return
		}
		if _, got, err := c.ReadMessage(); err != nil || string(got) != want {
			v.fails("WebSocket: %q, %v", got, err)
			return
		}
		time.Sleep(15 * time.Millisecond)
	}
	c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		v.fails("WebSocket's end: %v", err)
	}
}

// end lets the visits under way come to their end.
func (v *visitors) end() {
	v.stop.Store(true)
	v.done.Wait()
}
