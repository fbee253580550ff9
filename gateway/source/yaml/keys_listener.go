package yaml

var listenerTable = object{"listener", "A place where clients connect (`listeners.<name>`).", append([]key{
	{"bind", oneOrMore(aString), "", "Address and port to listen on; without an address all of the host, IPv6 and IPv4. Required.", "`Listener.address`, `.additional_addresses`, `enable_reuse_port: true`", `":8080"`, false},
	{"routes", either(aString, listOf(ref("host"))), "", "Name of a route table, or its hosts in place. Required.", "HCM `rds.route_config_name`; in place: `route_config` with the listener's name", "public", false},
	{"protocols", oneOrMore(one(protocolNames...)), "[h2, http/1.1]", "What is spoken. With `tls` ALPN (RFC 7301) chooses, the first here that the client has; plain HTTP/2 is known by how it begins, that is for clients that know beforehand (RFC 9113 section 3.3).", "HCM `codec_type: AUTO`, `HTTP1`, `HTTP2`; `alpn_protocols`", "[http/1.1]", false},
	{"http2", ref("listener http2"), "", "Bounds of HTTP/2 connections.", "see there", "{max_streams: 128}", false},
	{"path", ref("path"), "", "How request paths are made canonical before routing.", "see there", "{dot_segments: reject}", false},
	{"limits", ref("listener limits"), "", "Bounds of connections, heads and bodies.", "see there", "{connections: 10000}", false},
	{"timeouts", ref("listener timeouts"), "", "Times after which a client is given up.", "see there", "{idle: 30s}", false},
	{"min_rate", ref("min_rate"), "", "Least speed of a client; slower ones are cut off.", "see there", "{request: 100, grace: 5s}", false},
	{"forwarded", ref("forwarded"), "", "Forwarding fields, trust in them, request ids.", "see there", "{trusted_hops: 1}", false},
	{"server", either(one("keep", "set", "remove"), ref("server")), "keep", "What happens to the `Server` field of responses.", "HCM `server_header_transformation`, extension `server_header`", "remove", false},
	{"half_close", one("keep", "abort"), "keep", "What a client's FIN during a request means: it still reads, or it has gone.", "extension `half_close`", "abort", false},
	{"upgrades", listOf(aString), "[websocket]", "Protocols that `Upgrade` may turn a connection into, on every route; `[]` for none.", "HCM `upgrade_configs[].upgrade_type`", "[websocket]", false},
	{"backlog", aWhole, "4096", "Connections that the kernel holds until they are accepted, for each worker's socket (1 to 1048576).", "`Listener.tcp_backlog_size`", "8192", false},
	{"fast_open", aWhole, "0", "TCP Fast Open queue (RFC 7413); 0 is off (at most 65535).", "`Listener.tcp_fast_open_queue_length`", "256", false},
	{"tcp", ref("listener tcp"), "", "Options of accepted sockets.", "see there", "{nodelay: true}", false},
	{"access_log", either(one("off"), oneOrMore(ref("access_log"))), "", "Replaces the process-wide `access_log` for this listener; `off` writes none.", "HCM `access_log` (`envoy.access_loggers.file`), extension `access_log`", "{path: /dev/stdout, format: json}", false},
	{"tls", either(oneOrMore(aString), ref("listener tls")), "", "TLS: names of secrets, or a map with more; plain HTTP without.", "`filter_chains[0].transport_socket` (`DownstreamTlsContext`)", "[shop, api]", false},
	{"bypass_overload", aBool, "false", "The overload manager refuses nothing here, and shortens nothing: for health checks and the like.", "`Listener.bypass_overload_manager`", "true", false},
	{"filters", listOf(ref("filter")), "", "Filters of every request, in their order.", "HCM `http_filters`, before the router", "[{cors: {allow_origins: \"*\"}}]", false},
}, notYet("proxy_protocol", "transparent")...)}

var pathTable = object{"path", "Path policy of a listener. What is not written is as the default says.", []key{
	{"encoded_slash", one("reject", "decode", "keep"), "reject", "`%2F` and `%5C` in a path: answer 400, decode, or leave.", "HCM `path_with_escaped_slashes_action`", "keep", false},
	{"dot_segments", one("reject", "resolve", "keep"), "resolve", "`.` and `..` segments: answer 400, resolve (RFC 3986 section 5.2.4), or leave.", "HCM `normalize_path`; reject: extension `dot_segments`", "reject", false},
	{"double_slash", one("reject", "merge", "keep"), "keep", "`//` in a path: answer 400, make one of it, or leave.", "HCM `merge_slashes: true`; others: extension `double_slash`", "merge", false},
}}

var listenerLimitsTable = object{"listener limits", "Bounds of a listener (`limits`).", []key{
	{"connections", aWhole, "0", "Connections at once over all workers; 0 is no limit.", "extension `max_connections`", "10000", false},
	{"accept_rate", aWhole, "0", "New connections a second over all workers; 0 is no limit.", "extension `accept_rate`", "2000", false},
	{"client_connections", aWhole, "0", "Connections of one client at once, over all workers; a client is an IPv4 address, or the first 64 bits of one of IPv6; 0 is no limit.", "extension `max_client_connections`", "100", false},
	{"active_requests", aWhole, "0", "Requests at once, over all workers (503); 0 is no limit.", "extension `max_active_requests`", "5000", false},
	{"header_bytes", aSize, "60KiB", "A request head (431); whole KiB from 1KiB to 8MiB.", "HCM `max_request_headers_kb`", "32KiB", false},
	{"headers", aWhole, "100", "Fields of a request head (431); 1 to 10000.", "HCM `common_http_protocol_options.max_headers_count`", "64", false},
	{"line", aSize, "8KiB", "The request line (414); 64 to 1MiB.", "extension `max_line`", "4KiB", false},
	{"body", aSize, "0", "A request body (413); 0 is no limit.", "extension `max_body`", "10MiB", false},
	{"requests", aWhole, "0", "Requests on one connection; 0 is no limit.", "HCM `common_http_protocol_options.max_requests_per_connection`", "1000", false},
}}

