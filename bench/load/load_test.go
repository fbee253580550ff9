package load

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func config(t *testing.T, h http.HandlerFunc) Config {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return Config{
		Addr: netip.MustParseAddrPort(s.Listener.Addr().String()), Targets: []Target{{"a.test", "/x"}, {"b.test", "/y"}},
		Method: "GET", Conns: 4, Duration: 100 * time.Millisecond, Timeout: 20 * time.Second, Status: 200, Length: 3,
	}
}

func answer(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "abc") }

func mustRun(t *testing.T, cfg Config) Result {
	t.Helper()
	r, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestClosedLoopTakesTargetsInTurn(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	conns := map[string]bool{}
	cfg := config(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.Method+" "+r.Host+r.URL.Path]++
		conns[r.RemoteAddr] = true
		mu.Unlock()
		answer(w, r)
	})
	r := mustRun(t, cfg)
	if r.Requests == 0 || r.Errors != 0 || r.Status["2xx"] != r.Requests {
		t.Errorf("%+v", r)
	}
	mu.Lock() // the race detector cannot see that the sockets order this
	defer mu.Unlock()
	if len(seen) != 2 || len(conns) != 4 {
		t.Errorf("targets %v over %d connections", seen, len(conns))
	}
	if a, b := seen["GET a.test/x"], seen["GET b.test/y"]; a-b > 1 || b-a > 0 || uint64(a+b) != r.Requests {
		t.Errorf("%d and %d of %d requests", a, b, r.Requests)
	}
	if l := r.Latency; l.P50 <= 0 || l.P50 > l.P99 || l.P99 > l.P999 || l.P999 > l.Max {
		t.Errorf("latency %+v", l)
	}
}

func TestNewConnectionForEachRequest(t *testing.T) {
	var conns sync.Map
	var served atomic.Uint64
	cfg := config(t, func(w http.ResponseWriter, r *http.Request) {
		conns.Store(r.RemoteAddr, true)
		served.Add(1)
		answer(w, r)
	})
	cfg.New = true
	r := mustRun(t, cfg)
	count := uint64(0)
	conns.Range(func(any, any) bool { count++; return true })
	if r.Errors != 0 || r.Requests == 0 || r.Requests != served.Load() || count != served.Load() {
		t.Errorf("%d served on %d connections: %+v", served.Load(), count, r)
	}
}

func TestOpenLoopSendsWhatIsDueAndCountsFromThen(t *testing.T) {
	const held = 50 * time.Millisecond
	var first sync.Once
	cfg := config(t, func(w http.ResponseWriter, r *http.Request) {
		first.Do(func() { time.Sleep(held) })
		answer(w, r)
	})
	cfg.Conns, cfg.Rate = 1, 500
	r := mustRun(t, cfg)
	if r.Requests != 50 || r.Errors != 0 {
		t.Fatalf("%+v", r)
	}
	// One connection is held for 50 ms, so the requests due at 2, 4, … 48 ms
	// wait behind it, and half of all requests are late by 2 to 50 ms. A
	// generator that timed only what it sent would see one slow request.
	if r.Latency.Max < 50e3 || r.Latency.P90 < 40e3 {
		t.Errorf("the wait of the requests that were due is lost: %+v", r.Latency)
	}
}

func TestOpenLoopThatCannotSend(t *testing.T) {
	release := make(chan struct{})
	cfg := config(t, func(w http.ResponseWriter, r *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	cfg.Conns, cfg.Rate, cfg.Timeout, cfg.Duration = 2, 100, 50*time.Millisecond, 50*time.Millisecond
	r := mustRun(t, cfg)
	if r.Requests != 0 || r.Errors != 5 {
		t.Errorf("5 requests were due and none answered: %+v", r)
	}
}

func TestUpload(t *testing.T) {
	const size = 5<<20 + 7
	cfg := config(t, func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); n != size || err != nil || r.ContentLength != size {
			w.WriteHeader(500)
		}
		answer(w, r)
	})
	cfg.Method, cfg.Body = "POST", size
	if r := mustRun(t, cfg); r.Requests == 0 || r.Errors != 0 || r.BytesOut < r.Requests*size {
		t.Errorf("%+v", r)
	}
	cfg.Body = 100
	if r := mustRun(t, cfg); r.Requests != 0 || r.ErrorKinds["status"] != r.Errors || r.Status["5xx"] == 0 {
		t.Errorf("a status that is not expected must be an error: %+v", r)
	}
}

func TestWrongAnswersAreErrors(t *testing.T) {
	for kind, wire := range map[string]string{
		"status":    "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc",
		"length":    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
		"malformed": "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd",
		"closed":    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				b := make([]byte, 4096)
				c.Read(b)
				io.WriteString(c, wire)
				c.Close()
			}
		}()
		cfg := Config{
			Addr: netip.MustParseAddrPort(listener.Addr().String()), Targets: []Target{{"a", "/"}},
			Method: "GET", Conns: 1, Duration: 30 * time.Millisecond, Timeout: 20 * time.Second, Status: 200, Length: 3,
		}
		r := mustRun(t, cfg)
		listener.Close()
		if r.Requests != 0 || r.ErrorKinds[kind] == 0 {
			t.Errorf("%s: %+v", kind, r)
		}
	}
}

func TestIdleHoldsAndCountsTheLost(t *testing.T) {
	var mu sync.Mutex
	open := map[string]bool{}
	cfg := config(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		open[r.RemoteAddr] = true
		mu.Unlock()
		answer(w, r)
	})
	cfg.Conns = 100
	ctx, cancel := context.WithCancel(context.Background())
	lost, err := Idle(ctx, cfg, func() {
		mu.Lock()
		defer mu.Unlock()
		if len(open) != 100 {
			t.Errorf("%d connections open, want 100", len(open))
		}
		cancel()
	})
	if err != nil || lost != 0 {
		t.Errorf("lost %d, %v", lost, err)
	}
}

func TestNothingListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t, answer)
	cfg.Addr = netip.MustParseAddrPort(listener.Addr().String())
	listener.Close()
	if _, err := Run(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestBadConfigs(t *testing.T) {
	good := config(t, answer)
	for what, spoil := range map[string]func(*Config){
		"address":    func(c *Config) { c.Addr = netip.AddrPort{} },
		"target":     func(c *Config) { c.Targets = nil },
		"bad target": func(c *Config) { c.Targets = []Target{{"a", "no slash"}} },
		"method":     func(c *Config) { c.Method = "G ET" },
		"connection": func(c *Config) { c.Conns = 0 },
		"body":       func(c *Config) { c.Body = -1 },
		"rate":       func(c *Config) { c.Rate = -1 },
		"duration":   func(c *Config) { c.Duration = 0 },
		"timeout":    func(c *Config) { c.Timeout = 0 },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := Run(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
