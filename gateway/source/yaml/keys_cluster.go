package yaml

import "slices"

// clusterObjects are the tables of clusters, in the order of the reference.
var clusterObjects = []object{
	clusterTable, endpointTable, endpointHealthTable, dnsTable, dnsNameTable, originalDestinationTable, originalDstTable, healthTable, tcpCheckTable, healthIntervalsTable, healthLogTable,
	clusterTimeoutsTable, poolTable, clusterTCPTable, clusterHTTP2Table,
}

var clusterTable = object{"cluster", "A service that requests go to (`clusters.<name>`).", slices.Concat([]key{
	{"endpoints", either(listOf(either(aString, ref("endpoint"))), ref("dns"), one("original_dst"), ref("original destination")), "", "Addresses; or DNS names; or where each connection was going before it was redirected to the gateway. Required.", "`type: STATIC` with `load_assignment`; the others: see there", `["10.0.0.1:8080"]`, false},
	{"lb", either(one(algorithms...), ref("lb")), "round_robin", "How an endpoint is chosen; all go by weight.", "`load_balancing_policy`", "least_request", false},
	{"slow_start", ref("slow_start"), "", "Endpoints that are new begin with a part of their weight.", "`slow_start_config` of the policy", "{window: 30s}", false},
	{"locality", either(one("zone_aware"), ref("locality")), "", "Requests are divided by localities, or stay in the gateway's own.", "`locality_lb_config` of the policy; with peak_ewma `common_lb_config`", "{weighted: {eu-1a: 3, eu-1b: 1}}", false},
	{"subsets", either(listOf(either(listOf(aString), ref("selector"))), ref("subsets")), "", "Subsets of endpoints that rules may ask for.", "policy `Subset`, with that of `lb` in it", "[[version]]", false},
	{"overprovisioning", kind{"whole percent", `{"anyOf":[{"type":"integer","minimum":100},{"type":"string","pattern":"^[0-9]{3,5}%$"}]}`}, "140%", "A priority, or locality, of which a share is healthy takes that share times this (100% to 10000%) of its requests: at 140% all of them while 72 % are.", "`ClusterLoadAssignment.policy.overprovisioning_factor`", "120%", false},
	{"weighted_health", aBool, "false", "Count healthy endpoints by their weights.", "`ClusterLoadAssignment.policy.weighted_priority_health`", "true", false},
	{"health", oneOrMore(ref("health")), "", "Active health checks; an endpoint is up when all say so.", "`health_checks`", "{http: /healthz}", false},
	{"timeouts", ref("cluster timeouts"), "", "Timeouts of connections.", "see there", "{connect: 1s}", false},
	{"limits", ref("cluster limits"), "", "Bounds over all workers.", "`circuit_breakers.thresholds`", "{connections: 1024}", false},
	{"pool", ref("pool"), "", "Keep-alive connections.", "see there", "{idle_timeout: 30s}", false},
	{"panic", kind{"whole percent", `{"anyOf":[{"type":"integer","minimum":0,"maximum":100},{"type":"string","pattern":"^[0-9]{1,3}%$"}]}`}, "0", "When less than this share of the endpoints is healthy, all are used; 0 is never. Of a priority, when all priorities together cannot take all requests.", "`common_lb_config.healthy_panic_threshold`", "50", false},
	{"outlier", ref("outlier"), "", "Ejection of endpoints that answer worse than others; none unless written (`{}` for the defaults).", "`outlier_detection`", "{errors: 5, eject: 30s, max: 50%}", false},
	{"tcp", ref("cluster tcp"), "", "Socket options.", "see there", "{keepalive: {idle: 1m}}", false},
	{"protocol", one("http/1.1", "h2", "auto"), "http/1.1", "What is spoken: HTTP/1.1; HTTP/2, which without `tls` the endpoints must know beforehand; or what an endpoint chooses by ALPN, with HTTP/2 first.", "`HttpProtocolOptions.explicit_http_config`; auto: `auto_config`", "h2", false},
	{"http2", ref("cluster http2"), "", "Settings of HTTP/2.", "`http2_protocol_options` there", "{max_streams: 1000}", false},
	{"tls", either(onlyTrue, ref("cluster tls")), "", "TLS to the endpoints; plain without.", "`transport_socket` (`UpstreamTlsContext`)", "true", false},
}, onwardKeys(), notYet("filters"))}

