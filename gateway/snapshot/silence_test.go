package snapshot

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"longmen/gateway/resource"
	"longmen/gateway/source/yaml"
	"longmen/tls/sign"
	"longmen/tls/verify"
)

// rich uses as much of the resources as there is, so that every message that is
// understood occurs.
const rich = `
listeners:
  http:
    bind: ["127.0.0.1:8080", "127.0.0.1:8081"]
    routes: public
    tcp: {keepalive: {idle: 60s, interval: 10s, probes: 3}}
    timeouts: {idle: 30s, header: 5s}
    limits: {connections: 10, headers: 50}
    upgrades: [websocket]
    access_log: [{path: a.log, format: "%RESPONSE_CODE%"}, {path: b.log, format: json, fields: {a: "%DURATION%"}}, {path: c.log}]
    http2: {max_streams: 10, ping: {interval: 1s}, control: {burst: 10}, max_stream_window: 2MiB}
    filters: [{cors: {allow_origins: [https://a, {suffix: b}]}}]
  two: {bind: "127.0.0.1:8082", routes: public, protocols: h2, upgrades: [], filters: [{grpc_web: {}}]}
routes:
  public:
    headers: {request: {set: {x-table: "1"}}, response: {remove: [server]}}
    hosts:
      - hosts: ["*"]
        headers: {request: {add: {x-host: "1"}}}
        rules:
          - match:
              prefix: /a
              methods: [GET, HEAD]
              headers: {x-a: {regex: "a+"}, x-b: {range: {from: 1, to: 3}}, x-c: b, x-d: {not: {prefix: z}}}
              query: {q: {contains: b}, r: {present: true}}
              cookies: {c: {suffix: d}}
              percent: 50
            to: {web: {weight: 3, headers: {request: {set: {x-w: "1"}}}}, api: 1}
            rewrite: {prefix: /b}
            timeout: 30s
            upgrades: {chat: true, websocket: false}
            retry: {attempts: 2, on: [5xx], codes: [429], per_try: 1s, backoff: {base: 10ms, max: 1s}}
            max_body: 1MiB
          - {match: {path: /b}, to: {header: x-cluster}, rewrite: {regex: {match: "^/b", to: /c}, host: inner}}
          - {match: {regex: "/c.*"}, redirect: {scheme: http, host: example.com, port: 8443, regex: {match: a, to: b}, status: 308, strip_query: true}}
          - {match: {path: /d}, redirect: {path: /e}}
          - {match: {path: /f}, redirect: {prefix: /g}}
          - {connect: true, to: web, filters: [{grpc_web: off}, {cors: {allow_origins: "*", allow_methods: GET, max_age: 1s, credentials: true}}]}
          - {respond: {status: 503, body: text, type: text/html}}
          - match: {path: /again}
            to: {web: {weight: 1, subset: {v: b}}, api: 2}
            retry:
              {attempts: 3, on: [5xx], per_try: 1s, per_try_idle: 1s, retry_after: {headers: {a: seconds, b: unix}, max: 1s}, headers: {x: {present: true}}, request_headers: {y: z}, other_priorities: 2}
            hedge: {requests: 2, chance: 5%, on_timeout: true}
            hash: [header:x, {header: y, regex: {match: a, to: b}}, {cookie: c, ttl: 1s, cookie_path: /, attributes: {a: b}}, query:q, source_ip, path]
            sticky: {cookie: c, ttl: 1s, path: /, attributes: {a: b}, strict: true}
            subset: {v: a, w: b}
            priority: high
clusters:
  web:
    endpoints: [{address: "10.0.0.1:80", weight: 3, hostname: web, drain: true}, "10.0.0.2:80"]
    lb: {least_request: {choices: 4}}
    health: [{http: /h, retriable: 500, body: a, first_jitter: 1s, intervals: {down: 1s}, port: 99, log: {path: a, failures: true}, alpn: h2, every: 2s, timeout: 1s, jitter: 1s, host: h, method: HEAD, headers: {x: "1"}, status: 200-299, expect: ok}, {port: 99, tcp: {send: a, expect: b}}, {port: 99, grpc: a, metadata: {a: b}}]
    timeouts: {connect: 1s, response: 9s}
    limits: {connections: 9, requests: 9, pending: 9, retries: 9}
    pool: {idle: 9, idle_timeout: 9s, max_requests: 9, max_age: 9s}
    panic: 40
    tcp: {keepalive: {idle: 60s}, source: 10.0.0.9}
  api: {endpoints: {dns: "api:80", mode: logical, refresh: 9s, family: v4}, lb: random}
  places:
    endpoints:
      - {address: "10.0.0.1:80", region: eu, zone: eu-a, sub_zone: r, labels: {version: v1, stage: [a, b]}, health: {port: 81, address: 10.0.0.9, host: probe}}
      - {address: "10.0.0.2:80", priority: 1, health: {off: true}}
  all:
    endpoints: ["10.0.0.1:80"]
    limits: {connections: 9, pending_timeout: 1s, retries: {percent: 10, min: 5}, high: {requests: 5, retries: 20%}, endpoint: {connections: 10}}
    outlier: {errors: 3, gateway_errors: 2, local_errors: 4, split: true, refused: 2, success_rate: {endpoints: 3}, failure_rate: {percent: 50}, every: 5s, log: a}
    failover: [web, api]
    standby: {to: api, local: 2}
    loop_guard: on
    peer: b
  original: {endpoints: {original_dst: {header: x-dst, port: 8080, unused: 1m}}}
  weighted: {endpoints: [{address: "10.0.0.1:80", zone: a}], slow_start: {window: 9s, aggression: 2, min_weight: 5}, locality: {weighted: {a: 2}}, overprovisioning: 120}
  aware: {endpoints: [{address: "10.0.0.1:80", zone: a}, "10.0.0.2:80"], lb: {least_request: {choices: 3, bias: 2}}, slow_start: {window: 9s}, locality: {zone_aware: {share: 50, min_endpoints: 3, force_local: 2}}}
  drawn: {endpoints: [{address: "10.0.0.1:80", zone: a}], lb: random, locality: {weighted: {a: 2}}}
  ewma: {endpoints: [{address: "10.0.0.1:80", zone: a}, "10.0.0.2:80"], lb: {peak_ewma: {decay: 5s}}, locality: zone_aware}
  ring:
    endpoints: [{address: "10.0.0.1:80", hostname: one, zone: a}]
    lb: {ring_hash: {min: 10, max: 90, hash: murmur2, bounded_load: 200, by: [header:x, {header: y, regex: {match: a, to: b}}, {cookie: c, ttl: 9s, cookie_path: /, attributes: {Secure: ""}}, query:q, source_ip, path]}}
    locality: {weighted: {a: 2}}
  maglev:
    endpoints: [{address: "10.0.0.1:80", labels: {version: v1, stage: [a, b]}}]
    lb: {maglev: {table: 131, key: hostname}}
    subsets: {by: [[version], {by: [stage, version], fallback: keys, keys: [version]}], fallback: default, default: {version: v1}, locality_weights: true}
  h2: {endpoints: ["10.0.0.1:80"], protocol: h2, http2: {max_streams: 10, max_connections: 10, ping: {interval: 1s}}}
`

