package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/filter"
	"longmen/gateway/protocol/grpc"
	"longmen/gateway/protocol/http1"
	"longmen/gateway/router"
	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/upstream/origintest"
)

// calls is a stage that notes the gRPC status of each stream.
type calls struct {
	*stage
	status chan string
}

func newCalls(t *testing.T, set settings) *calls {
	c := &calls{status: make(chan string, 64)}
	set.config = func(config *http1.Config) {
		finish := config.Finish
		config.Finish = func(s *stream.Stream, resp *stream.Response) {
			code, ok := s.GRPCStatus(resp)
			c.status <- fmt.Sprintf("%v %v", code, ok)
			finish(s, resp)
		}
	}
	c.stage = newStage(t, set)
	return c
}

// call sends a call with a message of one piece and reads the answer.
func (c *calls) call(path, body string, fields ...string) (*http.Response, string) {
	c.Helper()
	p := c.dial()
	defer p.Close()
	p.send("POST %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/grpc\r\nContent-Length: %d\r\n%s\r\n%s", path, len(body), lines(fields), body)
	return p.answer("POST")
}

// expect holds an answer of the gateway itself against what a gRPC client needs.
func (c *calls) expect(resp *http.Response, body string, code grpc.Code, message string) {
	c.Helper()
	got := fmt.Sprintf("%d %s %s %s %q %d", resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("Grpc-Status"), resp.Header.Get("Grpc-Message"), body, resp.ContentLength)
	if want := fmt.Sprintf("200 application/grpc %d %s %q 0", code, message, ""); got != want {
		c.Errorf("got %s\nwant %s", got, want)
	}
	if got, want := <-c.status, fmt.Sprintf("%v true", code); got != want {
		c.Errorf("counted as %s, want %s", got, want)
	}
}

// A gRPC client is told of a failure by a status; the record keeps what HTTP would
// have been told.
func TestGRPCLocalReplies(t *testing.T) {
	stuck := newOrigin(t, func(p *peer, _ int) { p.ended() })
	broken := newOrigin(t, func(p *peer, _ int) { p.ask(); p.reset() })
	full := clusterOf("full", stuck.At)
	full.Limits.Requests = 1
	c := newCalls(t, settings{
		http: snapshot.HTTP{ServerName: "edge", MaxBody: 10},
		routes: []*router.Route{
			to("/stuck", func(f *router.Forward) { f.Timeout = 10 * time.Millisecond }),
			to("/broken", func(f *router.Forward) { f.Clusters[0].Cluster = router.ClusterRef{Name: "broken", Slot: 1} }),
			to("/refused", func(f *router.Forward) { f.Clusters[0].Cluster = router.ClusterRef{Name: "refused", Slot: 2} }),
			to("/full", func(f *router.Forward) { f.Clusters[0].Cluster = router.ClusterRef{Name: "full", Slot: 3} }),
			to("/nobody", func(f *router.Forward) { f.Clusters[0].Cluster = router.ClusterRef{Name: "nobody", Slot: 4} }),
			to("/unknown", func(f *router.Forward) { f.Clusters[0].Cluster = router.ClusterRef{Name: "unknown", Slot: 9} }),
			{Match: router.Match{RawPrefix: "/closed"}, Respond: &router.Respond{Status: 403, Body: []byte("closed 100%\n")}},
			{Match: router.Match{RawPrefix: "/busy"}, Respond: &router.Respond{Status: 429}},
			{Match: router.Match{RawPrefix: "/who"}, Respond: &router.Respond{Status: 401}},
			{Match: router.Match{RawPrefix: "/moved"}, Redirect: &router.Redirect{Status: 301, Path: "/new"}},
			{Match: router.Match{RawPrefix: "/fine"}, Respond: &router.Respond{Status: 200, Body: []byte("fine")}},
		},
		clusters: []*cluster.Config{clusterOf("c", stuck.At), clusterOf("broken", broken.At),
			clusterOf("refused", origintest.ClosedPort(t)), full, clusterOf("nobody")},
	})
	c.shared[3].Breakers(false).TryRequest()
	for _, test := range []struct {
		path, body string
		code       grpc.Code
		message    string
		flag       stream.Flag
		status     int // what another client would be told; 0: no error
	}{
		{"/stuck", "", grpc.DeadlineExceeded, "no complete answer in time", stream.UpstreamTimeout, 504},
		{"/broken", "", grpc.Unavailable, "the endpoint broke off", stream.UpstreamConnectionEnd, 502},
		{"/refused", "", grpc.Unavailable, "no connection to an endpoint", stream.UpstreamConnectFailure, 503},
		{"/full", "", grpc.Unavailable, "too many calls or connections", stream.UpstreamOverflow, 503},
		{"/nobody", "", grpc.Unavailable, "no healthy endpoint", stream.NoHealthyUpstream, 503},
		{"/unknown", "", grpc.Unavailable, "the route leads to no cluster", stream.NoCluster, 503},
		{"/none", "", grpc.Unimplemented, "no route matches the call", stream.NoRoute, 404},
		{"/stuck", "a long message", grpc.ResourceExhausted, stream.StatusText(413), stream.DownstreamProtocolError, 413},
		{"/closed", "", grpc.PermissionDenied, "closed 100%25%0A", stream.FlagNone, 0},
		{"/busy", "", grpc.Unavailable, stream.StatusText(429), stream.FlagNone, 0},
		{"/who", "", grpc.Unauthenticated, stream.StatusText(401), stream.FlagNone, 0},
		{"/moved", "", grpc.Unknown, stream.StatusText(301), stream.FlagNone, 0},
	} {
		t.Run(test.path+test.body, func(t *testing.T) {
			resp, body := c.call(test.path, test.body)
			c.expect(resp, body, test.code, test.message)
			r := c.record()
			if r.Record.Status != 200 || r.Flag() != test.flag || r.Err != nil && r.Err.Status != test.status || (r.Err == nil) != (test.status == 0) {
				t.Errorf("record: %d %v %+v", r.Record.Status, r.Flag(), r.Err)
			}
			if got := resp.Header.Get("Server"); got != "edge" {
				t.Errorf("server %q", got)
			}
		})
	}
	c.shared[3].Breakers(false).ReleaseRequest()
	if resp, body := c.call("/fine", ""); body != "fine" || resp.Header.Get("Grpc-Status") != "" {
		t.Errorf("a success is what its route says: %v %q", resp.Header, body)
	}
	<-c.status
	c.record()
	if resp, body := c.get("/none"); resp.StatusCode != 404 || body == "" || resp.Header.Get("Grpc-Status") != "" {
		t.Errorf("another client got %d %q", resp.StatusCode, body)
	}
	if got := <-c.status; got != "OK false" {
		t.Errorf("another request was counted as %s", got)
	}
	c.record()
}