var listenerTimeoutsTable = object{"listener timeouts", "Timeouts of a listener (`timeouts`).", []key{
	{"header", aDuration, "10s", "Until a request head is complete (408).", "HCM `request_headers_timeout`", "5s", false},
	{"body", aDuration, "30s", "Between two pieces of a request body (408), until its response has begun; not for gRPC.", "extension `body_timeout`", "15s", false},
	{"idle", aDuration, "60s", "Between two requests of a connection.", "HCM `common_http_protocol_options.idle_timeout`", "30s", false},
	{"write", aDuration, "30s", "Until the client takes some bytes of a response.", "extension `write_timeout`", "20s", false},
	{"stream", aDuration, "5m", "No byte in either direction while a request is under way; at least 1ms.", "HCM `stream_idle_timeout`", "2m", false},
	{"request", aDuration, "0s", "Until the whole request is received (408); 0s is none.", "HCM `request_timeout`", "1m", false},
}}

var minRateTable = object{"min_rate", "Least rates of a client. Rates are averages in bytes a second.", []key{
	{"request", aSize, "0", "What a client must send while a head or body is under way; 0 is off.", "extension `min_request_rate`", "100", false},
	{"response", aSize, "0", "What a client must take of a response; 0 is off.", "extension `min_response_rate`", "1KiB", false},
	{"grace", aDuration, "10s", "Time before the rates count.", "extension `rate_grace`", "5s", false},
}}

var forwardedTable = object{"forwarded", "What a listener says to upstreams about the client, and what it believes of it.", []key{
	{"trusted_hops", aWhole, "0", "Entries of `X-Forwarded-For`, from the right, that our own proxies wrote (at most 32).", "HCM `xff_num_trusted_hops`", "1", false},
	{"x_forwarded_for", one("append", "keep"), "append", "Append the peer's address to `X-Forwarded-For`, or pass the field as it came.", "HCM `use_remote_address`", "keep", false},
	{"via", aString, "", "Pseudonym for the `Via` field (RFC 9110 section 7.6.3), or `off`.", "HCM `via`; off: extension `via`", "edge", false},
	{"rfc7239", aBool, "false", "Append to the `Forwarded` field too (RFC 7239).", "extension `forwarded`", "true", false},
	{"request_id", one("generate", "preserve", "off"), "generate", "`X-Request-Id`: always a new one, the client's if it sent one, or untouched.", "HCM `generate_request_id`, `preserve_external_request_id`", "preserve", false},
	{"client_cert", one("remove", "keep", "append", "set", "always_keep"), "remove", "`X-Forwarded-Client-Cert`: drop what the client sent; on connections with a client certificate pass it, append ours to it, or replace it by ours; or pass it always.", "HCM `forward_client_cert_details`: `SANITIZE`, `FORWARD_ONLY`, `APPEND_FORWARD`, `SANITIZE_SET`, `ALWAYS_FORWARD_ONLY`", "set", false},
	{"client_cert_details", listOf(one("subject", "uri", "dns", "cert", "chain")), "[]", "What our `X-Forwarded-Client-Cert` says beside `By` and `Hash`.", "HCM `set_current_client_cert_details`", "[subject, uri]", false},
	{"request_id_in_response", aBool, "false", "Send the request id to the client too.", "HCM `always_set_request_id_in_response`", "true", false},
}}

var serverTable = object{"server", "The `Server` field of responses.", []key{
	{"header", one("keep", "set", "remove"), "keep", "Pass the upstream's (local replies carry ours), always write ours, or send none.", "HCM `server_header_transformation`, extension `server_header`", "set", false},
	{"name", aString, "longmen", "Our name.", "HCM `server_name`", "edge", false},
}}

var listenerTCPTable = object{"listener tcp", "Options of accepted sockets (`tcp`).", []key{
	{"nodelay", aBool, "true", "Send small segments at once (TCP_NODELAY).", "extension `nodelay`", "false", false},
	{"keepalive", ref("keepalive"), "", "TCP keepalive probes; none unless written.", "`Listener.tcp_keepalive`", "{idle: 1m, interval: 10s, probes: 5}", false},
}}

var keepaliveTable = object{"keepalive", "TCP keepalive (tcp(7)). Times are whole seconds from 1s to 32767s.", []key{
	{"idle", aDuration, "2h", "Quiet time before the first probe.", "`keepalive_time`", "60s", false},
	{"interval", aDuration, "75s", "Time between probes.", "`keepalive_interval`", "10s", false},
	{"probes", aWhole, "9", "Probes without answer that end a connection (1 to 127).", "`keepalive_probes`", "5", false},
}}

var accessLogTable = object{"access_log", "One access log.", []key{
	{"path", aString, "/dev/stdout", "File to append to; `/dev/stdout` and `/dev/stderr` are known.", "`FileAccessLog.path`", "/var/log/access.log", false},
	{"format", either(one("text", "json"), aString), "text", "`text`, `json`, or a template of command operators with one line's text.", "`FileAccessLog.log_format.text_format_source` or `.json_format`", `"%RESPONSE_CODE% %REQ(:PATH)%"`, false},
	{"fields", mapOf(aString), "", "Of a `json` log: name and template of each field; the built-in ones if not written.", "`FileAccessLog.log_format.json_format`", `{code: "%RESPONSE_CODE%"}`, false},
}}
