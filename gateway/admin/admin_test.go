package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"longmen/gateway/telemetry/exposition"
	"longmen/gateway/telemetry/metrics"
)

// gateway is what an admin server under test looks at.
type gateway struct {
	*Server
	url      string
	level    slog.LevelVar
	reason   atomic.Pointer[string] // why not ready; nil: ready
	dead     atomic.Bool
	drains   atomic.Int64
	registry *metrics.Registry
}

// start starts an admin server, after change (if given) has changed it.
func start(t *testing.T, change ...func(*Server)) *gateway {
	t.Helper()
	g := &gateway{registry: metrics.NewRegistry()}
	w := g.registry.NewWorker(nil)
	w.Listener("http").Connections.Add(3)
	w.Listener("http").Requests.Count(200)
	w.Cluster("web").Requests.Count(502)
	w.Cluster("web").Requests.Count(0)
	g.Server = New(Options{
		Bind: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), Level: &g.level, Registry: g.registry,
		Build:    exposition.Build{Version: "v1.2", Revision: "abc"},
		Exporter: exposition.New(exposition.Sources{Registry: g.registry}),
		Ready: func() (bool, string) {
			if why := g.reason.Load(); why != nil {
				return false, *why
			}
			return true, ""
		},
		Live: func() error {
			if g.dead.Load() {
				return errors.New("worker 1 is held up")
			}
			return nil
		},
		ConfigDump: func(format DumpFormat) ([]byte, error) { return []byte("dump as " + string(format)), nil },
		Clusters: func() []Cluster {
			return []Cluster{{
				Name: "web", Origin: "gateway.yaml:30:3", Discovery: "static", Balance: "round_robin", Protocol: "h2",
				Endpoints: []Endpoint{
					{Address: "10.0.0.1:80", Health: "healthy", Weight: 2, Active: 1, Average: new(12.34), Failed: new(0.015)},
					{Address: "10.0.0.2:80", Health: "unhealthy", Weight: 1, Reason: "connection refused", Ejection: &Ejection{
						Cause: "consecutive_5xx", Reason: "5 responses 5xx in a row", Since: time.Unix(0, 0), Until: time.Unix(30, 0), Times: 2,
					}},
					{Address: "10.0.0.3:80", Health: "ejected", Weight: 1, Ejection: &Ejection{
						Active: true, Cause: "success_rate", Reason: "success rate 10.0 % is too low", Since: time.Unix(3600, 0), Until: time.Unix(3690, 0), Times: 3,
					}},
				},
			}, {Name: "empty"}}
		},
		Listeners: func() []Listener {
			return []Listener{{Name: "http", Addresses: []string{"0.0.0.0:80", "[::]:80"}, Routes: "public", Version: "7f3a"}}
		},
		Certificates: certificates, Ledger: told,
		Drain:    func() { g.drains.Add(1) },
		Draining: func() DrainState { return DrainState{Draining: g.drains.Load() > 0, Connections: 4} },
	})
	for _, f := range change {
		f(g.Server)
	}
	addr, err := g.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, g.Server) })
	g.url = "http://" + addr.String()
	return g
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

// do sends a request with "Name: value" headers, and checks the status.
func (g *gateway) do(t *testing.T, method, path string, want int, headers ...string) (string, http.Header) {
	t.Helper()
	request, err := http.NewRequest(method, g.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
		if name == "Host" {
			request.Host = value
		}
	}
	transport := http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != want {
		t.Errorf("%s %s %v: %d, want %d: %s", method, path, headers, response.StatusCode, want, body)
	}
	return string(body), response.Header
}

func (g *gateway) contains(t *testing.T, path string, texts ...string) {
	t.Helper()
	body, _ := g.do(t, "GET", path, 200)
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Errorf("%s lacks %q:\n%s", path, text, body)
		}
	}
}

func (g *gateway) decode(t *testing.T, path string, into any, headers ...string) {
	t.Helper()
	body, header := g.do(t, "GET", path, 200, headers...)
	if header.Get("Content-Type") != "application/json" {
		t.Errorf("%s is %s", path, header.Get("Content-Type"))
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Errorf("%s: %v in %s", path, err, body)
	}
}