func TestGRPCDeadlines(t *testing.T) {
	told := make(chan string, 16)
	echo := newOrigin(t, func(p *peer, _ int) {
		for {
			r, _ := p.ask()
			if r == nil {
				return
			}
			told <- r.Header.Get("Grpc-Timeout")
			if r.URL.Path != "/stuck" {
				p.send("HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 0\r\ncontent-length: 0\r\n\r\n")
			}
		}
	})
	with := func(path string, g *router.GRPCTimeout, timeout time.Duration) *router.Route {
		return to(path, func(f *router.Forward) { f.GRPCTimeout, f.Timeout = g, timeout })
	}
	c := newCalls(t, settings{routes: []*router.Route{
		with("/max", &router.GRPCTimeout{Max: 2 * time.Second}, 0),
		with("/margin", &router.GRPCTimeout{Margin: time.Second}, 0),
		with("/stuck", nil, 0),
		with("/late", &router.GRPCTimeout{}, time.Millisecond),
		to("/", nil),
	}}.with(echo))
	for _, test := range []struct{ path, timeout, want string }{
		{"/", "10S", "10S"}, // as the client wrote it
		{"/", "99999999H", "99999999H"},
		{"/", "soon", "soon"}, // not ours to judge
		{"/max", "1S", "1S"},
		{"/max", "1H", "<2s"},
		{"/max", "99999999H", "<2s"},
		{"/margin", "3S", "<2s"},
	} {
		resp, _ := c.call(test.path, "", "Grpc-Timeout: "+test.timeout)
		got := <-told
		if test.want == "<2s" {
			if d, ok := grpc.ParseTimeout([]byte(got)); !ok || d > 2*time.Second || d < time.Millisecond {
				t.Errorf("%s %s: the endpoint was told %q", test.path, test.timeout, got)
			}
		} else if got != test.want {
			t.Errorf("%s %s: the endpoint was told %q", test.path, test.timeout, got)
		}
		if resp.Header.Get("Grpc-Status") != "0" || <-c.status != "OK true" {
			t.Errorf("%s %s: %v", test.path, test.timeout, resp.Header)
		}
		c.record()
	}

	for _, test := range []struct {
		path, timeout string
		tries         int
	}{
		{"/stuck", "20m", 1},
		{"/", "0n", 0},
		{"/margin", "1S", 0},
	} {
		before := c.stats(0).Timeouts[metrics.UpstreamTimeoutCall].Load()
		resp, body := c.call(test.path, "", "Grpc-Timeout: "+test.timeout)
		c.expect(resp, body, grpc.DeadlineExceeded, "no complete answer in time")
		r := c.record()
		if r.Tries != test.tries || r.Err == nil || r.Err.Cause != errCallTimeout || r.Err.Flag != stream.UpstreamTimeout {
			t.Errorf("%s %s: %d tries, %v", test.path, test.timeout, r.Tries, r.Err)
		}
		if n := c.stats(0).Timeouts[metrics.UpstreamTimeoutCall].Load() - before; n != 1 {
			t.Errorf("%s %s: counted %d times", test.path, test.timeout, n)
		}
	}
	<-told

	// A request that is no call has the route's timeout, whatever its fields say.
	c.get("/", "Grpc-Timeout: 0n")
	if got := <-told; got != "0n" {
		t.Error(got)
	}
	<-c.status
	c.record()
}

