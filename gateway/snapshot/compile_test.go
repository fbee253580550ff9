package snapshot

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
	"longmen/gateway/router"
	"longmen/gateway/source/yaml"
	"longmen/gateway/stream"
)

// read decodes a gateway.yaml that must be good as such.
func read(t testing.TB, text string) *resource.Set {
	t.Helper()
	result, problems := yaml.Decode("gateway.yaml", []byte(text))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return result.Set
}

// compile compiles a gateway.yaml that must be good.
func compile(t testing.TB, text string, previous *Snapshot) *Snapshot {
	t.Helper()
	s, problems := Compile(read(t, text), previous)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return s
}

const plain = `
listeners:
  http:  {bind: ":8080", routes: all}
  other: {bind: "127.0.0.1:8081", routes: more}
routes:
  all:  [{hosts: ["*"], rules: [{match: {prefix: /a}, to: {a: 1, b: 2}}, {to: a}]}]
  more: [{hosts: ["*"], rules: [{to: b}]}]
clusters:
  a: {endpoints: ["10.0.0.1:80"]}
  b: {endpoints: ["10.0.0.2:80"]}
`

func TestListenerDefaults(t *testing.T) {
	l := compile(t, plain, nil).Listeners[0]
	want := Listener{
		Name: "http", Origin: "gateway.yaml:3:3", RoutesName: "all",
		Binds:  []netip.AddrPort{netip.MustParseAddrPort("[::]:8080")},
		Socket: Socket{Backlog: 4096, NoDelay: true},
		HTTP: HTTP{
			MaxHead: 60 << 10, MaxHeaders: 100, MaxLine: 8 << 10,
			HeaderTimeout: 10 * time.Second, BodyTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
			IdleTimeout: time.Minute, StreamIdle: 5 * time.Minute, RateGrace: 10 * time.Second,
			Path:      router.PathPolicy{EscapedSlashes: router.PathReject, DotSegments: router.PathDecode, DoubleSlash: router.PathKeep},
			UseRemote: true, ServerName: "longmen", Upgrades: []string{"websocket"},
			Protocols: Protocols{HTTP1: true, HTTP2: true},
			HTTP2: HTTP2{
				MaxStreams: 100, StreamWindow: 64 << 10, ConnWindow: 1 << 20, MaxStreamWindow: 1 << 20, MaxConnWindow: 4 << 20, HeaderTable: 4096,
				PingTimeout: 15 * time.Second, Resets: Allowance{500, 100}, Control: Allowance{1000, 500}, Continuations: 8, ExtendedConnect: true,
			},
		},
	}
	if diff := cmp.Diff(want, *l, cmpopts.IgnoreFields(Listener{}, "RoutesHash", "Hash", "Routes"), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestListenerSettings(t *testing.T) {
	l := compile(t, `
listeners:
  http:
    bind: ["127.0.0.1:8080", "[::1]:8080"]
    routes: [{hosts: ["*"], rules: [{respond: {status: 204}}]}]
    path: {encoded_slash: reject, dot_segments: reject, double_slash: merge}
    limits: {connections: 1, accept_rate: 2, client_connections: 8, active_requests: 9, header_bytes: 3KiB, headers: 4, line: 512, body: 6, requests: 7}
    timeouts: {header: 1s, body: 2s, idle: 3s, write: 4s, stream: 5s, request: 6s}
    min_rate: {request: 1, response: 2, grace: 3s}
    forwarded: {trusted_hops: 2, x_forwarded_for: keep, via: edge, rfc7239: true, request_id: preserve, request_id_in_response: true}
    server: {header: set, name: me}
    half_close: abort
    upgrades: [WebSocket, chat]
    protocols: http/1.1
    http2:
      {max_streams: 1, stream_window: 65535, connection_window: 70000, max_stream_window: 80000, max_connection_window: 90000, header_table: 0,
      ping: {interval: 1s, timeout: 2s}, resets: {burst: 3, per_second: 4}, control: {burst: 5, per_second: 6}, continuations: 7, connect: false}
    backlog: 9
    fast_open: 10
    tcp: {nodelay: false, keepalive: {idle: 11s, interval: 12s, probes: 13}}
    access_log: [{path: /a, format: "%RESPONSE_CODE%"}, {path: /b, format: json}]
`, nil).Listeners[0]
	want := Listener{
		Name: "http", Origin: "gateway.yaml:3:3",
		Binds:  []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8080"), netip.MustParseAddrPort("[::1]:8080")},
		Socket: Socket{Backlog: 9, FastOpen: 10, KeepaliveIdle: 11 * time.Second, KeepaliveInterval: 12 * time.Second, KeepaliveProbes: 13},
		HTTP: HTTP{
			MaxConnections: 1, AcceptRate: 2, MaxClientConnections: 8, MaxActiveRequests: 9, MaxHead: 3 << 10, MaxHeaders: 4, MaxLine: 512, MaxBody: 6, MaxRequests: 7,
			HeaderTimeout: time.Second, BodyTimeout: 2 * time.Second, IdleTimeout: 3 * time.Second,
			WriteTimeout: 4 * time.Second, StreamIdle: 5 * time.Second, RequestTimeout: 6 * time.Second,
			MinRequestRate: 1, MinResponseRate: 2, RateGrace: 3 * time.Second,
			TrustedHops: 2, Via: "edge", Forwarded: true, RequestID: RequestIDPreserve, RequestIDInResponse: true,
			ServerHeader: ServerSet, ServerName: "me", AbortOnHalfClose: true,
			Protocols: Protocols{HTTP1: true},
			HTTP2: HTTP2{
				MaxStreams: 1, StreamWindow: 65535, ConnWindow: 70000, MaxStreamWindow: 80000, MaxConnWindow: 90000, HeaderTable: 0,
				PingInterval: time.Second, PingTimeout: 2 * time.Second, Resets: Allowance{3, 4}, Control: Allowance{5, 6}, Continuations: 7,
			},
			Path:      router.PathPolicy{EscapedSlashes: router.PathReject, DotSegments: router.PathReject, DoubleSlash: router.PathDecode},
			Upgrades:  []string{"websocket", "chat"},
			AccessLog: []AccessLog{{Path: "/a"}, {Path: "/b", JSON: true}},
		},
	}
	options := []cmp.Option{
		cmpopts.IgnoreFields(Listener{}, "RoutesHash", "Hash", "Routes"), cmpopts.IgnoreFields(AccessLog{}, "Format"),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	}
	if diff := cmp.Diff(want, *l, options...); diff != "" {
		t.Error(diff)
	}
	if l.HTTP.AccessLog[0].Format == nil || l.HTTP.AccessLog[1].Format == nil || l.Routes == nil {
		t.Error("a format or the routes are missing")
	}
}

func TestAccessLogOfTheProcess(t *testing.T) {
	log, err := TextLog("/dev/stdout", "")
	if err != nil {
		t.Fatal(err)
	}
	set := read(t, `
listeners:
  own:  {bind: ":1", routes: all, access_log: {path: /own}}
  none: {bind: ":2", routes: all, access_log: "off"}
  rest: {bind: ":3", routes: all}
routes: {all: [{hosts: ["*"], rules: [{respond: {status: 204}}]}]}
`)
	s, problems := Defaults{AccessLog: []AccessLog{log}}.Compile(set, nil)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range s.Listeners {
		path := "-"
		if len(l.HTTP.AccessLog) == 1 {
			path = l.HTTP.AccessLog[0].Path
		}
		got = append(got, path)
	}
	if strings.Join(got, " ") != "/own - /dev/stdout" {
		t.Errorf("got %v", got)
	}
}

// first gives the route that the first listener finds for a path.
func first(t *testing.T, s *Snapshot, path string) *router.Route {
	t.Helper()
	r := s.Listeners[0].Routes.Find(&stream.Request{
		Method: []byte("GET"), Scheme: "http", Authority: []byte("x"), Host: []byte("x"), Path: []byte(path),
	}, netip.MustParseAddr("127.0.0.1"), 0)
	if r == nil {
		t.Fatalf("no route for %s", path)
	}
	return r
}

func TestForward(t *testing.T) {
	s := compile(t, `
listeners: {http: {bind: ":8080", routes: all}}
routes:
  all:
    headers: {request: {remove: [x-rule]}, response: {set: {x-table: "1"}}}
    hosts:
      - hosts: ["*"]
        headers: {request: {set: {x-host: "1"}}}
        rules:
          - {match: {prefix: /plain}, to: a}
          - name: named
            match: {prefix: /full, client: [10.0.0.0/8, 127.0.0.1]}
            to: {a: 3, b: {weight: 1, headers: {response: {set: {x-b: "1"}}}}}
            timeout: 9s
            idle_timeout: 8s
            retry: {attempts: 2, on: [5xx], codes: [429, 503], per_try: 1s, backoff: {base: 1ms, max: 2ms}, unsafe: true}
            rewrite: {prefix: /new, host: inner.example.com}
            headers: {request: {set: {x-rule: "1"}, default: {x-d: "1"}, replace: {x-r: "1"}, add: {x-a: "1"}}}
            upgrades: {chat: true, WebSocket: false}
            max_body: 5
          - {match: {prefix: /retry}, to: a, retry: {on: [reset]}}
          - {match: {prefix: /header}, to: {header: X-Cluster}, timeout: 0s, rewrite: {regex: {match: a, to: b}}}
clusters:
  a: {endpoints: ["10.0.0.1:80"]}
  b: {endpoints: ["10.0.0.2:80"]}
`, nil)
	f := first(t, s, "/plain").Forward
	if f.Timeout != 15*time.Second || f.Retry != nil || f.TotalWeight != 1 || f.Clusters[0].Cluster != (router.ClusterRef{Name: "a", Slot: 0}) {
		t.Errorf("plain: %+v", f)
	}
	r := first(t, s, "/full")
	f = r.Forward
	switch {
	case r.Name != "named", r.Origin != "gateway.yaml:11:13",
		len(r.Match.Sources) != 2, r.Match.Sources[1] != netip.MustParsePrefix("127.0.0.1/32"),
		f.Timeout != 9*time.Second, f.IdleTimeout != 8*time.Second, f.HostRewrite != "inner.example.com", *f.PrefixRewrite != "/new",
		f.TotalWeight != 4, f.Clusters[1].Weight != 1, f.Clusters[1].Response == nil, f.Clusters[1].Cluster.Slot != 1,
		f.MaxBody != 5, len(f.Upgrades) != 1, f.Upgrades[0] != "chat", !slices.Equal(f.NoUpgrades, []string{"websocket"}):
		t.Errorf("full: %+v, %+v", r, f)
	}
	want := router.Retry{
		Attempts: 2, On: router.On5xx | router.OnRetriableStatusCodes, Codes: []int{429, 503}, PerTry: time.Second, Unsafe: true,
		BackoffBase: time.Millisecond, BackoffMax: 2 * time.Millisecond,
	}
	if diff := cmp.Diff(want, *f.Retry); diff != "" {
		t.Error(diff)
	}
	// The table's removal comes last: it takes away what the rule set.
	var names []string
	for _, field := range r.Request.Fields {
		names = append(names, field.Name)
	}
	if got := strings.Join(names, " "); !strings.Contains(got, "x-host") || strings.Contains(got, "x-rule") || r.Request.Remove[0] != "x-rule" {
		t.Errorf("request edits: %s, removed %v", got, r.Request.Remove)
	}
	if retry := first(t, s, "/retry").Forward.Retry; retry.Attempts != 1 || retry.BackoffBase != 25*time.Millisecond || retry.BackoffMax != 250*time.Millisecond {
		t.Errorf("retry: %+v", retry)
	}
	if f = first(t, s, "/header").Forward; f.ClusterHeader != "x-cluster" || f.Timeout != 0 || f.RegexRewrite.Pattern != "a" {
		t.Errorf("header: %+v", f)
	}
}

func TestAnswers(t *testing.T) {
	s := compile(t, `
listeners:
  http:
    bind: ":8080"
    routes:
      - hosts: ["*"]
        rules:
          - {match: {path: /a}, redirect: {scheme: https, host: example.com, port: 8443, path: /x?y, status: 308, strip_query: true}}
          - {match: {prefix: /b}, redirect: {prefix: /c}}
          - {match: {path: /c}, respond: {status: 503, body: closed, type: text/html}}
`, nil)
	if diff := cmp.Diff(router.Redirect{Status: 308, Scheme: "https", Host: "example.com", Port: 8443, Path: "/x?y", StripQuery: true}, *first(t, s, "/a").Redirect); diff != "" {
		t.Error(diff)
	}
	if r := first(t, s, "/b").Redirect; r.Status != 301 || *r.Prefix != "/c" {
		t.Errorf("%+v", r)
	}
	if diff := cmp.Diff(router.Respond{Status: 503, Body: []byte("closed"), ContentType: "text/html"}, *first(t, s, "/c").Respond); diff != "" {
		t.Error(diff)
	}
}

func TestClusterDefaults(t *testing.T) {
	got := compile(t, plain, nil).Clusters[0].Config()
	want := &cluster.Config{
		Name: "a", Origin: "gateway.yaml:9:3",
		Endpoints: []cluster.EndpointConfig{{Host: "10.0.0.1", Port: 80, Weight: 1, Origin: "gateway.yaml:9:19"}},
		DNS:       cluster.DNSConfig{Refresh: 5 * time.Second, MinRefresh: time.Second},
		Choices:   2, ConnectTimeout: 5 * time.Second,
		Limits:     cluster.Limits{Pending: 1024, Retries: 3},
		HighLimits: cluster.Limits{Pending: 1024, Retries: 3},
		Pool:       cluster.Pool{Idle: 1024, IdleTimeout: time.Minute},
		HTTP2:      defaultUpstreamHTTP2,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(cluster.Config{}, "Hash"), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestClusterSettings(t *testing.T) {
	s := compile(t, `
listeners: {http: {bind: ":8080", routes: [{hosts: ["*"], rules: [{to: {full: 1, dns: 1}}]}]}}
clusters:
  full:
    endpoints: [{address: "10.0.0.1:80", weight: 3, hostname: one, drain: true}, "[2001:db8::1]:81"]
    lb: {least_request: {choices: 4}}
    health:
      - {http: "/h?x", every: 2s, timeout: 1s, jitter: 3s, up: 4, down: 5, host: h, method: HEAD, headers: {x-a: "1"}, status: 200-399, expect: ok}
      - {tcp: {send: ping, expect: pong}}
    timeouts: {connect: 1s, response: 2s}
    limits: {connections: 1, requests: 2, pending: 3, retries: 4}
    pool: {idle: 1, idle_timeout: 2s, max_requests: 3, max_age: 4s}
    panic: 40
    tcp: {keepalive: {idle: 60s, interval: 61s, probes: 62}, source: 10.0.0.9}
    protocol: h2
    http2: {max_streams: 1, max_connections: 2, stream_window: 70000, max_stream_window: 80000, connection_window: 90000, header_table: 0, ping: {interval: 1s, timeout: 2s}}
  dns: {endpoints: {dns: "api.internal:90", mode: logical, refresh: 9s, respect_ttl: false, family: v4}, lb: random}
`, nil)
	want := &cluster.Config{
		Name: "full",
		Endpoints: []cluster.EndpointConfig{
			{Host: "10.0.0.1", Port: 80, Weight: 3, Hostname: "one", Draining: true},
			{Host: "2001:db8::1", Port: 81, Weight: 1},
		},
		DNS:     cluster.DNSConfig{Refresh: 5 * time.Second, MinRefresh: time.Second},
		Balance: cluster.LeastRequest, Choices: 4, PanicThreshold: 40,
		Health: []cluster.HealthConfig{
			{
				HTTP:  &cluster.HTTPHealth{Path: "/h?x", Host: "h", Method: "HEAD", Expected: []cluster.Statuses{{Low: 200, High: 400}}, Headers: map[string]string{"x-a": "1"}, Expect: [][]byte{[]byte("ok")}},
				Every: 2 * time.Second, Timeout: time.Second, Jitter: 3 * time.Second, Healthy: 4, Unhealthy: 5,
			},
			{
				TCP:   &cluster.TCPHealth{Send: []byte("ping"), Receive: [][]byte{[]byte("pong")}},
				Every: 5 * time.Second, Timeout: time.Second, Healthy: 2, Unhealthy: 3,
			},
		},
		ConnectTimeout: time.Second, ResponseTimeout: 2 * time.Second,
		Limits:     cluster.Limits{Connections: 1, Requests: 2, Pending: 3, Retries: 4},
		HighLimits: cluster.Limits{Pending: 1024, Retries: 3},
		Pool:       cluster.Pool{Idle: 1, IdleTimeout: 2 * time.Second, MaxRequests: 3, MaxAge: 4 * time.Second},
		TCP: cluster.TCP{
			KeepaliveIdle: time.Minute, KeepaliveInterval: 61 * time.Second, KeepaliveProbes: 62, Source: netip.MustParseAddr("10.0.0.9"),
		},
		Protocol: cluster.HTTP2Only,
		HTTP2: cluster.HTTP2{
			MaxStreams: 1, MaxConnections: 2, StreamWindow: 70000, MaxWindow: 80000, ConnWindow: 90000, HeaderTable: 1,
			PingInterval: time.Second, PingTimeout: 2 * time.Second,
		},
	}
	options := []cmp.Option{
		cmpopts.IgnoreFields(cluster.Config{}, "Hash", "Origin"), cmpopts.IgnoreFields(cluster.EndpointConfig{}, "Origin"),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	}
	if diff := cmp.Diff(want, s.Clusters[0].Config(), options...); diff != "" {
		t.Error(diff)
	}
	got := s.Clusters[1].Config()
	if got.Discovery != cluster.LogicalDNS || got.DNS.Refresh != 9*time.Second || got.DNS.RespectTTL || got.DNS.Family != cluster.V4Only ||
		got.Balance != cluster.Random || got.Endpoints[0].Host != "api.internal" {
		t.Errorf("dns: %+v", got)
	}
}