func TestReadyAndLive(t *testing.T) {
	g := start(t)
	g.contains(t, "/ready", "ready")
	why := "draining"
	g.reason.Store(&why)
	if body, _ := g.do(t, "GET", "/ready", 503); body != "draining\n" {
		t.Errorf("not ready: %q", body)
	}
	if body, _ := g.do(t, "GET", "/ready?format=json", 503); !strings.Contains(body, `"reason": "draining"`) {
		t.Errorf("not ready: %s", body)
	}
	g.contains(t, "/live", "live")
	g.dead.Store(true)
	if body, _ := g.do(t, "GET", "/live", 503); body != "worker 1 is held up\n" {
		t.Errorf("not live: %q", body)
	}
}

func TestIndexListsEveryEndpoint(t *testing.T) {
	g := start(t)
	body, header := g.do(t, "GET", "/", 200)
	for _, e := range g.endpoints {
		if !strings.Contains("\n"+body, "\n"+e.path+" ") {
			t.Errorf("the index lacks %s", e.path)
		}
		if e.path != "/pprof/profile" && e.path != "/pprof/trace" { // they take their time
			g.do(t, "GET", e.path, 200)
		}
	}
	if header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Server") != "" {
		t.Errorf("headers %v", header)
	}
	g.contains(t, "/pprof/", "/pprof/heap")
}

func TestWhatHasNoSourceDoesNotExist(t *testing.T) {
	s := New(Options{Log: slog.New(slog.DiscardHandler)})
	for _, e := range s.endpoints {
		if !slices.Contains([]string{"/", "/live", "/version"}, e.path) && !strings.HasPrefix(e.path, "/pprof/") {
			t.Errorf("%s exists", e.path)
		}
	}
}

func TestMethods(t *testing.T) {
	g := start(t)
	for _, c := range []struct{ method, path, allow string }{
		{"POST", "/stats", "GET, HEAD"}, {"DELETE", "/drain", "GET, HEAD, POST"}, {"PUT", "/logging", "GET, HEAD, POST"}, {"POST", "/", "GET, HEAD"},
	} {
		if _, header := g.do(t, c.method, c.path, 405); header.Get("Allow") != c.allow {
			t.Errorf("%s %s allows %q, want %q", c.method, c.path, header.Get("Allow"), c.allow)
		}
	}
	if body, header := g.do(t, "HEAD", "/version", 200); body != "" || header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %q, %v", body, header)
	}
}

func TestNotFound(t *testing.T) {
	g := start(t)
	for path, want := range map[string]string{
		"/stat": "/stats", "/cluster": "/clusters", "/config-dump": "/config_dump", "/pprof/heaps": "/pprof/heap", "/liev": "/live",
		"/clusters/web": "/clusters", "/nothing/like/it": "/ (the list",
	} {
		if body, _ := g.do(t, "GET", path, 404); !strings.Contains(body, want) {
			t.Errorf("%s: %q does not name %s", path, body, want)
		}
	}
	g.do(t, "GET", "/"+strings.Repeat("x", 4000), 404)
}

func TestForeignHosts(t *testing.T) {
	g := start(t)
	for _, host := range []string{"evil.example", "evil.example:15000", "127.0.0.1.evil.example", "localhost.evil.example:80", "1.2.3.4.5", "127.0.0.1:"} {
		g.do(t, "GET", "/version", 403, "Host: "+host)
	}
	for _, host := range []string{"", "[::1", "::1", "[127.0.0.1]", "localhost:80a", "localhost:80:80", "[::1]x:80"} {
		if ownHost(host) {
			t.Errorf("%q is taken for our own", host)
		}
	}
	for _, host := range []string{"localhost", "LOCALHOST:15000", "localhost.", "127.0.0.1", "10.1.2.3:15000", "[::1]", "[fe80::1]:15000"} {
		g.do(t, "GET", "/version", 200, "Host: "+host)
	}
}

