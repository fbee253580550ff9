package snapshot

//lint:file-ignore SA1019 control planes still send fields that Envoy calls deprecated

import (
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	upstreams "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
)

// defaultUpstreamHTTP2 is what a cluster has that says nothing about HTTP/2.
var defaultUpstreamHTTP2 = cluster.HTTP2{
	MaxStreams: 100, StreamWindow: 64 << 10, ConnWindow: 1 << 20, MaxWindow: 4 << 20, HeaderTable: 4096, PingTimeout: 15 * time.Second,
}

func TestListenerProtocols(t *testing.T) {
	for written, want := range map[string]Protocols{
		"":                           {HTTP1: true, HTTP2: true},
		"protocols: [h2, http/1.1]":  {HTTP1: true, HTTP2: true},
		"protocols: [http/1.1, h2]":  {HTTP1: true, HTTP2: true},
		"protocols: http/1.1":        {HTTP1: true},
		"protocols: [h2], http2: {}": {HTTP2: true},
	} {
		s := compile(t, `listeners: {http: {bind: ":1", `+written+strings.Repeat(", ", min(1, len(written)))+`routes: [{hosts: ["*"], rules: [{respond: {status: 204}}]}]}}`, nil)
		if got := s.Listeners[0].HTTP.Protocols; got != want || len(s.Warnings) > 0 {
			t.Errorf("%q: %+v, %v", written, got, s.Warnings)
		}
	}
}

// Defaults follow other settings, and a window is allowed to stay as it begins.
func TestHTTP2Defaults(t *testing.T) {
	for written, want := range map[string]func(*HTTP2){
		"http2: {}":                            func(*HTTP2) {},
		"limits: {header_bytes: 8KiB}":         func(h *HTTP2) { h.Continuations = 5 },
		"limits: {header_bytes: 8MiB}":         func(h *HTTP2) { h.Continuations = 516 },
		"upgrades: []":                         func(h *HTTP2) { h.ExtendedConnect = false },
		"upgrades: [], http2: {}":              func(h *HTTP2) { h.ExtendedConnect = false },
		"http2: {connect: false}":              func(h *HTTP2) { h.ExtendedConnect = false },
		"upgrades: [], http2: {connect: true}": func(*HTTP2) {},
		"http2: {stream_window: 2MiB, connection_window: 8MiB}": func(h *HTTP2) {
			h.StreamWindow, h.MaxStreamWindow, h.ConnWindow, h.MaxConnWindow = 2<<20, 2<<20, 8<<20, 8<<20
		},
		"http2: {stream_window: 1MiB, max_stream_window: 1MiB}":  func(h *HTTP2) { h.StreamWindow = 1 << 20 },
		"http2: {resets: {burst: 7}, control: {per_second: 8}}":  func(h *HTTP2) { h.Resets.Burst, h.Control.PerSecond = 7, 8 },
		"http2: {resets: {per_second: 9}, control: {burst: 10}}": func(h *HTTP2) { h.Resets.PerSecond, h.Control.Burst = 9, 10 },
		"http2: {ping: {interval: 0s}}":                          func(*HTTP2) {},
		"http2: {ping: {interval: 1m}}":                          func(h *HTTP2) { h.PingInterval = time.Minute },
	} {
		expected := defaultHTTP2()
		expected.Continuations, expected.ExtendedConnect = 8, true
		want(&expected)
		s := compile(t, `listeners: {http: {bind: ":1", `+written+`, routes: [{hosts: ["*"], rules: [{respond: {status: 204}}]}]}}`, nil)
		if got := s.Listeners[0].HTTP.HTTP2; got != expected {
			t.Errorf("%s: %+v", written, got)
		}
	}
}

// What gateway.yaml can say and is wrong all the same.
func TestHTTP2Contradictions(t *testing.T) {
	const text = `
listeners: {http: {bind: ":1", LISTENER, routes: [{hosts: ["*"], rules: [{to: a}]}]}}
clusters: {a: {endpoints: ["10.0.0.1:80"]CLUSTER}}
`
	for _, test := range []struct{ listener, cluster, want string }{
		{"http2: {max_stream_window: 65535}", "", `listeners.http.http2.max_stream_window: 65535 bytes are less than the window begins with (stream_window: 65536)`},
		{"http2: {connection_window: 2MiB, max_connection_window: 1MiB}", "", `listeners.http.http2.max_connection_window: 1048576 bytes are less than the window begins with (connection_window: 2097152)`},
		{"protocols: http/1.1, http2: {max_streams: 5}", "", `listeners.http.http2: warning: has no effect: the listener speaks HTTP/1.1 alone`},
		{"upgrades: []", ", protocol: h2, http2: {stream_window: 1MiB, max_stream_window: 64KiB}", `clusters.a.http2.max_stream_window: 65536 bytes are less than the window begins with (stream_window: 1048576)`},
		{"upgrades: []", ", protocol: auto", `clusters.a.protocol: warning: without TLS nothing is negotiated: auto is http/1.1 here write protocol: h2, or protocol: http/1.1`},
		{"upgrades: []", ", protocol: h2, health: {http: /}", ""},
	} {
		lines := problemsOf(t, strings.NewReplacer("LISTENER", test.listener, "CLUSTER", test.cluster).Replace(text))
		if got := strings.Join(lines, "\n"); (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s%s: want %q, got %q", test.listener, test.cluster, test.want, got)
		}
	}
}