// richTLS does so for TLS, with the files that writeRichTLS writes.
const richTLS = `
listeners:
  https:
    bind: "127.0.0.1:8443"
    routes: [{hosts: ["*"], rules: [{to: up}]}]
    forwarded: {client_cert: set, client_cert_details: [subject]}
    tls:
      certs: [shop, gm]
      min: "1.2"
      suites: [ECDHE-RSA-AES128-GCM-SHA256]
      curves: [X25519, P-256]
      client_ca: clients
      crl: list.crl
      require: true
      san: [{uri: {prefix: "spiffe://"}}, {dns: {regex: "a+"}}, {email: a@b}]
      pins: NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A=
      depth: 3
      tickets: tickets
      keylog: keys.log
      domains: {a: {ocsp: require}}
  plainer: {bind: "127.0.0.1:8444", routes: [{hosts: ["*"], rules: [{to: up}]}], tls: {certs: shop, spiffe: {d: ca.crt}, require: false, tickets: off, ocsp: require}}
clusters:
  up:
    endpoints: ["10.0.0.1:443"]
    tls: {ca: ca.crt, crl: list.crl, sni: up.internal, san: {dns: a}, cert: shop, alpn: http/1.1, sessions: 5, max: "1.2"}
  host: {endpoints: ["10.0.0.1:443"], protocol: auto, tls: {sni: request}}
  trusting: {endpoints: ["10.0.0.1:443"], tls: {insecure: true}}
secrets:
  shop: {cert: shop.crt, key: shop.key, ocsp: none.ocsp}
  gm: {sm2: {sign: [sign.crt, sign.key], encrypt: [encrypt.crt, encrypt.key]}}
  clients: {ca: ca.crt, crl: list.crl}
  tickets: {ticket_keys: [tickets.key]}
  shared: {ticket_secret: tickets.key}
`