func TestCrossSite(t *testing.T) {
	g := start(t)
	same := "Origin: " + g.url
	for _, headers := range [][]string{
		{"Sec-Fetch-Site: cross-site"}, {"Sec-Fetch-Site: same-site"}, {"Origin: http://evil.example"}, {"Origin: null"},
		{same, "Sec-Fetch-Site: cross-site"}, {"Origin: http://127.0.0.1:1"},
	} {
		g.do(t, "POST", "/drain", 403, headers...)
		g.do(t, "POST", "/logging?level=debug", 403, headers...)
		g.do(t, "GET", "/pprof/heap", 403, headers...)
	}
	if g.drains.Load() != 0 || g.level.Level() != slog.LevelInfo {
		t.Fatal("a page of another site changed something")
	}
	g.do(t, "GET", "/version", 200, "Sec-Fetch-Site: cross-site")
	g.do(t, "POST", "/drain", 200, same, "Sec-Fetch-Site: same-origin")
	if g.drains.Load() != 1 {
		t.Errorf("drained %d times", g.drains.Load())
	}
}

func TestDrain(t *testing.T) {
	g := start(t)
	g.contains(t, "/drain", "not draining")
	if g.drains.Load() != 0 {
		t.Fatal("looking drains")
	}
	g.do(t, "POST", "/drain", 200)
	g.contains(t, "/drain", "draining", "connections  4")
	var state DrainState
	g.decode(t, "/drain?format=json", &state)
	if !state.Draining || state.Connections != 4 {
		t.Errorf("%+v", state)
	}
}

func TestLogging(t *testing.T) {
	g := start(t)
	g.contains(t, "/logging", "info")
	if body, _ := g.do(t, "POST", "/logging?level=debug", 200); body != "debug\n" || g.level.Level() != slog.LevelDebug {
		t.Errorf("%q, level %v", body, g.level.Level())
	}
	for _, bad := range []string{"", "?level=", "?level=loud", "?level=INFO%2B2"} {
		g.do(t, "POST", "/logging"+bad, 400)
	}
	if g.level.Level() != slog.LevelDebug {
		t.Errorf("level %v", g.level.Level())
	}
}

func TestNumbers(t *testing.T) {
	g := start(t)
	g.contains(t, "/metrics", "longmen_downstream_connections_total{listener=\"http\"} 3\n", "# TYPE go_goroutines gauge")
	g.contains(t, "/stats?filter=connections_total", "longmen_downstream_connections_total{listener=\"http\"} 3\n")
	var stats struct{ Stats []exposition.Stat }
	g.decode(t, "/stats?filter=downstream_connections_total{listener", &stats, "Accept: application/json")
	if len(stats.Stats) != 1 || *stats.Stats[0].Value != 3 {
		t.Errorf("%+v", stats)
	}
	g.do(t, "GET", "/stats?format=xml", 400)
}

func TestConfigDump(t *testing.T) {
	g := start(t)
	g.contains(t, "/config_dump", "dump as yaml")
	for _, format := range []string{"yaml", "json", "xds"} {
		g.contains(t, "/config_dump?format="+format, "dump as "+format)
	}
	if body, _ := g.do(t, "GET", "/config_dump", 200, "Accept: application/json"); body != "dump as json" {
		t.Error(body)
	}
	g.do(t, "GET", "/config_dump?format=toml", 400)
}

func TestInventory(t *testing.T) {
	g := start(t)
	g.contains(t, "/clusters", "web  static  round_robin  h2  gateway.yaml:30:3", "requests 2 (5xx 1, unanswered 1, retries 0)",
		"10.0.0.1:80", "active 1, 12.3 ms, 1.5 % failed ", "unhealthy", "active 0 ", "connection refused; ejected 2 times, back at 00:00:30: 5 responses 5xx in a row\n", "no endpoints",
		"ejected at 01:00:00 until 01:01:30 (3. time): success rate 10.0 % is too low\n")
	g.contains(t, "/listeners", "0.0.0.0:80,[::]:80", "public", "7f3a")
	var clusters []struct {
		Cluster
		Numbers clusterNumbers
	}
	g.decode(t, "/clusters?format=json", &clusters)
	if len(clusters) != 2 || clusters[0].Endpoints[1].Reason != "connection refused" || clusters[0].Endpoints[0].Ejection != nil || *clusters[0].Endpoints[0].Average != 12.34 || clusters[0].Endpoints[1].Average != nil || clusters[0].Endpoints[2].Ejection.Times != 3 || clusters[0].Numbers.ServerErrors != 1 || clusters[1].Endpoints == nil {
		t.Errorf("%+v", clusters)
	}
	var listeners []struct {
		Listener
		Numbers listenerNumbers
	}
	g.decode(t, "/listeners", &listeners, "Accept: application/json")
	if len(listeners) != 1 || listeners[0].Numbers.Connections != 3 || listeners[0].Numbers.Requests != 1 {
		t.Errorf("%+v", listeners)
	}
	var version struct{ Version, Go string }
	g.decode(t, "/version?format=json", &version)
	if version.Version != "v1.2" || version.Go == "" {
		t.Errorf("%+v", version)
	}
}