func TestCallsThatNeedHTTP2(t *testing.T) {
	const text = `
listeners: {http: {bind: ":1", routes: [{hosts: ["*"], rules: [{MATCH, to: TO}]}]}}
clusters: {a: {endpoints: ["10.0.0.1:80"]CLUSTER}, b: {endpoints: ["10.0.0.2:80"], protocol: h2}}
`
	for _, test := range []struct{ match, to, cluster, want string }{
		{"match: {grpc: x.Y}", "{a: 1, b: 1}", "", `listeners.http.routes[0].rules[0].to: warning: gRPC calls go over HTTP/2, and cluster "a" speaks HTTP/1.1 write protocol: h2 on the cluster`},
		{"match: {grpc: true}", "{a: 1, b: 1}", ", protocol: http/1.1", `cluster "a" speaks HTTP/1.1`},
		{"match: {grpc: true}", "{a: 1, b: 1}", ", pool: {idle_timeout: 3s}", `cluster "a" speaks HTTP/1.1`},
		{"match: {grpc: true}", "{a: 1, b: 1}", ", protocol: h2", ""},
		{"match: {grpc: true}", "{a: 1, b: 1}", ", tls: true, protocol: auto", ""},
		{"match: {prefix: /}", "{a: 1, b: 1}", "", ""},
		{"match: {prefix: /}", "{a: 1, b: 1}", ", health: {grpc: true}", `clusters.a.health.grpc: warning: the endpoints are asked over HTTP/2, and requests go to them over HTTP/1.1 write protocol: h2 on the cluster`},
		{"match: {prefix: /}", "{a: 1, b: 1}", ", protocol: h2, health: {grpc: true}", ""},
	} {
		lines := problemsOf(t, strings.NewReplacer("MATCH", test.match, "TO", test.to, "CLUSTER", test.cluster).Replace(text))
		if got := strings.Join(lines, "\n"); (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s%s: want %q, got %q", test.match, test.cluster, test.want, got)
		}
	}
}

func TestUpstreamProtocols(t *testing.T) {
	for written, want := range map[string]struct {
		protocol cluster.Protocol
		alpn     []string
	}{
		"":                                      {cluster.HTTP1, nil},
		"protocol: http/1.1":                    {cluster.HTTP1, nil},
		"protocol: h2":                          {cluster.HTTP2Only, []string{"h2"}},
		"protocol: auto":                        {cluster.AutoProtocol, []string{"h2", "http/1.1"}},
		"tls: {insecure: true, alpn: http/1.1}": {cluster.HTTP1, []string{"http/1.1"}},
		"protocol: auto, tls: {insecure: true, alpn: [http/1.1, h2]}":   {cluster.AutoProtocol, []string{"http/1.1", "h2"}},
		"protocol: h2, tls: {insecure: true, alpn: h2}, http2: {}":      {cluster.HTTP2Only, []string{"h2"}},
		"protocol: h2, tls: {insecure: true, sni: request, min: '1.3'}": {cluster.HTTP2Only, []string{"h2"}},
	} {
		if !strings.Contains(written, "tls:") {
			written += strings.Repeat(", ", min(1, len(written))) + "tls: {insecure: true}"
		}
		s := compile(t, `
listeners: {http: {bind: ":1", routes: [{hosts: ["*"], rules: [{to: a}]}]}}
clusters: {a: {endpoints: ["10.0.0.1:80"], `+written+`}}
`, nil)
		if got := s.Clusters[0].Config(); got.Protocol != want.protocol || !slices.Equal(got.TLS.ALPN, want.alpn) || got.HTTP2 != defaultUpstreamHTTP2 {
			t.Errorf("%s: %v %q %+v", written, got.Protocol, got.TLS.ALPN, got.HTTP2)
		}
	}
}