func writeRichTLS(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	a := newAuthority(t, ".", false)
	a.issue("shop", "ecdsa", 99, "shop.example.com")
	a.crl("list.crl")
	a.write("tickets.key", make([]byte, 80))
	a.write("none.ocsp", []byte("none"))
	sm := newAuthority(t, t.TempDir(), true)
	sm.dir = "."
	sm.issue("sign", "sm2", 99, "shop.example.com")
	sm.issue("encrypt", "sm2", 99, "shop.example.com")
}

// meaningless are the fields that are accepted without any effect, and why.
var meaningless = []string{
	"Listener.stat_prefix", "HttpConnectionManager.stat_prefix", // statistics have names of their own
	"FilterChain.name", "Filter.name", "HttpFilter.name", "AccessLog.name", "TypedExtensionConfig.name", // labels
	"ClusterLoadAssignment.cluster_name", // the path is the name
	"RouteConfiguration.name", "Cluster.name", "Listener.name",
	"Listener.enable_reuse_port", // true is all there is
	"HttpConnectionManager.rds",  // references are resolved elsewhere; so is the source
	"HttpConnectionManager.route_config",
	"Http1ProtocolOptions.allow_absolute_url", "Http1ProtocolOptions.accept_http_10", "Http1ProtocolOptions.enable_trailers", // always so
	"RouteConfiguration.validate_clusters",                                                                                              // true is all there is
	"RouteConfiguration.ignore_port_in_host_matching",                                                                                   // a domain says itself whether it has a port
	"RouteConfiguration.max_direct_response_body_size_bytes",                                                                            // a bound: the body here is shorter
	"RegexMatcher.google_re2",                                                                                                           // RE2 is all there is
	"HeaderValueOption.keep_empty_value",                                                                                                // the values here are not empty
	"UpgradeConfig.enabled",                                                                                                             // true is the default
	"ClusterWeight.name",                                                                                                                // the slots of unknown names are all 0 here
	"LbEndpoint.health_status",                                                                                                          // HEALTHY is what UNKNOWN is taken for
	"TransportSocket.name",                                                                                                              // a label
	"SdsSecretConfig.sds_config",                                                                                                        // where it comes from is the source's business
	"UpstreamTlsContext.auto_host_sni", "UpstreamTlsContext.auto_sni_san_validation", "UpstreamHttpProtocolOptions.auto_san_validation", // always so
	"Secret.name", // the path is the name
	"TlsParameters.tls_minimum_protocol_version=3", "TlsParameters.tls_maximum_protocol_version=4", // the defaults
	"Cluster.lb_policy=7",                                // LOAD_BALANCING_POLICY_CONFIG says what load_balancing_policy says
	"HttpFilter.is_optional", "FilterConfig.is_optional", // for those that do not know the filter
	"RetryPolicy.host_selection_retry_max_attempts",            // endpoints that were tried are left out, whatever it takes
	"RetryPriority.name",                                       // a label
	"Thresholds.priority=1",                                    // of thresholds that say nothing
	"FilterConfig.config",                                      // of a filter that is disabled
	"RuntimeFractionalPercent.runtime_key",                     // there is no runtime: the default counts
	"HttpConnectionManager.path_with_escaped_slashes_action=2", // REJECT_REQUEST is the default
}

// Whatever is set in a resource either changes what is compiled or is refused:
// the test sets every field that there is, one at a time.
func TestNothingIsIgnoredSilently(t *testing.T) {
	writeRichTLS(t)
	p := &prober{t: t, seen: map[string]bool{}}
	for _, text := range []string{rich, richTLS} {
		p.probeAll(text)
	}
	for _, name := range meaningless {
		if !p.seen[name] {
			t.Errorf("%s stands among the meaningless fields, but it has an effect or never occurs", name)
		}
	}
	t.Logf("%d changes tried", p.tried)
}

