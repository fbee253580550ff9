package yaml

// placeKeys say where an endpoint stands, and what its labels are.
var placeKeys = []key{
	{"weight", aWhole, "1", "Its share (1 to 1000000).", "`LbEndpoint.load_balancing_weight`", "3", false},
	{"priority", aWhole, "0", "Endpoints of priority 0 get requests first; those of the next ones (up to 127) as much as the healthy ones before them cannot take. None may be left out.", "`LocalityLbEndpoints.priority`", "1", false},
	{"region", aString, "", "Its region.", "`LocalityLbEndpoints.locality.region`", "eu-1", false},
	{"zone", aString, "", "Its zone.", "`LocalityLbEndpoints.locality.zone`", "eu-1a", false},
	{"sub_zone", aString, "", "Its part of the zone, such as a rack.", "`LocalityLbEndpoints.locality.sub_zone`", "r7", false},
	{"labels", mapOf(oneOrMore(aString)), "", "Labels, by which `subsets` of the cluster select; a list is several values of one label. `hash_key` is what ring_hash and maglev hash in place of its address.", "`LbEndpoint.metadata.filter_metadata[\"envoy.lb\"]`", "{version: v2, stage: [blue, green]}", false},
	{"hostname", aString, "", "Host that health checks send.", "`Endpoint.hostname`", "cart-1.internal", false},
	{"health", ref("endpoint health"), "", "Where it is checked, if that is elsewhere.", "`Endpoint.health_check_config`", "{port: 8081}", false},
}

var endpointTable = object{"endpoint", "One address. In xDS neighbours of one priority and locality share a `LocalityLbEndpoints`.", append([]key{
	{"address", aString, "", "`host:port`; the host is an IP address. Required.", "`Endpoint.address`", `"10.0.0.1:8080"`, false},
	{"drain", aBool, "false", "Gets no new requests.", "`LbEndpoint.health_status: DRAINING`", "true", false},
}, placeKeys...)}

var endpointHealthTable = object{"endpoint health", "Where health checks of an endpoint go.", []key{
	{"port", aWhole, "the endpoint's", "Port (1 to 65535).", "`health_check_config.port_value`", "8081", false},
	{"address", aString, "the endpoint's", "IP address.", "`health_check_config.address`", "10.0.9.1", false},
	{"host", aString, "the check's, or the endpoint's", "Host that checks send.", "`health_check_config.hostname`", "probe.internal", false},
	{"off", onlyTrue, "", "The endpoint is not checked, and counts as healthy.", "`health_check_config.disable_active_health_check`", "true", false},
}}

var dnsTable = object{"dns", "Endpoints found by DNS names.", []key{
	{"dns", oneOrMore(either(aString, ref("dns name"))), "", "`name:port`, or a map with it; one name only with mode logical. Required.", "`load_assignment`", `"web:8080"`, false},
	{"mode", one("strict", "logical"), "strict", "Every address is an endpoint, or the first address is used for new connections.", "`type: STRICT_DNS`, `LOGICAL_DNS`", "logical", false},
	{"refresh", aDuration, "5s", "Time between look-ups when TTLs are not respected or absent; at least 1ms.", "`dns_refresh_rate`", "30s", false},
	{"respect_ttl", aBool, "true", "Look up again when a record's TTL ends.", "`respect_dns_ttl`", "false", false},
	{"family", one("auto", "v4", "v6"), "auto", "Addresses used.", "`dns_lookup_family: AUTO`, `V4_ONLY`, `V6_ONLY`", "v4", false},
}}

var dnsNameTable = object{"dns name", "One name; what is said of it holds for each of its addresses.", append([]key{
	{"name", aString, "", "`name:port`. Required.", "`Endpoint.address`", `"web:8080"`, false},
}, placeKeys...)}

var originalDestinationTable = object{"original destination", "A request goes where its connection was going before it was redirected to the gateway.", []key{
	{"original_dst", ref("original_dst"), "", "Settings. Required.", "`type: ORIGINAL_DST`, `lb_policy: CLUSTER_PROVIDED`", "{port: 8080}", false},
}}

var originalDstTable = object{"original_dst", "Settings of `original_dst`.", []key{
	{"header", aString, "", "Request header that holds the IP address and port to go to instead. Who may set it reaches any address.", "`original_dst_lb_config.http_header_name`, `use_http_header`", "x-original-dst", false},
	{"port", aWhole, "that of the connection", "Port in place of it (1 to 65535).", "`original_dst_lb_config.upstream_port_override`", "8080", false},
	{"unused", aDuration, "5s", "Time without requests after which an endpoint is forgotten; at least 1ms.", "`cleanup_interval`", "1m", false},
	{"max_endpoints", aWhole, "4096", "Endpoints at once (1 to 1048576); a request to another one is answered with 503.", "extension `max_endpoints`", "1024", false},
}}
