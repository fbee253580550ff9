package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"longmen/gateway/router"
	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
	"longmen/gateway/upstream/origintest"
)

// mirrorOrigin answers with the request as it came: target, host and fields.
func mirrorOrigin(t testing.TB, fields ...string) *origintest.Origin {
	return newOrigin(t, func(p *peer, _ int) {
		for {
			r, body := p.ask()
			if r == nil {
				return
			}
			r.Header.Set("Host", r.Host)
			r.Header.Set("Target", r.RequestURI)
			r.Header.Set("Method", r.Method)
			r.Header.Set("Length", fmt.Sprint(len(body)))
			text, _ := json.Marshal(r.Header)
			p.send("HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n%s", lines(fields), len(text), text)
		}
	})
}

// arrived is the request as the endpoint saw it.
func arrived(t testing.TB, body string) http.Header {
	t.Helper()
	var h http.Header
	if err := json.Unmarshal([]byte(body), &h); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return h
}

func TestForwardingFields(t *testing.T) {
	const me = "127.0.0.1"
	for _, test := range []struct {
		name   string
		http   snapshot.HTTP
		send   []string
		want   map[string]string // at the endpoint; "": not there
		client string
	}{
		{name: "nothing asked for", send: []string{"X-Forwarded-For: 1.2.3.4"}, client: me,
			want: map[string]string{"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "", "Via": "", "Forwarded": ""}},
		{name: "the peer's address", http: snapshot.HTTP{UseRemote: true}, client: me,
			want: map[string]string{"X-Forwarded-For": me, "X-Forwarded-Proto": "http", "X-Forwarded-Host": "test"}},
		{name: "an untrusted client", http: snapshot.HTTP{UseRemote: true}, client: me,
			send: []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "X-Forwarded-Host: evil2", "X-Forwarded-Proto: wss"},
			want: map[string]string{"X-Forwarded-For": "6.6.6.6, " + me, "X-Forwarded-Proto": "http", "X-Forwarded-Host": "test"}},
		{name: "one trusted hop", http: snapshot.HTTP{UseRemote: true, TrustedHops: 1}, client: "2.2.2.2",
			send: []string{"X-Forwarded-For: 6.6.6.6, 2.2.2.2", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop"},
			want: map[string]string{"X-Forwarded-For": "6.6.6.6, 2.2.2.2, " + me, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop"}},
		{name: "two hops over several lines", http: snapshot.HTTP{UseRemote: true, TrustedHops: 2}, client: "2.2.2.2",
			send: []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For:  2.2.2.2 ", "X-Forwarded-For: ::1"},
			want: map[string]string{"X-Forwarded-For": "6.6.6.6, 2.2.2.2, ::1, " + me}},
		{name: "fewer hops than trusted", http: snapshot.HTTP{UseRemote: true, TrustedHops: 3}, client: me,
			send: []string{"X-Forwarded-For: 2.2.2.2"},
			want: map[string]string{"X-Forwarded-For": "2.2.2.2, " + me, "X-Forwarded-Proto": "http"}},
		{name: "a hop that is no address", http: snapshot.HTTP{TrustedHops: 1}, client: me,
			send: []string{"X-Forwarded-For: 2.2.2.2, unknown"}, want: map[string]string{"X-Forwarded-For": "2.2.2.2, unknown"}},
		{name: "a mapped address", http: snapshot.HTTP{TrustedHops: 1}, client: "2.2.2.2",
			send: []string{"X-Forwarded-For: ::ffff:2.2.2.2"}},
		{name: "an empty field", http: snapshot.HTTP{UseRemote: true, TrustedHops: 1}, client: me,
			send: []string{"X-Forwarded-For:"}, want: map[string]string{"X-Forwarded-For": me}},
		{name: "RFC 7239", http: snapshot.HTTP{Forwarded: true}, client: me,
			want: map[string]string{"Forwarded": `for=127.0.0.1;host="test";proto=http`, "X-Forwarded-For": ""}},
		{name: "RFC 7239 appended", http: snapshot.HTTP{Forwarded: true}, client: me, send: []string{"Forwarded: for=a", "Forwarded: for=b"},
			want: map[string]string{"Forwarded": `for=a, for=b, for=127.0.0.1;host="test";proto=http`}},
		{name: "Via", http: snapshot.HTTP{Via: "edge"}, client: me, want: map[string]string{"Via": "1.1 edge"}},
		{name: "Via appended", http: snapshot.HTTP{Via: "edge"}, client: me, send: []string{"Via: 1.0 a, 1.1 b"},
			want: map[string]string{"Via": "1.0 a, 1.1 b, 1.1 edge"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t, settings{http: test.http, routes: []*router.Route{to("/", nil)}}.with(mirrorOrigin(t)))
			resp, body := s.get("/", test.send...)
			h := arrived(t, body)
			for name, want := range test.want {
				got := h[name]
				if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || got[0] != want) {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if r := s.record(); r.Client.String() != test.client {
				t.Errorf("client %s, want %s", r.Client, test.client)
			}
			if test.http.Via != "" && resp.Header.Get("Via") != "1.1 edge" {
				t.Errorf("response: Via %q", resp.Header["Via"])
			}
		})
	}
}

var uuid4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestRequestIDs(t *testing.T) {
	const sent = "X-Request-Id: mine"
	for _, test := range []struct {
		policy snapshot.RequestIDPolicy
		send   []string
		want   string // "new": a generated one
	}{
		{snapshot.RequestIDGenerate, nil, "new"},
		{snapshot.RequestIDGenerate, []string{sent, "X-Request-Id: two"}, "new"},
		{snapshot.RequestIDPreserve, []string{sent}, "mine"},
		{snapshot.RequestIDPreserve, nil, "new"},
		{snapshot.RequestIDPreserve, []string{"X-Request-Id:"}, "new"},
		{snapshot.RequestIDPreserve, []string{"X-Request-Id: " + strings.Repeat("x", 129)}, "new"},
		{snapshot.RequestIDOff, []string{sent}, "mine"},
		{snapshot.RequestIDOff, nil, ""},
	} {
		for _, inResponse := range []bool{true, false} {
			s := newStage(t, settings{http: snapshot.HTTP{RequestID: test.policy, RequestIDInResponse: inResponse}, routes: []*router.Route{to("/", nil)}}.
				with(mirrorOrigin(t, "x-request-id: theirs")))
			seen := map[string]bool{}
			for range 3 {
				resp, body := s.get("/", test.send...)
				got := arrived(t, body)["X-Request-Id"]
				id := strings.Join(got, "|")
				if test.want == "new" && (!uuid4.MatchString(id) || seen[id]) || test.want != "new" && id != test.want {
					t.Errorf("%v %q: %q, want %q", test.policy, test.send, got, test.want)
				}
				seen[id] = true
				want := "theirs"
				if inResponse && id != "" {
					want = id
				}
				if back := resp.Header["X-Request-Id"]; len(back) != 1 || back[0] != want {
					t.Errorf("%v: response has %q, want %q", test.policy, back, want)
				}
				s.record()
			}
		}
	}
}

func TestServerField(t *testing.T) {
	for _, test := range []struct {
		policy         snapshot.ServerHeader
		theirs, passed string
		own            string // on a local reply
	}{
		{snapshot.ServerKeep, "apache", "apache", "longmen"},
		{snapshot.ServerKeep, "", "", "longmen"},
		{snapshot.ServerSet, "apache", "longmen", "longmen"},
		{snapshot.ServerSet, "longmen", "longmen", "longmen"},
		{snapshot.ServerSet, "", "longmen", "longmen"},
		{snapshot.ServerRemove, "apache", "", ""},
		{snapshot.ServerRemove, "", "", ""},
	} {
		var theirs []string
		if test.theirs != "" {
			theirs = []string{"server: " + test.theirs}
		}
		s := newStage(t, settings{http: snapshot.HTTP{ServerHeader: test.policy, ServerName: "longmen"}, routes: []*router.Route{
			{Match: router.Match{Path: "/ours"}, Respond: &router.Respond{Status: 200, Body: []byte("x")}}, to("/up", nil)}}.with(mirrorOrigin(t, theirs...)))
		for path, want := range map[string]string{"/up": test.passed, "/ours": test.own, "/nowhere": test.own} {
			resp, _ := s.get(path)
			if got := strings.Join(resp.Header["Server"], "|"); got != want {
				t.Errorf("%v, %q, %s: %q, want %q", test.policy, test.theirs, path, got, want)
			}
			s.record()
		}
	}
}

func format(t testing.TB, text string) *stream.Format {
	t.Helper()
	f, err := stream.ParseFormat(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestActions(t *testing.T) {
	prefix := "/new"
	edits := &router.HeaderEdits{Remove: []string{"x-gone"}, Fields: []router.HeaderEdit{{Name: "x-added", Value: format(t, "by %REQ(:METHOD)%"), Action: router.SetAlways}}}
	second := clusterOf("second")
	routes := []*router.Route{
		{Name: "redirect", Match: router.Match{Path: "/old"}, Redirect: &router.Redirect{Status: 308, Host: "other"}, Response: edits},
		{Name: "respond", Match: router.Match{Path: "/teapot"}, Respond: &router.Respond{Status: 418, Body: []byte("{}"), ContentType: "application/json"}, Response: edits},
		{Name: "empty", Match: router.Match{Path: "/empty"}, Respond: &router.Respond{Status: 204}},
		{Name: "rewrite", Match: router.Match{RawPrefix: "/old/"}, Request: edits, Response: edits, Forward: to("", func(f *router.Forward) {
			f.PrefixRewrite, f.HostRewrite = &prefix, "inside:81"
		}).Forward},
		{Name: "named", Match: router.Match{RawPrefix: "/named"}, Forward: &router.Forward{ClusterHeader: "x-cluster"}},
		{Name: "nobody", Match: router.Match{RawPrefix: "/nobody"}, Forward: &router.Forward{
			Clusters: []router.WeightedCluster{{Cluster: router.ClusterRef{Name: "second", Slot: 1}, Weight: 1}}, TotalWeight: 1}},
		{Name: "moved", Match: router.Match{RawPrefix: "/moved"}, Forward: &router.Forward{
			Clusters: []router.WeightedCluster{{Cluster: router.ClusterRef{Name: "third", Slot: 0}, Weight: 1}}, TotalWeight: 1}},
		{Name: "gone", Match: router.Match{RawPrefix: "/gone"}, Forward: &router.Forward{
			Clusters: []router.WeightedCluster{{Cluster: router.ClusterRef{Name: "gone", Slot: 7}, Weight: 1}}, TotalWeight: 1}},
		to("/up", nil),
	}
	set := settings{routes: routes}.with(mirrorOrigin(t, "x-gone: 1", "x-stays: 2"))
	set.clusters = append(set.clusters, second)
	s := newStage(t, set)

	resp, _ := s.get("/old?q=1")
	if resp.StatusCode != 308 || resp.Header.Get("Location") != "http://other/old?q=1" || resp.Header.Get("X-Added") != "by GET" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if r := s.record(); r.Route != "redirect" || r.Cluster != "" || r.Tries != 0 || r.Err != nil {
		t.Errorf("%+v", r)
	}
	resp, body := s.get("/teapot")
	if resp.StatusCode != 418 || body != "{}" || resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("X-Added") != "by GET" {
		t.Errorf("%d %v %q", resp.StatusCode, resp.Header, body)
	}
	s.record()
	resp, body = s.get("/empty")
	if resp.StatusCode != 204 || body != "" || resp.Header.Get("Content-Type") != "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	s.record()
	resp, body = s.get("/old/x?y=%20z", "X-Gone: 1", "X-Stays: 2")
	at := arrived(t, body)
	if at.Get("Target") != "/new/x?y=%20z" && at.Get("Target") != "/newx?y=%20z" || at.Get("Host") != "inside:81" ||
		at.Get("X-Gone") != "" || at.Get("X-Stays") != "2" || at.Get("X-Added") != "by GET" {
		t.Errorf("%v", at)
	}
	if resp.Header.Get("X-Gone") != "" || resp.Header.Get("X-Stays") != "2" || resp.Header.Get("X-Added") != "by GET" {
		t.Errorf("%v", resp.Header)
	}
	if r := s.record(); r.Route != "rewrite" || r.Cluster != "c" || r.Tries != 1 || !r.Endpoint.IsValid() {
		t.Errorf("%+v", r)
	}
	for _, test := range []struct {
		path   string
		fields []string
		status int
		flag   stream.Flag
	}{
		{"/nowhere", nil, 404, stream.NoRoute},
		{"/named", nil, 503, stream.NoCluster},
		{"/named", []string{"X-Cluster: what"}, 503, stream.NoCluster},
		{"/named", []string{"X-Cluster: c"}, 200, 0},
		{"/nobody", nil, 503, stream.NoHealthyUpstream},
		{"/moved", nil, 503, stream.NoCluster},
		{"/gone", nil, 503, stream.NoCluster},
		{"/up/a?b", nil, 200, 0},
	} {
		resp, body := s.get(test.path, test.fields...)
		if resp.StatusCode != test.status {
			t.Errorf("%s %v: %d", test.path, test.fields, resp.StatusCode)
		}
		if r := s.record(); r.Flag() != test.flag || r.Status != test.status {
			t.Errorf("%s %v: %v", test.path, test.fields, r.Err)
		}
		if test.path == "/up/a?b" && arrived(t, body).Get("Target") != test.path {
			t.Error(body)
		}
	}
}

func TestMethodsWithoutAPath(t *testing.T) {
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}}.with(mirrorOrigin(t)))
	c := s.dial()
	c.send("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n")
	resp, body := c.answer("OPTIONS")
	if resp.StatusCode != 200 || arrived(t, body).Get("Target") != "*" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	s.record()
	c.send("CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n")
	if resp, _ := c.answer("GET"); resp.StatusCode != 405 || resp.Header.Get("Allow") == "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if r := s.record(); r.Tries != 0 {
		t.Errorf("%+v", r)
	}
}

// The path that is routed is the path that goes upstream.
func TestCanonicalPath(t *testing.T) {
	s := newStage(t, settings{http: snapshot.HTTP{Path: router.PathPolicy{DotSegments: router.PathDecode}}, routes: []*router.Route{
		{Match: router.Match{RawPrefix: "/secret"}, Respond: &router.Respond{Status: 403}}, to("/", nil)}}.with(mirrorOrigin(t)))
	for path, want := range map[string]string{
		"/a/../b": "/b", "/a/./b?c=/../d": "/a/b?c=/../d", "/%61%2d": "/a-", "/x/../secret": "403", "/%73ecret": "403",
		"/..": "/", "/%00": "400", "/a%zz": "400", "/?": "/?", "/a": "/a",
	} {
		resp, body := s.get(path)
		got := fmt.Sprint(resp.StatusCode)
		if got == "200" {
			got = arrived(t, body).Get("Target")
		}
		if got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
		s.record()
	}
}

func TestMaxBody(t *testing.T) {
	s := newStage(t, settings{http: snapshot.HTTP{MaxBody: 10}, routes: []*router.Route{
		to("/more", func(f *router.Forward) { f.MaxBody = 20 }), to("/", nil)}}.with(mirrorOrigin(t)))
	for _, path := range []string{"/", "/more"} {
		limit := 10
		if path == "/more" {
			limit = 20
		}
		for _, n := range []int{limit - 1, limit, limit + 1, 5000} {
			for _, chunked := range []bool{false, true} {
				c := s.dial()
				body := strings.Repeat("x", n)
				if chunked { // in two chunks, of which the second one breaks the limit
					c.send("PUT %s HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n%x\r\n%s\r\n0\r\n\r\n", path, n-1, body[1:])
				} else {
					c.send("PUT %s HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", path, n, body)
				}
				resp, got := c.answer("PUT")
				want := 200
				if n > limit {
					want = 413
				}
				if resp.StatusCode != want || want == 200 && arrived(t, got).Get("Length") != fmt.Sprint(n) {
					t.Errorf("%s %d chunked %t: %d", path, n, chunked, resp.StatusCode)
				}
				if r := s.record(); want == 413 && r.Flag() != stream.DownstreamProtocolError {
					t.Errorf("%v", r.Err)
				}
				c.Close()
			}
		}
	}
	s.quiet()
}

// RFC 9110 section 7.6.3: Via names the version that was received.
func TestViaOfAnOldClient(t *testing.T) {
	s := newStage(t, settings{http: snapshot.HTTP{Via: "edge"}, routes: []*router.Route{to("/", nil)}}.with(mirrorOrigin(t)))
	c := s.dial()
	c.send("GET / HTTP/1.0\r\nHost: test\r\n\r\n")
	if _, body := c.answer("GET"); arrived(t, body).Get("Via") != "1.0 edge" {
		t.Error(body)
	}
}

// What is only for the next hop does not pass (RFC 9110 section 7.6.1).
func TestHopByHop(t *testing.T) {
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}}.with(mirrorOrigin(t, "connection: x-private", "x-private: 1", "keep-alive: timeout=5", "x-public: 2")))
	resp, body := s.get("/", "Connection: X-Mine, keep-alive", "X-Mine: 1", "Keep-Alive: 5", "Proxy-Connection: keep-alive", "X-Yours: 2")
	at := arrived(t, body)
	if at.Get("X-Mine") != "" || at.Get("Keep-Alive") != "" || at.Get("Proxy-Connection") != "" || at.Get("Connection") != "" || at.Get("X-Yours") != "2" {
		t.Errorf("request: %v", at)
	}
	if h := resp.Header; h.Get("X-Private") != "" || h.Get("Keep-Alive") != "" || h.Get("X-Public") != "2" {
		t.Errorf("response: %v", h)
	}
}