// A cluster that comes to speak something else has another TLS, too.
func TestProtocolChangesTLS(t *testing.T) {
	const text = `
listeners: {http: {bind: ":1", routes: [{hosts: ["*"], rules: [{to: a}]}]}}
clusters: {a: {endpoints: ["10.0.0.1:80"], tls: {insecure: true}, protocol: h2}}
`
	before := compile(t, text, nil)
	after := compile(t, edit(text, "protocol: h2", "protocol: auto"), before)
	if got := after.Clusters[0].Config().TLS.ALPN; !slices.Equal(got, []string{"h2", "http/1.1"}) {
		t.Error(got)
	}
}

// The protocols of a domain are some of its listener's.
func TestALPN(t *testing.T) {
	t.Chdir(t.TempDir())
	writeSecure(t)
	s := compileTLS(t, edit(secure, "tls: [shop, api]}", "protocols: [http/1.1, h2], tls: {certs: [shop, api], domains: {api.example.com: {protocols: h2}}}}"), nil)
	if c := s.Listeners[0].TLS; !slices.Equal(c.Default.ALPN, []string{"http/1.1", "h2"}) || !slices.Equal(c.SettingsFor("api.example.com").ALPN, []string{"h2"}) {
		t.Errorf("%q, %q", c.Default.ALPN, c.SettingsFor("api.example.com").ALPN)
	}
	lines := problemsOf(t, edit(secure, "tls: [shop, api]}", "protocols: h2, tls: {certs: [shop, api], domains: {api.example.com: {protocols: [h2, http/1.1]}}}}"))
	want := "listeners.one.tls.domains.api.example.com.protocols[1]: http/1.1 is not spoken here: HTTP/2 alone is write it in the listener's protocols too"
	if len(lines) != 1 || !strings.Contains(lines[0], want) {
		t.Errorf("%q", lines)
	}
	lines = problemsOf(t, edit(secure, "tls: {ca: ca.crt, cert: api}", "protocol: h2, tls: {ca: ca.crt, cert: api, alpn: [h2, http/1.1]}"))
	want = "clusters.up.tls.alpn[1]: http/1.1 is not spoken here: HTTP/2 alone is leave alpn out: protocol says it"
	if len(lines) != 1 || !strings.Contains(lines[0], want) {
		t.Errorf("%q", lines)
	}
}

// options changes the HttpProtocolOptions of the first cluster.
func options(t *testing.T, set *resource.Set, o *upstreams.HttpProtocolOptions) {
	t.Helper()
	packed, err := anypb.New(o)
	if err != nil {
		t.Fatal(err)
	}
	set.Clusters[0].TypedExtensionProtocolOptions = map[string]*anypb.Any{httpOptions: packed}
}

