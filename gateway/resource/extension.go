package resource

// What xDS has no field for travels in the resource's own
// metadata.typed_filter_metadata, under the key Extension, as an
// xds.type.v3.TypedStruct whose type_url is one of the constants below and
// whose value is a Struct with the keys that their comments list. Durations are
// strings such as "1.5s", byte counts are numbers. An unknown key is an error.
const (
	// Extension is the key in typed_filter_metadata.
	Extension = "longmen"

	// ListenerExtension is on a Listener:
	//   max_connections       number: connections at once over all workers (0: no limit)
	//   accept_rate           number: new connections a second over all workers (0: no limit)
	//   max_client_connections number: connections at once of one client, an IPv4 address or a /64 of IPv6, over all workers (0: no limit)
	//   max_active_requests   number: requests at once over all workers (503; 0: no limit)
	//   dot_segments          "reject" | "resolve" | "keep"   (path policy; xDS normalize_path is resolve or keep)
	//   double_slash          "reject" | "merge" | "keep"     (xDS merge_slashes is merge or keep)
	//   header_timeout        duration: until the request head is complete (408); xDS request_headers_timeout is the twin and wins
	//   body_timeout          duration: between two pieces of a request body (408)
	//   write_timeout         duration: until the client takes some bytes of a response
	//   min_request_rate      number: bytes a second that a client must send on average while a head or body is under way, after rate_grace
	//   min_response_rate     number: bytes a second that a client must take
	//   rate_grace            duration
	//   max_line              number: bytes of the request line (414)
	//   max_body              number: bytes of a request body (413); 0: no limit
	//   max_requests          number: requests on one connection (xDS common_http_protocol_options.max_requests_per_connection wins)
	//   half_close            "keep" | "abort": what a client's FIN during a request means
	//   via                   "off" or the pseudonym to send (HCM.via is the twin)
	//   forwarded             "off" | "append"  (RFC 7239)
	//   server_header         "keep" | "set" | "remove" (HCM.server_header_transformation has no "remove": OVERWRITE is set, the
	//                         others are keep; what stands here wins). From YAML the transformation is always written, and
	//                         this key beside it.
	//   access_log            "off": none, not even the process-wide one that else serves a listener without HCM.access_log
	//   keepalive_idle, keepalive_interval  duration; keepalive_probes number (TCP)
	//   nodelay               bool (default true)
	//   http2_max_stream_window, http2_max_connection_window   number: bytes that a window may grow to; it begins with what
	//                         Http2ProtocolOptions says
	//   http2_control_burst, http2_control_rate   number: frames of HTTP/2 that carry no content, at once and a second
	//   http2_continuations   number: CONTINUATION frames of a header block
	ListenerExtension = "type.googleapis.com/longmen.v1.Listener"

	// RouteExtension is on a Route:
	//   max_body              number: as the listener's, for this route
	//   retry_unsafe          bool: requests that are not idempotent may be repeated too
	//   client                list of strings: CIDRs, one of which must hold the client's address for the route to match
	//   content_type          string: Content-Type of a direct_response's body
	//   early_data            bool: GET, HEAD and OPTIONS requests in early data (0-RTT) are served before the handshake is complete
	//   sticky_keys           list of strings: files of the secrets that seal the cookies of a sticky session; the first makes them
	RouteExtension = "type.googleapis.com/longmen.v1.Route"

	// ClusterExtension is on a Cluster:
	//   idle_per_worker       number: idle connections kept for an endpoint by each worker
	//   max_age               duration: life of a connection (xDS common_http_protocol_options.max_connection_duration wins)
	//   response_timeout      duration: until the response head
	//   http2_max_stream_window   number: bytes that a stream's window may grow to
	//   http2_max_connections number: connections of HTTP/2 that each worker has to an endpoint (0: no limit)
	//   max_endpoints         number: endpoints at once of a cluster of type ORIGINAL_DST
	//   pending_timeout, high_pending_timeout   duration: how long requests of default and of high priority wait for a
	//                         connection (503; 0: as long as their own timeouts let them)
	//   outlier_refused       number: refused connections in a row that eject an endpoint (0: none do)
	//   outlier_log           string: file for a line of JSON about each ejection and its end
	//   failover              list of strings: clusters that take what this one's healthy endpoints cannot
	//   loop_guard            "auto" | "on" | "off": whether requests carry the gateway's token in CDN-Loop
	//   peer                  string: token of the gateway that the cluster leads to
	//   standby_to            string: cluster that requests are forwarded to in standby; the other keys go with it
	//   standby_local         number: percent of the requests that stay (default 1)
	//   standby_state         "standby" | "active": what the cluster is unless the admin API says otherwise
	//   standby_warm          number: connections that each worker keeps open to every endpoint of both clusters
	//   standby_warm_every    duration: how often that is looked after
	ClusterExtension = "type.googleapis.com/longmen.v1.Cluster"

	// PeakEWMAExtension is a typed_config of load_balancing_policy:
	//   decay                 duration: in which what is remembered of a response time shrinks to 1/e
	//   choices               number: endpoints compared
	PeakEWMAExtension = "type.googleapis.com/longmen.v1.PeakEwma"
)

