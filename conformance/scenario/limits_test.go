package scenario

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"longmen/conformance/harness"
)

// tryGet connects and asks. It returns nil if the gateway refused the
// connection; otherwise the connection stays open.
func tryGet(t testing.TB, addr string) *client {
	t.Helper()
	hc, err := harness.Dial(addr)
	if err == nil {
		t.Cleanup(func() { hc.Close() })
		io.WriteString(hc, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if _, err = hc.Response("GET"); err == nil {
			return &client{hc, t}
		}
		hc.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Fatal("neither an answer nor a refusal: ", err)
	}
	return nil
}

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, listener, process, reason string }{
		{"listener", "limits: {connections: 4}", "", "listener-limit"},
		{"global", "", "limits: {connections: 4}\noverload: {connections: {shorten_idle: \"off\"}}\n", "global-limit"}, // idle ones are to stay
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := named(t, "o")
			g := serve(t, map[string]string{"o": o.Addr}, strings.Replace(plain, "routes: main}", "routes: main, "+c.listener+"}", 1)+c.process)
			g.noLeak(o)
			var open []*client
			for i := range 4 {
				x := tryGet(t, g.Addr)
				if x == nil {
					t.Fatalf("connection %d is refused", i)
				}
				open = append(open, x)
			}
			refused := 0
			for range 3 {
				if tryGet(t, g.Addr) != nil {
					t.Error("a connection over the limit is served")
				}
				refused++
			}
			wantStatus(t, open[0].get("/"), 200) // those that are open go on
			open[3].Close()
			eventually(t, "a connection is free again", func() bool {
				x := tryGet(t, g.Addr)
				if x == nil {
					refused++
				}
				return x != nil
			})
			g.counts(map[string]float64{
				fmt.Sprintf("longmen_downstream_connections_refused_total{listener=\"http\",reason=%q}", c.reason): float64(refused),
				`longmen_downstream_connections_active{listener="http"}`:                                           4,
				`longmen_downstream_connections_total{listener="http"}`:                                            5,
			})
		})
	}
}

func TestAcceptRate(t *testing.T) {
	t.Parallel()
	o := named(t, "o")
	g := serve(t, map[string]string{"o": o.Addr}, strings.Replace(plain, "routes: main}", "routes: main, limits: {accept_rate: 10}}", 1))
	g.noLeak(o)
	served, refused := 0, 0
	eventually(t, "some connections served, some refused", func() bool {
		if x := tryGet(t, g.Addr); x != nil {
			served++
			wantStatus(t, x.get("/"), 200) // a rate concerns new connections only
			x.Close()
		} else {
			refused++
		}
		return served >= 3 && refused >= 3
	})
	g.counts(map[string]float64{
		`longmen_downstream_connections_refused_total{listener="http",reason="rate"}`: float64(refused),
		`longmen_downstream_connections_total{listener="http"}`:                       float64(served),
	})
}

// TestOutOfFiles takes every file descriptor that the gateway may have.
func TestOutOfFiles(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"environment", "file"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			o := named(t, "o")
			config, s := plain+"workers: 1\n", setup{}
			if how == "file" {
				config += "limits: {files: 64}\n"
			} else {
				s.env = []string{"LONGMEN_LIMITS_FILES=64"}
			}
			g := serve(t, map[string]string{"o": o.Addr}, config, s)
			g.noLeak(o)
			first := dial(t, g.Addr)
			wantStatus(t, first.get("/"), 200)
			var open []*client
			for range 80 {
				open = append(open, dial(t, g.Addr)) // the kernel accepts into the backlog
			}
			eventually(t, "the gateway says that it is out of files", func() bool { return g.out.count("accepting rests") > 0 })
			for range 50 {
				wantStatus(t, first.get("/"), 200)
			}
			last := open[len(open)-1]
			last.send("GET /last HTTP/1.1\nHost: h\n\n")
			for _, c := range open[:40] {
				c.Close()
			}
			wantStatus(t, last.response("GET"), 200)
			eventually(t, "the admin API answers again", func() bool {
				_, _, err := g.adminGet("/ready")
				return err == nil
			})
			if n := g.metrics()[`longmen_downstream_connections_refused_total{listener="http",reason="no-files"}`]; n == 0 {
				t.Error("running out of files is not counted")
			}
			if f := g.failures(); f != nil {
				t.Errorf("failed requests: %v", f)
			}
		})
	}
}

