package yaml

// The vocabulary of HTTP/2.

// protocolNames are the application protocols that are spoken, as ALPN names them
// (RFC 7301), in the order of preference.
var protocolNames = []string{"h2", "http/1.1"}

var listenerHTTP2Table = object{"listener http2", "HTTP/2 of a listener (`http2`): what a client may have and do on one connection. Request heads are bounded by `limits`, times by `timeouts`.\n" +
	"A connection that goes beyond `resets`, `control` or `continuations` is ended with ENHANCE_YOUR_CALM (RFC 9113 section 7); [http2.md](http2.md) says what counts.", []key{
	{"max_streams", aWhole, "100", "Streams at once on one connection (1 to 2147483647); those beyond are refused, and clients may repeat them.", "HCM `http2_protocol_options.max_concurrent_streams`", "128", false},
	{"stream_window", aSize, "64KiB", "Bytes of a request body that a client may send before they are read, in the beginning (65535 to 2147483647).", "HCM `http2_protocol_options.initial_stream_window_size`", "256KiB", false},
	{"max_stream_window", aSize, "1MiB", "Bytes that a stream's window may grow to while bandwidth and delay ask for more; at least `stream_window`.", "extension `http2_max_stream_window`", "4MiB", false},
	{"connection_window", aSize, "1MiB", "The same for all streams of a connection together, in the beginning (65535 to 2147483647).", "HCM `http2_protocol_options.initial_connection_window_size`", "512KiB", false},
	{"max_connection_window", aSize, "4MiB", "Bytes that a connection's window may grow to; at least `connection_window`.", "extension `http2_max_connection_window`", "16MiB", false},
	{"header_table", aSize, "4KiB", "The HPACK table that a client may fill (RFC 7541 section 4.2; at most 1MiB); 0 leaves it the static table alone.", "HCM `http2_protocol_options.hpack_table_size`", "16KiB", false},
	{"ping", ref("ping"), "", "Asks silent clients for a sign of life.", "HCM `http2_protocol_options.connection_keepalive`", "{interval: 30s}", false},
	{"resets", ref("allowance"), "{burst: 500, per_second: 100}", "Streams that a client breaks off, or makes us break off.", "HCM `http2_protocol_options.stream_reset_burst`, `stream_reset_rate`", "{burst: 1000, per_second: 33}", false},
	{"control", ref("allowance"), "{burst: 1000, per_second: 500}", "Frames that carry nothing.", "extension `http2_control_burst`, `http2_control_rate`", "{burst: 2000}", false},
	{"continuations", aWhole, "8 with the default `header_bytes`", "CONTINUATION frames of one header block (at most 10000). The default is 4 more than `limits.header_bytes` needs.", "extension `http2_continuations`", "16", false},
	{"connect", aBool, "true if `upgrades` has any", "Take extended CONNECT (RFC 8441), which is how protocols are upgraded to over HTTP/2.", "HCM `http2_protocol_options.allow_connect`", "false", false},
}}

var pingTable = object{"ping", "PING frames (RFC 9113 section 6.7) on a connection on which nothing comes.", []key{
	{"interval", aDuration, "0s", "Silence after which the peer is asked; at least 100ms, 0s is never.", "`connection_keepalive.interval`", "30s", false},
	{"timeout", aDuration, "15s", "Time that it has to answer; then the connection ends.", "`connection_keepalive.timeout`", "5s", false},
}}

var allowanceTable = object{"allowance", "How often something may happen on one connection.", []key{
	{"burst", aWhole, "see there", "At once (1 to 1000000).", "see there", "1000", false},
	{"per_second", aWhole, "see there", "On average (1 to 1000000).", "see there", "33", false},
}}

var clusterHTTP2Table = object{"cluster http2", "HTTP/2 to a cluster's endpoints (`http2`), with `protocol: h2` or `auto`.", []key{
	{"max_streams", aWhole, "100", "Streams at once on one connection (1 to 2147483647), if the endpoint allows as many.", "`http2_protocol_options.max_concurrent_streams`", "1000", false},
	{"max_connections", aWhole, "0", "Connections of each worker to an endpoint (at most 1000000); requests beyond wait for a stream. 0 is as many as `limits.connections` allows.", "extension `http2_max_connections`", "2", false},
	{"stream_window", aSize, "64KiB", "Bytes of a response body that an endpoint may send before they are read, in the beginning (65535 to 2147483647).", "`http2_protocol_options.initial_stream_window_size`", "256KiB", false},
	{"max_stream_window", aSize, "4MiB", "Bytes that a stream's window may grow to while bandwidth and delay ask for more; at least `stream_window`. A connection's window grows to four times that.", "extension `http2_max_stream_window`", "16MiB", false},
	{"connection_window", aSize, "1MiB", "The same for all streams of a connection together, in the beginning (65535 to 2147483647).", "`http2_protocol_options.initial_connection_window_size`", "4MiB", false},
	{"header_table", aSize, "4KiB", "The HPACK table that an endpoint may fill (RFC 7541 section 4.2; at most 1MiB); 0 leaves it the static table alone.", "`http2_protocol_options.hpack_table_size`", "0", false},
	{"ping", ref("ping"), "", "Asks silent endpoints for a sign of life.", "`http2_protocol_options.connection_keepalive`", "{interval: 10s, timeout: 5s}", false},
}}