var healthTable = object{"health", "An active health check: exactly one of `http`, `grpc` and `tcp`.", append([]key{
	{"http", aString, "", "Path that is asked for: over HTTP/2 if the cluster speaks nothing else, else over HTTP/1.1.", "`http_health_check.path`", "/healthz", false},
	{"grpc", kind{"string \\| true", `{"$ref":"#/$defs/text"}`}, "", "Service that grpc.health.v1.Health is asked for, over HTTP/2; `true` is the server as a whole. It must be SERVING.", "`grpc_health_check.service_name`", "pkg.Svc", false},
	{"tcp", either(onlyTrue, ref("tcp check")), "", "Connect; or send and expect bytes.", "`tcp_health_check`", "true", false},
	{"every", aDuration, "5s", "Time between checks; at least 10ms.", "`interval`", "2s", false},
	{"timeout", aDuration, "1s, or `every` if that is less", "Of one check; at least 1ms.", "`timeout`", "500ms", false},
	{"up", aWhole, "2", "Successes in a row until an endpoint is up (1 to 1000).", "`healthy_threshold`", "1", false},
	{"down", aWhole, "3", "Failures in a row until it is down (1 to 1000).", "`unhealthy_threshold`", "2", false},
	{"jitter", either(aDuration, aWholePercent), "0s", "Random addition to each interval, up to a time, or to a share of the interval.", "`interval_jitter`; a share: `interval_jitter_percent`", "100ms", false},
	{"first_jitter", aDuration, "0s", "Random delay of the first check.", "`initial_jitter`", "1s", false},
	{"intervals", ref("health intervals"), "", "Other times between checks than `every`.", "see there", "{down: 30s}", false},
	{"port", aWhole, "the endpoint's", "Port that all endpoints are checked at, but those that say it themselves (1 to 65535); the same for all checks of a cluster.", "`alt_port`", "8081", false},
	{"reuse", aBool, "false", "Keep the connection for the next check: it then does not notice that new ones are refused.", "`reuse_connection`", "true", false},
	{"alpn", oneOrMore(aString), "what fits the check", "Application protocols offered in TLS.", "`tls_options.alpn_protocols`", "http/1.1", false},
	{"log", either(aString, ref("health log")), "", "File for a line of JSON about each change of an endpoint's state.", "`event_log_path`", "/var/log/longmen/health.log", false},
	{"host", aString, "the endpoint's hostname or address", "Host of an `http` or `grpc` check.", "`http_health_check.host`, `grpc_health_check.authority`", "cart.internal", false},
	{"method", aString, "GET", "Method of an `http` check.", "`http_health_check.method`", "HEAD", false},
	{"headers", mapOf(aString), "", "Fields of an `http` check.", "`http_health_check.request_headers_to_add`", "{x-check: \"1\"}", false},
	{"status", oneOrMore(either(aWhole, aString)), "200-299", "Accepted statuses of an `http` check, both ends in.", "`http_health_check.expected_statuses`", "200-399", false},
	{"retriable", oneOrMore(either(aWhole, aString)), "all others", "Statuses of an `http` check that count as one failure of `down`; with any, one that is neither accepted nor among them means down at once.", "`http_health_check.retriable_statuses`", "500-599", false},
	{"expect", oneOrMore(aString), "", "Text that the first 64 KiB of the body of an `http` check must hold; several, one after the other.", "`http_health_check.receive`", "ok", false},
	{"body", aString, "", "Body that an `http` check sends.", "`http_health_check.send`", `"ping"`, false},
	{"protocol", one("h2"), "the cluster's, or http/1.1", "HTTP/2 for an `http` check, by prior knowledge where there is no TLS.", "`http_health_check.codec_client_type: HTTP2`", "h2", false},
	{"metadata", mapOf(aString), "", "Fields of a `grpc` check.", "`grpc_health_check.initial_metadata`", "{x-check: \"1\"}", false},
}, notYet("rpc")...)}

var tcpCheckTable = object{"tcp check", "A TCP check that talks.", []key{
	{"send", aString, "", "Text to send.", "`tcp_health_check.send`", "PING", false},
	{"expect", oneOrMore(aString), "", "Text that the first 64 KiB of the answer must hold; several, one after the other.", "`tcp_health_check.receive`", "PONG", false},
}}

var healthIntervalsTable = object{"health intervals", "Times between checks that depend on what is known of an endpoint; at least 10ms.", []key{
	{"down", aDuration, "`every`", "While it is down.", "`unhealthy_interval`", "30s", false},
	{"going_down", aDuration, "`down`", "After a check of an endpoint that is up has failed.", "`unhealthy_edge_interval`", "1s", false},
	{"coming_up", aDuration, "`every`", "After a check of an endpoint that is down has passed.", "`healthy_edge_interval`", "1s", false},
	{"no_traffic", aDuration, "`every`", "As long as no request has come for the cluster.", "`no_traffic_interval`", "1m", false},
	{"no_traffic_up", aDuration, "`no_traffic`", "The same, of endpoints that are up.", "`no_traffic_healthy_interval`", "2m", false},
}}

var healthLogTable = object{"health log", "A log of health checks.", []key{
	{"path", aString, "", "File. Required.", "`event_log_path`", "/var/log/longmen/health.log", false},
	{"failures", aBool, "false", "A line for each check that fails, too.", "`always_log_health_check_failures`", "true", false},
	{"successes", aBool, "false", "A line for each check that passes, too.", "`always_log_health_check_success`", "true", false},
}}

var clusterTimeoutsTable = object{"cluster timeouts", "Timeouts of a cluster (`timeouts`).", []key{
	{"connect", aDuration, "5s", "Until a connection is made; at least 1ms.", "`connect_timeout`", "1s", false},
	{"response", aDuration, "0s", "From the sent request until the response head; 0s is none.", "extension `response_timeout`", "10s", false},
}}

var poolTable = object{"pool", "Keep-alive connections of a cluster.", []key{
	{"idle", aWhole, "1024", "Idle connections that each worker keeps for an endpoint.", "extension `idle_per_worker`", "32", false},
	{"idle_timeout", aDuration, "60s", "Life of an idle connection.", "`HttpProtocolOptions.common_http_protocol_options.idle_timeout`", "30s", false},
	{"max_requests", aWhole, "0", "Requests on one connection; 0 is no limit.", "`HttpProtocolOptions.common_http_protocol_options.max_requests_per_connection`", "1000", false},
	{"max_age", aDuration, "0s", "Life of a connection; 0s is no limit.", "`HttpProtocolOptions.common_http_protocol_options.max_connection_duration`", "10m", false},
}}

var clusterTCPTable = object{"cluster tcp", "Socket options of upstream connections (`tcp`).", []key{
	{"keepalive", ref("keepalive"), "", "TCP keepalive probes; none unless written.", "`upstream_connection_options.tcp_keepalive`", "{idle: 1m}", false},
	{"source", aString, "the kernel's choice", "Local IP address to connect from.", "`upstream_bind_config.source_address`", "10.0.0.9", false},
}}