func TestSizeLimits(t *testing.T) {
	t.Parallel()
	o := named(t, "o")
	g := serve(t, map[string]string{"o": o.Addr}, `listeners:
  http: {bind: "@http@", routes: main, limits: {header_bytes: 2KiB, headers: 10, line: 256, body: 1000, requests: 3}}
routes:
  main:
    - hosts: ["*"]
      rules:
        - {match: {prefix: /less}, to: o, max_body: 10}
        - {match: {prefix: /more}, to: o, max_body: 2000}
        - to: o
clusters:
  o: {endpoints: ["@o@"]}
`)
	g.noLeak(o)
	post := func(path string, n int, chunked bool) string {
		body := strings.Repeat("b", n)
		if chunked {
			return fmt.Sprintf("POST %s HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n%x\n%s\n0\n\n", path, n, body)
		}
		return fmt.Sprintf("POST %s HTTP/1.1\nHost: h\nContent-Length: %d\n\n%s", path, n, body)
	}
	fields := func(n int) string { // besides Host
		return strings.Repeat("X-F: v\n", n)
	}
	for _, c := range []struct {
		name, request string
		status        int
	}{
		{"line-fits", "GET /" + strings.Repeat("a", 256-len("GET / HTTP/1.1\r\n")) + " HTTP/1.1\nHost: h\n\n", 200},
		{"line-long", "GET /" + strings.Repeat("a", 300) + " HTTP/1.1\nHost: h\n\n", 414},
		{"line-endless", "GET /" + strings.Repeat("a", 5000), 414},
		{"fields-fit", "GET /fields-fit HTTP/1.1\nHost: h\n" + fields(9) + "\n", 200},
		{"fields-many", "GET /fields-many HTTP/1.1\nHost: h\n" + fields(10) + "\n", 431},
		{"head-fits", "GET /head-fits HTTP/1.1\nHost: h\nX-F: " + strings.Repeat("v", 1900) + "\n\n", 200},
		{"head-large", "GET /head-large HTTP/1.1\nHost: h\nX-F: " + strings.Repeat("v", 2100) + "\n\n", 431},
		{"head-endless", "GET /head-endless HTTP/1.1\nHost: h\nX-F: " + strings.Repeat("v", 5000), 431},
		{"body-fits", post("/body-fits", 1000, false), 200},
		{"body-large", post("/body-large", 1001, false), 413},
		{"chunked-fits", post("/chunked-fits", 1000, true), 200},
		{"chunked-large", post("/chunked-large", 1001, true), 413},
		{"less-fits", post("/less", 10, false), 200},
		{"less-large", post("/less", 11, false), 413},
		{"less-chunked", post("/less", 11, true), 413},
		{"more", post("/more", 2000, false), 200},
		{"more-large", post("/more", 2001, true), 413},
		{"announced", "POST / HTTP/1.1\nHost: h\nContent-Length: 1000000000000\nExpect: 100-continue\n\n", 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			o.Reset()
			x := dial(t, g.Addr)
			defer x.Close()
			res := x.ask(c.request)
			wantStatus(t, res, c.status)
			if len(res.Informational) > 0 {
				t.Errorf("informational responses %v", res.Informational)
			}
			rec := o.Record()
			if len(rec.Violations) > 0 {
				t.Errorf("the origin: %v", rec.Violations)
			}
			for _, r := range rec.Requests {
				if c.status != 200 && r.Complete {
					t.Errorf("the origin got a refused request whole: %+v", r.Head)
				}
			}
			if c.status == 200 {
				return
			}
			if c.status == 413 && c.name != "announced" {
				// All of it was sent: the connection may go on, if it goes on rightly.
				if _, closes := res.Get("Connection"); !closes {
					if after := x.get("/after"); string(after.Body) != "o GET /after" {
						t.Errorf("after the refusal: %d %q", after.Status, after.Body)
					}
					return
				}
			}
			wantClose(t, res)
			x.CloseWrite() // it lingers until the client has ended, too
			if !x.ended() {
				t.Error("the connection stays after a refused request")
			}
		})
	}
	t.Run("requests", func(t *testing.T) {
		x := dial(t, g.Addr)
		for range 2 {
			if v, ok := x.get("/").Get("Connection"); ok {
				t.Errorf("Connection: %s before the last request", v)
			}
		}
		wantClose(t, x.get("/"))
		if !x.ended() {
			t.Error("the connection stays after its last request")
		}
	})
}