func (p *prober) probeAll(text string) {
	result, problems := yaml.Decode("rich.yaml", []byte(text))
	if err := problems.Err(); err != nil {
		p.t.Fatal(err)
	}
	whole, problems := Defaults{Now: func() time.Time { return testNow }}.Compile(result.Set, nil)
	if problems.Err() != nil {
		p.t.Fatal(problems.Err())
	}
	fresh := func(secrets ...*tls.Secret) *compiler {
		c := Defaults{Now: func() time.Time { return testNow }}.compiler(&resource.Set{Secrets: secrets}, whole)
		c.secrets()
		return c
	}
	good := func(c *compiler) bool { return len(c.problems.Errors()) == 0 }
	for _, l := range result.Set.Listeners {
		p.probe(l, func(m proto.Message) (any, bool) {
			c := fresh(result.Set.Secrets...)
			out := c.listener(m.(*listener.Listener))
			out.Hash, out.TLSHash = 0, 0
			return []any{out, made(c.ownFilters[out.Name])}, good(c)
		})
	}
	for _, routes := range result.Set.Routes {
		p.probe(routes, func(m proto.Message) (any, bool) {
			c := fresh()
			t := m.(*route.RouteConfiguration)
			out := &table{hosts: c.hosts("routes.public", t)}
			c.tableFilters("routes.public", t, out)
			return []any{out.hosts, made(out.filters...)}, good(c)
		})
	}
	for _, cl := range result.Set.Clusters {
		p.probe(cl, func(m proto.Message) (any, bool) {
			c := fresh(result.Set.Secrets...)
			out := c.cluster(m.(*clusterv3.Cluster))
			out.Hash = 0
			return []any{out, c.hashing[out.Name].by}, good(c)
		})
	}
	for _, s := range result.Set.Secrets {
		p.probe(s, func(m proto.Message) (any, bool) {
			c := fresh(m.(*tls.Secret))
			made := c.find(s.GetName())
			if made != nil && made.kind == certificateSecret {
				c.certificate(s.GetName(), sign.Go, verify.Server)
			}
			if made != nil {
				made.hash = 0
			}
			return made, good(c)
		})
	}
}

// made is what settings of filters have become.
func made(settings ...[]filterSetting) (out []any) {
	for _, list := range settings {
		for _, s := range list {
			out = append(out, s.name, s.filter, s.off)
		}
	}
	return out
}

// prober changes a message in every way and looks whether that is noticed.
type prober struct {
	t     *testing.T
	tried int
	seen  map[string]bool // the meaningless fields that had no effect
}

// probe compiles variants of m.
func (p *prober) probe(m proto.Message, compile func(proto.Message) (any, bool)) {
	before, ok := compile(m)
	if !ok {
		p.t.Fatalf("%T does not compile as it is", m)
	}
	root := proto.Clone(m)
	p.walk(root.ProtoReflect(), 0, func() bool {
		p.tried++
		after, ok := compile(root)
		return !ok || !reflect.DeepEqual(before, after)
	})
}

// walk tries every field of m and of the messages in it; noticed compiles the
// whole and tells whether the change was seen.
func (p *prober) walk(m protoreflect.Message, depth int, noticed func() bool) {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		inner, err := packed.UnmarshalNew()
		if err != nil {
			p.t.Fatal(err)
		}
		value := packed.Value
		p.walk(inner.ProtoReflect(), depth, func() bool {
			raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(inner)
			if err != nil {
				p.t.Fatal(err)
			}
			packed.Value = raw
			return noticed()
		})
		packed.Value = value
		return
	}
	if m.Descriptor().ParentFile().Package() == "google.protobuf" {
		return // a wrapper, a duration or a Struct: its parent tries values
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if m.Has(field) {
			p.inside(m, field, depth, noticed)
		} else {
			p.set(m, field, depth, noticed)
		}
	}
}

// inside walks what a field holds.
func (p *prober) inside(m protoreflect.Message, field protoreflect.FieldDescriptor, depth int, noticed func() bool) {
	name := fieldName(m, field)
	switch {
	case slices.Contains(meaningless, name):
		p.seen[name] = true
	case field.Message() == nil:
	case field.IsMap():
		if field.MapValue().Message() != nil {
			m.Get(field).Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				p.walk(v.Message(), depth, noticed)
				return true
			})
		}
	case field.IsList():
		for i := range m.Get(field).List().Len() {
			p.walk(m.Get(field).List().Get(i).Message(), depth, noticed)
		}
	default:
		p.walk(m.Get(field).Message(), depth, noticed)
	}
}

