package yaml

// balanceObjects are the tables of what decides which endpoint a request gets.
var balanceObjects = []object{
	lbTable, leastRequestTable, peakEWMATable, ringHashTable, maglevTable, hashTable, slowStartTable,
	localityTable, zoneAwareTable, subsetsTable, selectorTable,
}

// algorithms are the words of "lb".
var algorithms = []string{"round_robin", "random", "least_request", "peak_ewma", "ring_hash", "maglev"}

var aDecimal = kind{"decimal number", `{"type":"number","minimum":0}`}

var lbTable = object{"lb", "A balancing algorithm with settings: exactly one.", []key{
	{"least_request", ref("least_request"), "", "The endpoint with the fewest requests under way, of some.", "`LeastRequest`", "{choices: 3}", false},
	{"peak_ewma", ref("peak_ewma"), "", "The endpoint where a request waits least, of some: by response times, requests under way and weight.", "`TypedStruct` of type `longmen.v1.PeakEwma`", "{decay: 5s}", false},
	{"ring_hash", ref("ring_hash"), "", "Consistent hashing on a ring (ketama): equal requests go to one endpoint.", "`RingHash`", "{by: cookie:sid}", false},
	{"maglev", ref("maglev"), "", "Consistent hashing by Maglev's table: faster than a ring and more even.", "`Maglev`", "{by: header:x-user}", false},
}}

var leastRequestTable = object{"least_request", "Settings of `least_request`.", []key{
	{"choices", aWhole, "2", "Endpoints compared (2 to 100).", "`LeastRequest.choice_count`", "3", false},
	{"full_scan", onlyTrue, "", "Compare all endpoints; a choice takes longer the more there are.", "`LeastRequest.selection_method: FULL_SCAN`", "true", false},
	{"bias", aDecimal, "", "With unequal weights, endpoints in turn by weight / (requests under way + 1) to the power of this (0 to 100), as Envoy does; without it some are compared there too.", "`LeastRequest.active_request_bias`", "1.5", false},
}}

var peakEWMATable = object{"peak_ewma", "Settings of `peak_ewma`.", []key{
	{"decay", aDuration, "10s", "Time in which what is remembered of a response time shrinks to 37 % (10ms to 1h).", "extension `decay`", "5s", false},
	{"choices", aWhole, "2", "Endpoints compared (2 to 100).", "extension `choices`", "3", false},
}}

var ringHashTable = object{"ring_hash", "Settings of `ring_hash`.", append([]key{
	{"min", aWhole, "512 for each endpoint", "Points on the ring at least (1 to 8388608); with more than 256 endpoints the default is less for each.", "`RingHash.minimum_ring_size`", "4096", false},
	{"max", aWhole, "8388608", "Points at most (1 to 8388608), but one for each endpoint.", "`RingHash.maximum_ring_size`", "65536", false},
	{"hash", one("xxhash", "murmur2"), "xxhash", "Function that places them.", "`RingHash.hash_function`", "murmur2", false},
}, consistentKeys...)}

var maglevTable = object{"maglev", "Settings of `maglev`.", append([]key{
	{"table", aWhole, "65537", "Size of the table: a prime, at most 5000011; 100 times the number of endpoints or more keeps shares within 1 %.", "`Maglev.table_size`", "131071", false},
}, consistentKeys...)}

var consistentKeys = []key{
	{"by", oneOrMore(either(aString, ref("hash"))), "the rule's `hash`", "What of a request is hashed, in this order; it goes before a rule's `hash`. `header:NAME`, `cookie:NAME`, `query:NAME`, `source_ip` or `path`, or a map. Who has nothing of it gets an endpoint at random.", "`consistent_hashing_lb_config.hash_policy`", "header:x-user", false},
	{"key", one("address", "hostname"), "address", "What of an endpoint is hashed; its label `hash_key` goes before either.", "`consistent_hashing_lb_config.use_hostname_for_hashing`", "hostname", false},
	{"bounded_load", kind{"whole percent", `{"anyOf":[{"type":"integer","minimum":100},{"type":"string","pattern":"^[0-9]{3,5}%$"}]}`}, "no bound", "An endpoint gets at most this share (100% to 10000%) of its part of the requests under way; the next one in the order of the hash gets what is above.", "`consistent_hashing_lb_config.hash_balance_factor`", "125%", false},
}