// What a control plane may send and gateway.yaml cannot say.
func TestRefusedHTTP2(t *testing.T) {
	listens := func(change func(*core.Http2ProtocolOptions)) func(*resource.Set) {
		return func(set *resource.Set) {
			manage(t, set, func(m *hcm.HttpConnectionManager) {
				m.Http2ProtocolOptions = &core.Http2ProtocolOptions{}
				change(m.Http2ProtocolOptions)
			})
		}
	}
	for _, test := range []struct {
		want   string
		change func(*resource.Set)
	}{
		{"listeners.http.protocols: HTTP3 is not supported by this version yet", func(set *resource.Set) {
			manage(t, set, func(m *hcm.HttpConnectionManager) { m.CodecType = hcm.HttpConnectionManager_HTTP3 })
		}},
		{"listeners.http.http2: Http2ProtocolOptions.max_outbound_frames is not supported by this version yet", listens(func(o *core.Http2ProtocolOptions) {
			o.MaxOutboundFrames = wrapperspb.UInt32(1)
		})},
		{"override_stream_error_on_invalid_http_message: false is not supported", listens(func(o *core.Http2ProtocolOptions) {
			o.OverrideStreamErrorOnInvalidHttpMessage = wrapperspb.Bool(false)
		})},
		{"listeners.http.http2.max_streams: 0: must be from 1 to 2147483647", listens(func(o *core.Http2ProtocolOptions) {
			o.MaxConcurrentStreams = wrapperspb.UInt32(0)
		})},
		{"listeners.http.http2.stream_window: 65534: must be from 65535 to 2147483647", listens(func(o *core.Http2ProtocolOptions) {
			o.InitialStreamWindowSize = wrapperspb.UInt32(65534)
		})},
		{"listeners.http.http2.connection_window: 2147483648: must be from 65535 to 2147483647", listens(func(o *core.Http2ProtocolOptions) {
			o.InitialConnectionWindowSize = wrapperspb.UInt32(1 << 31)
		})},
		{"listeners.http.http2.header_table: 1048577: must be from 0 to 1048576", listens(func(o *core.Http2ProtocolOptions) {
			o.HpackTableSize = wrapperspb.UInt32(1<<20 + 1)
		})},
		{"listeners.http.http2.resets.burst: 0: must be from 1 to 1000000", listens(func(o *core.Http2ProtocolOptions) {
			o.StreamResetBurst = wrapperspb.UInt64(0)
		})},
		{"listeners.http.http2.resets.per_second: 4294967297: must be from 1 to 1000000", listens(func(o *core.Http2ProtocolOptions) {
			o.StreamResetRate = wrapperspb.UInt64(1<<32 + 1)
		})},
		{"listeners.http.http2.ping: KeepaliveSettings.connection_idle_interval is not supported by this version yet", listens(func(o *core.Http2ProtocolOptions) {
			o.ConnectionKeepalive = &core.KeepaliveSettings{ConnectionIdleInterval: durationpb.New(time.Second)}
		})},
		{"listeners.http.http2.ping.interval: 1ms: must be at least 100ms, or 0s for none", listens(func(o *core.Http2ProtocolOptions) {
			o.ConnectionKeepalive = &core.KeepaliveSettings{Interval: durationpb.New(time.Millisecond)}
		})},
		{"listeners.http.http2.ping.timeout: 0s: must be more than nothing", listens(func(o *core.Http2ProtocolOptions) {
			o.ConnectionKeepalive = &core.KeepaliveSettings{Timeout: durationpb.New(0)}
		})},
		{"clusters.a.protocol: HTTP/3 is not supported by this version yet", func(set *resource.Set) {
			options(t, set, &upstreams.HttpProtocolOptions{UpstreamProtocolOptions: &upstreams.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: &upstreams.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &upstreams.HttpProtocolOptions_ExplicitHttpConfig_Http3ProtocolOptions{Http3ProtocolOptions: &core.Http3ProtocolOptions{}},
			}}})
		}},
		{"clusters.a.protocol: HTTP/3 is not supported by this version yet", func(set *resource.Set) {
			options(t, set, &upstreams.HttpProtocolOptions{UpstreamProtocolOptions: &upstreams.HttpProtocolOptions_AutoConfig{AutoConfig: &upstreams.HttpProtocolOptions_AutoHttpConfig{
				AlternateProtocolsCacheOptions: &core.AlternateProtocolsCacheOptions{Name: "a"},
			}}})
		}},
		{"clusters.a.protocol: HttpProtocolOptions.use_downstream_protocol_config is not supported", func(set *resource.Set) {
			options(t, set, &upstreams.HttpProtocolOptions{UpstreamProtocolOptions: &upstreams.HttpProtocolOptions_UseDownstreamProtocolConfig{
				UseDownstreamProtocolConfig: &upstreams.HttpProtocolOptions_UseDownstreamHttpConfig{},
			}})
		}},
		{"clusters.a.http2: Http2ProtocolOptions.allow_connect is not supported by this version yet", func(set *resource.Set) {
			set.Clusters[0].Http2ProtocolOptions = &core.Http2ProtocolOptions{AllowConnect: true}
		}},
		{"clusters.a.http2: both Cluster.http2_protocol_options, which is deprecated, and HttpProtocolOptions in its place", func(set *resource.Set) {
			options(t, set, &upstreams.HttpProtocolOptions{})
			set.Clusters[0].Http2ProtocolOptions = &core.Http2ProtocolOptions{}
		}},
		{"Cluster.protocol_selection is not supported by this version yet", func(set *resource.Set) {
			set.Clusters[0].ProtocolSelection = clusterv3.Cluster_USE_DOWNSTREAM_PROTOCOL
		}},
	} {
		refuse(t, test.want, test.change)
	}
}

// The field that came before HttpProtocolOptions says what is spoken, too.
func TestDeprecatedHTTP2Options(t *testing.T) {
	set := read(t, plain)
	set.Clusters[0].Http2ProtocolOptions = &core.Http2ProtocolOptions{MaxConcurrentStreams: wrapperspb.UInt32(1 << 30)}
	s, problems := Compile(set, nil)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	want := defaultUpstreamHTTP2
	want.MaxStreams = 1 << 30
	if got := s.Clusters[0].Config(); got.Protocol != cluster.HTTP2Only || got.HTTP2 != want {
		t.Errorf("%v %+v", got.Protocol, got.HTTP2)
	}
}