// set gives a field that is not set each of some values. A message that is empty
// may go unnoticed; then its fields are tried.
func (p *prober) set(m protoreflect.Message, field protoreflect.FieldDescriptor, depth int, noticed func() bool) {
	name := fieldName(m, field)
	var held protoreflect.FieldDescriptor // of the same oneof
	var kept protoreflect.Value
	if one := field.ContainingOneof(); one != nil {
		if held = m.WhichOneof(one); held != nil {
			kept = m.Get(held)
		}
	}
	for _, value := range samples(m, field) {
		m.Set(field, value)
		as := fmt.Sprintf("%s=%v", name, value)
		switch {
		case noticed():
		case slices.Contains(meaningless, name):
			p.seen[name] = true
		case slices.Contains(meaningless, as):
			p.seen[as] = true
		case isTruth(field) && p.denied(m, field, noticed):
		case field.Message() == nil || field.IsMap() || field.Message().ParentFile().Package() == "google.protobuf" || depth == 3:
			p.t.Errorf("%s goes unnoticed", as)
		case field.IsList():
			p.walk(m.Get(field).List().Get(0).Message(), depth+1, noticed)
		default:
			p.walk(m.Get(field).Message(), depth+1, noticed)
		}
		m.Clear(field)
	}
	if held != nil {
		m.Set(held, kept)
	}
}

func fieldName(m protoreflect.Message, field protoreflect.FieldDescriptor) string {
	return fmt.Sprintf("%s.%s", m.Descriptor().Name(), field.Name())
}

func isTruth(field protoreflect.FieldDescriptor) bool {
	return field.Message() != nil && field.Message().FullName() == "google.protobuf.BoolValue"
}

// denied tries false for a BoolValue whose default is true.
func (p *prober) denied(m protoreflect.Message, field protoreflect.FieldDescriptor, noticed func() bool) bool {
	m.Set(field, m.NewField(field))
	return noticed()
}

// samples are values that differ from what an unset field means.
func samples(m protoreflect.Message, field protoreflect.FieldDescriptor) []protoreflect.Value {
	switch {
	case field.IsMap():
		value := m.NewField(field)
		key := protoreflect.ValueOfString("strange").MapKey()
		if field.MapValue().Message() != nil {
			value.Map().Set(key, value.Map().NewValue())
		} else {
			value.Map().Set(key, protoreflect.ValueOfString("x"))
		}
		return []protoreflect.Value{value}
	case field.IsList():
		value := m.NewField(field)
		if field.Message() != nil {
			value.List().Append(value.List().NewElement())
		} else {
			value.List().Append(scalars(field)[0])
		}
		return []protoreflect.Value{value}
	case field.Message() == nil:
		return scalars(field)
	}
	switch field.Message().FullName() {
	case "google.protobuf.Duration":
		return []protoreflect.Value{protoreflect.ValueOfMessage(durationpb.New(123 * time.Millisecond).ProtoReflect())}
	case "google.protobuf.BoolValue", "google.protobuf.UInt32Value", "google.protobuf.UInt64Value":
		value := m.NewField(field)
		inner := value.Message().Descriptor().Fields().ByName("value")
		value.Message().Set(inner, scalars(inner)[0])
		return []protoreflect.Value{value}
	}
	return []protoreflect.Value{m.NewField(field)}
}

func scalars(field protoreflect.FieldDescriptor) []protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return []protoreflect.Value{protoreflect.ValueOfBool(true)}
	case protoreflect.EnumKind:
		var all []protoreflect.Value
		values := field.Enum().Values()
		for i := range values.Len() {
			if number := values.Get(i).Number(); number != 0 {
				all = append(all, protoreflect.ValueOfEnum(number))
			}
		}
		return all
	case protoreflect.StringKind:
		return []protoreflect.Value{protoreflect.ValueOfString("sample")}
	case protoreflect.BytesKind:
		return []protoreflect.Value{protoreflect.ValueOfBytes([]byte("sample"))}
	case protoreflect.Int32Kind:
		return []protoreflect.Value{protoreflect.ValueOfInt32(7)}
	case protoreflect.Int64Kind:
		return []protoreflect.Value{protoreflect.ValueOfInt64(7)}
	case protoreflect.Uint32Kind:
		return []protoreflect.Value{protoreflect.ValueOfUint32(7)}
	case protoreflect.Uint64Kind:
		return []protoreflect.Value{protoreflect.ValueOfUint64(7)}
	case protoreflect.DoubleKind:
		return []protoreflect.Value{protoreflect.ValueOfFloat64(7)}
	case protoreflect.FloatKind:
		return []protoreflect.Value{protoreflect.ValueOfFloat32(7)}
	}
	panic("no sample of kind " + field.Kind().String())
}