func TestProfiles(t *testing.T) {
	g := start(t)
	g.contains(t, "/pprof/goroutine?debug=1", "goroutine profile: total")
	for _, seconds := range []string{"61", "-1", "0", "NaN", "1e9", "x"} {
		g.do(t, "GET", "/pprof/profile?seconds="+seconds, 400)
		g.do(t, "GET", "/pprof/heap?seconds="+seconds, 400)
	}
	if body, _ := g.do(t, "GET", "/pprof/trace?seconds=0.01", 200); !strings.HasPrefix(body, "go 1.") {
		t.Errorf("trace begins with %.20q", body)
	}
	if body, _ := g.do(t, "GET", "/pprof/heap", 200); !strings.HasPrefix(body, "\x1f\x8b") {
		t.Errorf("heap begins with %.20q", body)
	}
}

func TestCloseCutsProfilesShort(t *testing.T) {
	started := make(chan struct{})
	g := start(t, func(s *Server) {
		for i := range s.endpoints {
			if e := &s.endpoints[i]; e.path == "/pprof/profile" {
				profile := e.get
				e.get = func(ctx *fasthttp.RequestCtx) {
					close(started)
					profile(ctx)
				}
			}
		}
	})
	answered := make(chan error, 1)
	go func() {
		response, err := http.Get(g.url + "/pprof/profile?seconds=60")
		if err == nil {
			err = response.Body.Close()
		}
		answered <- err
	}()
	<-started
	stop(t, g.Server)
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	g := start(t)
	const long = "GET /version HTTP/1.1\r\nHost: localhost\r\nX: "
	for _, c := range []struct {
		request string
		want    int
	}{
		{"POST /logging HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65537\r\n\r\n", 413},
		{long + strings.Repeat("x", maxHead-len(long)), 431}, // not a byte more: closing with unread bytes would reset the connection
		{"GET\r\n\r\n", 400},
		{"GET /version HTTP/1.1\r\nHost: localhost:80a\r\n\r\n", 400},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, c.request)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%.40q: %v", c.request, err)
		} else if answer.StatusCode != c.want {
			t.Errorf("%.40q: %d, want %d", c.request, answer.StatusCode, c.want)
		}
		conn.Close()
	}
}

func TestPanicEndsOneRequest(t *testing.T) {
	g := start(t, func(s *Server) {
		s.options.ConfigDump = func(format DumpFormat) ([]byte, error) {
			if format == DumpXDS {
				return nil, errors.New("not yet")
			}
			panic("boom")
		}
	})
	if body, _ := g.do(t, "GET", "/config_dump", 500); strings.Contains(body, "boom") {
		t.Errorf("the client is told %q", body)
	}
	if body, _ := g.do(t, "GET", "/config_dump?format=xds", 500); body != "not yet\n" {
		t.Error(body)
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	// A socket that a killed process left behind.
	left, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	left.Close()

	options := Options{Bind: "unix:" + path, Log: slog.New(slog.DiscardHandler)}
	s := New(options)
	addr, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	if addr.Network() != "unix" || addr.String() != path {
		t.Errorf("address %v", addr)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := New(options).Start(); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second server: %v", err)
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) },
	}}
	response, err := client.Get("http://admin/live")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("status %d", response.StatusCode)
	}
	stop(t, s)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestBadBinds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for bind, want := range map[string]string{"unix:": "lacks a path", "unix:" + file: "no socket", "127.0.0.1": "port", "256.0.0.1:1": ""} {
		if _, err := New(Options{Bind: bind, Log: slog.New(slog.DiscardHandler)}).Start(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", bind, err)
		}
	}
	if text, _ := os.ReadFile(file); string(text) != "precious" {
		t.Error("a file was overwritten")
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"/stats", "/stats", 0}, {"/stat", "/stats", 1}, {"/liev", "/live", 2}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