// TestBreakers fills the limits of clusters.
func TestBreakers(t *testing.T) {
	t.Parallel()
	o := startHolding(t)
	g := serve(t, map[string]string{"o": o.Addr}, `workers: 1
listeners:
  http: {bind: "@http@", routes: main}
routes:
  main:
    - hosts: ["*"]
      rules:
        - {match: {prefix: /few-connections}, to: few-connections}
        - {match: {prefix: /few-requests}, to: few-requests}
clusters:
  few-connections: {endpoints: ["@o@"], limits: {connections: 1, pending: 1}}
  few-requests: {endpoints: ["@o@"], limits: {requests: 2}}
`)
	g.noLeak(o)
	start := func(path string) *client {
		c := dial(t, g.Addr)
		c.send("GET " + path + " HTTP/1.1\nHost: h\n\n")
		return c
	}
	t.Run("connections", func(t *testing.T) {
		one := start("/few-connections/1")
		first := o.next()
		two := start("/few-connections/2")
		g.counts(map[string]float64{`longmen_upstream_requests_pending{cluster="few-connections"}`: 1})
		wantStatus(t, start("/few-connections/3").response("GET"), 503)
		first.answer("one")
		wantStatus(t, one.response("GET"), 200)
		second := o.next()
		if second.Request.Conn != first.Request.Conn {
			t.Error("a second connection was made")
		}
		second.answer("two")
		wantStatus(t, two.response("GET"), 200)
		// A client that gives up waiting leaves its place.
		three := start("/few-connections/4")
		third := o.next()
		gone := start("/few-connections/5")
		g.counts(map[string]float64{`longmen_upstream_requests_pending{cluster="few-connections"}`: 1})
		gone.Reset()
		g.counts(map[string]float64{`longmen_upstream_requests_pending{cluster="few-connections"}`: 0})
		third.answer("three")
		wantStatus(t, three.response("GET"), 200)
		wantStatus(t, func() *harness.Response {
			c := start("/few-connections/6")
			o.next().answer("six")
			return c.response("GET")
		}(), 200)
	})
	t.Run("requests", func(t *testing.T) {
		one, two := start("/few-requests/1"), start("/few-requests/2")
		first, second := o.next(), o.next()
		wantStatus(t, start("/few-requests/3").response("GET"), 503)
		first.answer("x")
		second.answer("x")
		wantStatus(t, one.response("GET"), 200)
		wantStatus(t, two.response("GET"), 200)
		g.counts(map[string]float64{`longmen_upstream_requests_active{cluster="few-requests"}`: 0})
		four := start("/few-requests/4")
		o.next().answer("x")
		wantStatus(t, four.response("GET"), 200)
	})
	g.counts(map[string]float64{
		`longmen_upstream_overflows_total{cluster="few-connections",limit="pending"}`: 1,
		`longmen_upstream_overflows_total{cluster="few-requests",limit="requests"}`:   1,
		`longmen_http_response_flags_total{flag="UO",listener="http"}`:                2,
		`longmen_http_response_flags_total{flag="DC",listener="http"}`:                1,
	})
	if s := g.show("/stats"); !strings.Contains(s, "longmen_upstream_overflows_total") {
		t.Error("/stats does not show the overflows")
	}
}