// The client's deadline stands in the place of the route's timeout where the
// route says so, and beside it elsewhere.
func TestGRPCDeadlineAndTimeout(t *testing.T) {
	release := make(chan struct{})
	slow := newOrigin(t, func(p *peer, _ int) {
		if r, _ := p.ask(); r != nil {
			<-release
			p.send("HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
		}
	})
	c := newCalls(t, settings{routes: []*router.Route{
		to("/alone", func(f *router.Forward) { f.GRPCTimeout, f.Timeout = &router.GRPCTimeout{}, time.Millisecond }),
		to("/both", func(f *router.Forward) { f.Timeout = time.Millisecond }),
	}}.with(slow))
	resp, body := c.call("/both", "", "Grpc-Timeout: 1H")
	c.expect(resp, body, grpc.DeadlineExceeded, "no complete answer in time")
	if r := c.record(); r.Err.Cause != errRouteTimeout {
		t.Error(r.Err)
	}
	release <- struct{}{}

	go func() {
		// Long enough for a timer of the route's timeout to fire.
		var begun int64
		c.loop.Do(func() { begun = c.loop.Now() })
		c.until("the route's timeout would have passed", func() bool { return c.loop.Now()-begun > int64(50*time.Millisecond) })
		release <- struct{}{}
	}()
	if resp, _ := c.call("/alone", "", "Grpc-Timeout: 1H"); resp.Header.Get("Grpc-Status") != "0" {
		t.Error(resp.Header)
	}
	<-c.status
	c.record()
}

// A call is repeated after a status that the route names, when nothing but the
// status came, and what is sent again is the same.
func TestGRPCRetries(t *testing.T) {
	const refused = "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: %d\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
	var script atomic.Pointer[func(p *peer)] // for the next connection; nil: all is well
	got := make(chan string, 10)
	serve := func(p *peer, _ int) {
		answer := script.Swap(nil)
		r, body := p.ask()
		if r == nil {
			return
		}
		got <- fmt.Sprintf("%s %.20s %d", r.URL.Path, body, len(body))
		if answer != nil {
			(*answer)(p)
			return
		}
		p.send(refused, 0)
	}
	policy := func(path string, on router.RetryOn) *router.Route {
		return to(path, func(f *router.Forward) { f.Retry = &router.Retry{Attempts: 1, On: on} })
	}
	c := newCalls(t, settings{routes: []*router.Route{
		policy("/unavailable", router.OnUnavailable), policy("/all", router.OnGRPC), policy("/other", router.On5xx|router.OnReset), to("/none", nil),
	}}.with(newOrigin(t, serve), newOrigin(t, serve)))

	only := func(code int) func(p *peer) { return func(p *peer) { p.send(refused, code) } }
	messages := func(p *peer) {
		p.send("HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\ntrailer: grpc-status\r\nconnection: close\r\n\r\n2\r\nhi\r\n0\r\ngrpc-status: 14\r\n\r\n")
	}
	early := func(p *peer) {
		p.send("HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")
	}
	whole, pieces, long := "content-length: 5\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", ""
	{
		text := strings.Repeat("x", maxReplay+1)
		long = fmt.Sprintf("transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(text), text)
	}
	trailing := "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-a: b\r\n\r\n"
	for _, test := range []struct {
		name, path, request string
		answer              func(p *peer)
		contentType         string
		tries               int
		status              string
	}{
		{"unavailable", "/unavailable", whole, only(14), "application/grpc", 2, "OK"},
		{"body in pieces", "/unavailable", pieces, only(14), "application/grpc+proto", 2, "OK"},
		{"no body", "/unavailable", "content-length: 0\r\n\r\n", only(14), "application/grpc", 2, "OK"},
		{"body too long to keep", "/unavailable", long, only(14), "application/grpc", 1, "UNAVAILABLE"},
		{"body with trailers", "/unavailable", trailing, only(14), "application/grpc", 1, "UNAVAILABLE"},
		{"another status", "/unavailable", whole, only(4), "application/grpc", 1, "DEADLINE_EXCEEDED"},
		{"success", "/all", whole, only(0), "application/grpc", 1, "OK"},
		{"cancelled", "/all", whole, only(1), "application/grpc", 2, "OK"},
		{"deadline", "/all", whole, only(4), "application/grpc", 2, "OK"},
		{"exhausted", "/all", whole, only(8), "application/grpc", 2, "OK"},
		{"internal", "/all", whole, only(13), "application/grpc", 2, "OK"},
		{"unauthenticated", "/all", whole, only(16), "application/grpc", 1, "UNAUTHENTICATED"},
		{"messages before the status", "/all", whole, messages, "application/grpc", 1, "UNAVAILABLE"},
		{"messages behind the status", "/all", whole, early, "application/grpc", 1, "UNAVAILABLE"},
		{"no call", "/all", whole, only(14), "application/json", 1, "OK"},
		{"gRPC-Web", "/all", whole, only(14), "application/grpc-web", 1, "OK"},
		{"no such condition", "/other", whole, only(14), "application/grpc", 1, "UNAVAILABLE"},
		{"no policy", "/none", whole, only(14), "application/grpc", 1, "UNAVAILABLE"},
		{"reset", "/all", whole, func(p *peer) { p.reset() }, "application/grpc", 1, "UNAVAILABLE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			script.Store(&test.answer)
			p := c.dial()
			defer p.Close()
			p.send("POST %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: %s\r\n%s", test.path, test.contentType, test.request)
			p.answer("POST")
			r := c.record()
			if r.Tries != test.tries {
				t.Errorf("%d tries, want %d", r.Tries, test.tries)
			}
			first := <-got
			for range r.Tries - 1 {
				if again := <-got; again != first {
					t.Errorf("first %q, then %q", first, again)
				}
			}
			if status := <-c.status; status != test.status+" "+fmt.Sprint(strings.HasPrefix(test.contentType, "application/grpc") && test.contentType != "application/grpc-web") {
				t.Errorf("status %s", status)
			}
		})
	}
}

// refusing is a filter that answers by itself.
type refusing struct{ status int }

func (f refusing) Serve(s *stream.Stream, _ stream.Handler) (*stream.Response, error) {
	resp := s.Respond(f.status, "text/html", []byte("<not> you"))
	resp.Header.AddString("content-encoding", "identity")
	resp.Header.AddString("www-authenticate", "Basic")
	return resp, nil
}

// What a filter refuses a call with is a status, too.
func TestGRPCFilters(t *testing.T) {
	for status, want := range map[int]string{401: "200 application/grpc 16 <not> you ", 503: "200 application/grpc 14 <not> you ", 200: "200 text/html   <not> you"} {
		c := newCalls(t, settings{routes: []*router.Route{to("/", nil)}, clusters: []*cluster.Config{clusterOf("c")}, chain: filter.Chain{{Name: "refusing", Filter: refusing{status}}}})
		resp, body := c.call("/", "hello")
		if got := fmt.Sprintf("%d %s %s %s %s", resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("Grpc-Status"), resp.Header.Get("Grpc-Message"), body); got != want {
			t.Errorf("%d: got %q, want %q", status, got, want)
		}
		if resp.Header.Get("Www-Authenticate") != "Basic" || (resp.Header.Get("Content-Encoding") != "") != (status == 200) {
			t.Errorf("%d: %v", status, resp.Header)
		}
		<-c.status
		c.record()
		if resp, body := c.get("/"); resp.StatusCode != status || body != "<not> you" {
			t.Errorf("another client got %d %q", resp.StatusCode, body)
		}
		<-c.status
		c.record()
	}
}