// What xDS has no field for about TLS travels as common_tls_context.custom_handshaker
// of the DownstreamTlsContext or UpstreamTlsContext, under the name Extension; the
// second certificate of an SM2 pair, and how certificates are ordered, as
// private_key_provider of the TlsCertificate, with the provider name Extension. A "names" value is a Struct of strings, a
// "messages" value a Struct of messages in their JSON form, a "source" value a
// DataSource in its JSON form, a "strings" value a list.
const (
	// DownstreamTLSExtension is in a DownstreamTlsContext. The first seven keys are of
	// the listener as a whole:
	//   strict_sni            bool: a server name that no certificate covers is refused (require_sni refuses none at all)
	//   plain                 bool: plain HTTP is served on the same port
	//   ech                   string: the Secret with the keys of Encrypted Client Hello (RFC 9849), a GenericSecret; see ECHName
	//   passthrough           names: server name to the cluster that its connections are spliced to
	//   domains               messages: server name to a DownstreamTlsContext with settings of its own and no certificates; what is
	//                         not set in it is as in the one that it stands in
	//   crypto                "auto" | "openssl" | "go": what holds and uses private keys
	//   handshake_timeout     duration
	//   max_handshakes        number: handshakes at once over all workers
	//   ocsp                  "staple" | "off": an OCSP response is stapled when there is one, or none is fetched or
	//                         stapled; without this key ocsp_staple_policy says
	//   tlcp                  bool: TLCP (GB/T 38636) is accepted where an SM2 pair covers the name (default true)
	//   early_data            number: bytes that a client may send before the handshake is complete (0-RTT); 0: none, but clients
	//                         with tickets from before are served; without this key they are refused
	//   early_data_remember   number: handshakes with early data that are remembered at once
	//   rfc8998               bool: TLS 1.3 with SM is accepted where an SM2 certificate covers the name (default true)
	DownstreamTLSExtension = "type.googleapis.com/longmen.v1.DownstreamTls"

	// UpstreamTLSExtension is in an UpstreamTlsContext:
	//   protocol              "tls" | "tlcp" | "rfc8998"
	UpstreamTLSExtension = "type.googleapis.com/longmen.v1.UpstreamTls"

	// SM2Extension is in a TlsCertificate whose certificate_chain and private_key are
	// those for signatures:
	//   encrypt_certificate, encrypt_private_key   source: those for encryption
	SM2Extension = "type.googleapis.com/longmen.v1.Sm2Certificate"

	// ACMEExtension is in the same place of a TlsCertificate with nothing else in it,
	// whose certificates, one for each host, are ordered by ACME (RFC 8555):
	//   directory             string: URL of the authority's directory
	//   agree                 bool: must be true: the authority's terms of service are agreed to
	//   email                 string: address for the authority's messages
	//   hosts                 strings: names to order certificates for; without this key those of the routes of the listeners that use the
	//                         secret
	//   ca                    source: authorities that certify the directory, in place of the system's
	//   storage               string: folder of certificates, keys and accounts
	//   key                   "p256" | "rsa2048"
	//   challenge             "http-01" | "tls-alpn-01" (default both)
	//   external_id           string: external account (RFC 8555 section 7.3.4)
	//   external_key          source: its key, in base64url
	ACMEExtension = "type.googleapis.com/longmen.v1.AcmeCertificate"
)

// Redacted stands in the place of a private key in every dump.
const Redacted = "[redacted]"

// How gateway.yaml writes what xDS can say in more than one way. A compiler
// must understand at least these forms:
//
//   - a Listener has one filter chain with one HttpConnectionManager; "routes: name"
//     is rds.route_config_name (config_source: ads), an inline list is route_config
//     with the listener's name; several binds are address and additional_addresses;
//   - "methods" is a HeaderMatcher on ":method" with string_match: exact for one,
//     safe_regex "GET|HEAD" for several; "absent" is present_match: false;
//   - "prefix" is path_separated_prefix, but prefix when it ends in "/";
//   - "connect: true" is connect_matcher with upgrade_configs[{CONNECT, connect_config: {}}];
//     upgrade_configs of a route add to the listener's;
//   - "rewrite.path" is regex_rewrite with the pattern "^.*$" (backslashes of the substitution doubled);
//   - a cookie's "present" is string_match safe_regex ".*", "absent" the same with invert_match;
//   - "double_slash: keep" is the extension's key, as merge_slashes: false cannot be told from nothing;
//   - "cookies" are RouteMatch.cookies; "percent" is runtime_fraction.default_value;
//   - endpoints are in Cluster.load_assignment; DNS is type STRICT_DNS or LOGICAL_DNS with
//     dns_refresh_rate, respect_dns_ttl and dns_lookup_family;
//   - "lb" is load_balancing_policy with one policy: RoundRobin, Random, LeastRequest, RingHash, Maglev, or a TypedStruct
//     of PeakEWMAExtension; with "subsets" that stands in a policy Subset;
//   - "pool.idle_timeout" and "pool.max_requests" are common_http_protocol_options of
//     typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
//   - TLS is the filter chain's transport_socket envoy.transport_sockets.tls; secrets are
//     named by tls_certificate_sds_secret_configs with the config source ads. Several pairs
//     "shop: [{cert, key}, ...]" are Secrets of their own with the names "shop[0]", "shop[1]";
//   - a cluster's default SNI is auto_host_sni with auto_sni_san_validation, "sni: request" is auto_sni
//     with auto_san_validation of HttpProtocolOptions.upstream_http_protocol_options;
//   - "insecure: true" is trust_chain_verification: ACCEPT_UNTRUSTED;
//   - "sticky" is typed_per_filter_config["envoy.filters.http.stateful_session"] of the Route, a
//     StatefulSessionPerRoute with CookieBasedSessionState; no listener needs the filter for it;
//   - "hash: path" is header ":path" with regex_rewrite "\\?.*" to nothing;
//   - an access log is envoy.access_loggers.file; without log_format the text format, with
//     an empty json_format the JSON format, that the process has by default.