var hashTable = object{"hash", "What is hashed of a request: exactly one of `header`, `cookie`, `query`, `source_ip` and `path`.", []key{
	{"header", aString, "", "Values of a request header; `:authority`, `:path` (with the query) and `:method` too.", "`HashPolicy.header.header_name`", "x-user", false},
	{"regex", ref("substitution"), "", "Changes the header's value before.", "`HashPolicy.header.regex_rewrite`", `{match: "^([^-]*)-.*", to: '\1'}`, false},
	{"cookie", aString, "", "Value of a cookie.", "`HashPolicy.cookie.name`", "sid", false},
	{"ttl", aDuration, "", "Clients without the cookie are given one that lasts so long, in whole seconds; 0s is until the browser is closed.", "`HashPolicy.cookie.ttl`", "1h", false},
	{"cookie_path", aString, "", "Path of the cookie that they are given.", "`HashPolicy.cookie.path`", "/", false},
	{"attributes", mapOf(kind{"string", `{"$ref":"#/$defs/text"}`}), "", "Further attributes of that cookie; `\"\"` for one without value. HttpOnly is always there.", "`HashPolicy.cookie.attributes`", `{SameSite: Lax, Secure: ""}`, false},
	{"query", aString, "", "First value of a query parameter.", "`HashPolicy.query_parameter.name`", "user", false},
	{"source_ip", onlyTrue, "", "The client's address.", "`HashPolicy.connection_properties.source_ip`", "true", false},
	{"path", onlyTrue, "", "The path without the query.", "`HashPolicy.header` of `:path` with `regex_rewrite` of `\\?.*`", "true", false},
	{"terminal", aBool, "false", "If there is something to hash by here or before, what follows does not count.", "`HashPolicy.terminal`", "true", false},
}}

var slowStartTable = object{"slow_start", "An endpoint that is new, or healthy again, begins with a part of its weight. For `round_robin` and `least_request`.", []key{
	{"window", aDuration, "", "Time until it has its whole weight; at least 1s. Required.", "`slow_start_config.slow_start_window`", "30s", false},
	{"aggression", aDecimal, "1", "1 grows evenly, more (up to 100) grows faster at first.", "`slow_start_config.aggression`", "2", false},
	{"min_weight", aPercent, "10", "Share of its weight that it begins with.", "`slow_start_config.min_weight_percent`", "5%", false},
}}

var localityTable = object{"locality", "What localities (`region`, `zone`, `sub_zone` of endpoints) are for: exactly one.", []key{
	{"weighted", mapOf(aWhole), "", "Requests of each priority are divided by these weights, as far as a locality's endpoints are healthy. A locality is called by its parts that are set: `eu-1a`, or `eu-1/eu-1a/r7`.", "`locality_weighted_lb_config`, `LocalityLbEndpoints.load_balancing_weight`", "{eu-1a: 3, eu-1b: 1}", false},
	{"zone_aware", ref("zone aware"), "", "Requests stay in the gateway's own zone as far as that does not overload it. Not with ring_hash and maglev.", "`zone_aware_lb_config`", "{min_endpoints: 3}", false},
}}

var zoneAwareTable = object{"zone aware", "Settings of `zone_aware`.", []key{
	{"share", aPercent, "100", "Share of the requests that is routed so; the rest goes to all endpoints alike.", "`routing_enabled`", "50%", false},
	{"min_endpoints", aWhole, "6", "With fewer endpoints, requests go to all of them alike (1 to 1000000).", "`min_cluster_size`", "3", false},
	{"force_local", aWhole, "", "All requests stay as long as the own zone has so many usable endpoints (1 to 1000000). Not with peak_ewma.", "`force_local_zone.min_size`", "2", false},
	{"fail_in_panic", aBool, "false", "Answer with 503 in panic, instead of sending requests to endpoints that are not healthy.", "`fail_traffic_on_panic`", "true", false},
}}

var subsetsTable = object{"subsets", "Subsets of endpoints by their labels, which rules ask for (`subset`). A list of selectors may stand in its place.", []key{
	{"by", listOf(either(listOf(aString), ref("selector"))), "", "Selectors: labels, each combination of whose values is a subset. Required.", "`subset_selectors`", "[[version], [stage, version]]", false},
	{"fallback", one("any", "none", "default"), "any", "What a rule gets that asks for no subset, or by labels that are in no selector: any endpoint, 503, or the subset `default`.", "`fallback_policy`", "none", false},
	{"default", mapOf(aString), "", "The subset of `fallback: default`.", "`default_subset`", "{version: v1}", false},
	{"locality_weights", aBool, "false", "Divide the requests of a subset by the localities' weights too.", "`locality_weight_aware`", "true", false},
	{"scale_weights", aBool, "false", "With `locality_weights`: a locality's weight counts by the share of its endpoints that is in the subset.", "`scale_locality_weight`", "true", false},
	{"panic_any", aBool, "false", "A subset without endpoints, after all fallbacks, is all endpoints.", "`panic_mode_any`", "true", false},
}}

var selectorTable = object{"selector", "A selector with settings. In its place may stand the list of labels.", []key{
	{"by", listOf(aString), "", "The labels. Required.", "`subset_selectors[].keys`", "[stage, version]", false},
	{"fallback", one("none", "any", "default", "keys", "inherit"), "none", "What a rule gets that asks by these labels, when no endpoint has the values: 503, any endpoint, the subset `default`, the subset of some of the labels (`keys`), or what `fallback` of `subsets` says (inherit).", "`subset_selectors[].fallback_policy`", "keys", false},
	{"keys", listOf(aString), "", "The labels of `fallback: keys`: some of `by`.", "`subset_selectors[].fallback_keys_subset`", "[version]", false},
	{"single", aBool, "false", "Each value is one endpoint, the first that has it. With one label.", "`subset_selectors[].single_host_per_subset`", "true", false},
}}
