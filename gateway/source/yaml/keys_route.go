package yaml

var routeTable = object{"route table", "Hosts and rules of one route table (`routes.<name>`). A list of hosts may stand in its place.", []key{
	{"hosts", listOf(ref("host")), "", "The hosts. Required.", "`RouteConfiguration.virtual_hosts`", "[{hosts: [\"*\"], rules: [{to: web}]}]", false},
	{"headers", ref("headers"), "", "Header edits for all hosts.", "`RouteConfiguration.*_headers_to_add`, `*_headers_to_remove`", "{response: {set: {x-served-by: edge}}}", false},
	{"filters", listOf(ref("filter")), "", "Filters of all hosts, or settings of the wider ones.", "`RouteConfiguration.typed_per_filter_config`", "[{cors: {allow_origins: \"*\"}}]", false},
}}

var hostTable = object{"host", "Rules for a set of host names.", []key{
	{"hosts", oneOrMore(aString), "", "Host names: exact, `*.suffix`, `prefix.*` or `*`; the most specific wins. Required.", "`VirtualHost.domains`", "[shop.example.com, \"*.shop.example.com\"]", false},
	{"rules", listOf(ref("rule")), "", "The rules; the first that matches is taken. Required.", "`VirtualHost.routes`", "[{to: web}]", false},
	{"retry", ref("retry"), "", "When another endpoint is tried, for rules that do not say it.", "`VirtualHost.retry_policy`", "{on: connect-failure}", false},
	{"hedge", ref("hedge"), "", "Several tries at once, for rules that do not say it.", "`VirtualHost.hedge_policy`", "{on_timeout: true}", false},
	{"headers", ref("headers"), "", "Header edits for all rules.", "`VirtualHost.*_headers_to_add`, `*_headers_to_remove`", "{request: {set: {x-shop: \"1\"}}}", false},
	{"name", aString, "<table>[<index>]", "Name in logs and statistics.", "`VirtualHost.name`", "shop", false},
	{"filters", listOf(ref("filter")), "", "Filters of all rules, or settings of the wider ones.", "`VirtualHost.typed_per_filter_config`", "[{cors: {allow_origins: \"*\"}}]", false},
}}

var ruleTable = object{"rule", "One rule: a condition and exactly one of `to`, `redirect` and `respond`.", append([]key{
	{"name", aString, "<table>[<host>].rules[<index>]", "Name in logs and statistics.", "`Route.name`", "cart", false},
	{"match", ref("match"), "prefix /", "The condition; everything in it must hold.", "`Route.match`", "{prefix: /cart}", false},
	{"to", either(aString, mapOf(either(aWhole, ref("target"))), ref("by header")), "", "Cluster; or clusters with weights; or `{header: name}` of the request header that names the cluster. A cluster called `header` is weighted with a number.", "`RouteAction.cluster`, `.weighted_clusters`, `.cluster_header`", "{cart: 95, canary: 5}", false},
	{"redirect", ref("redirect"), "", "Answer with a Location.", "`Route.redirect`", "{scheme: https}", false},
	{"respond", ref("respond"), "", "Answer directly.", "`Route.direct_response`", "{status: 503}", false},
	{"timeout", aDuration, "15s", "From the complete request to the complete response, all tries included; 0s is none.", "`RouteAction.timeout`", "3s", false},
	{"grpc_timeout", ref("grpc timeout"), "", "Bounds of the deadlines that gRPC clients set; they count in any case.", "`RouteAction.max_stream_duration`", "{max: 5s}", false},
	{"idle_timeout", aDuration, "the listener's `timeouts.stream`", "No byte in either direction; bounds tunnels.", "`RouteAction.idle_timeout`", "10m", false},
	{"retry", ref("retry"), "", "When another endpoint is tried; one try unless written.", "`RouteAction.retry_policy`", "{attempts: 2, on: [connect-failure]}", false},
	{"hash", oneOrMore(either(aString, ref("hash"))), "", "What of a request is hashed for clusters with `ring_hash` or `maglev` that do not say it themselves (`by`), in this order.", "`RouteAction.hash_policy`", "[header:x-user, source_ip]", false},
	{"sticky", ref("sticky"), "", "Clients stay with the endpoint that they got first.", "`typed_per_filter_config` of `envoy.filters.http.stateful_session`", "{cookie: sid}", false},
	{"subset", mapOf(aString), "", "Labels that the endpoint must have, of clusters with `subsets`.", "`RouteAction.metadata_match`, of `envoy.lb`", "{version: v1}", false},
	{"hedge", ref("hedge"), "", "Several tries at once.", "`RouteAction.hedge_policy`", "{on_timeout: true}", false},
	{"priority", one("default", "high"), "default", "Requests of high priority count against `limits.high` of clusters.", "`RouteAction.priority`", "high", false},
	{"headers", ref("headers"), "", "Header edits.", "`Route.*_headers_to_add`, `*_headers_to_remove`", "{request: {remove: [cookie]}}", false},
	{"rewrite", ref("rewrite"), "", "Changes of path and host sent upstream.", "see there", "{prefix: /}", false},
	{"upgrades", either(listOf(aString), mapOf(aBool)), "", "Protocols that may become tunnels on this rule besides the listener's; a map with `false` takes one of the listener's away.", "`RouteAction.upgrade_configs[].upgrade_type`, `.enabled`", "{websocket: false}", false},
	{"connect", onlyTrue, "", "The rule matches CONNECT requests, and only them, and allows them.", "`RouteMatch.connect_matcher`, `upgrade_configs: [{CONNECT, connect_config: {}}]`", "true", false},
	{"max_body", aSize, "the listener's `limits.body`", "Bytes of a request body (413).", "extension `max_body`", "1MiB", false},
	{"early_data", aBool, "false", "Let GET, HEAD and OPTIONS requests without a body that came as early data (`tls.early_data`) go on at once, with `early-data: 1`, although they may come twice; others wait for the handshake.", "extension `early_data`", "true", false},
	{"filters", listOf(ref("filter")), "", "Filters of this rule, or settings of the wider ones.", "`Route.typed_per_filter_config`", "[{cors: off}]", false},
}, notYet("mirror")...)}

var matchTable = object{"match", "Condition of a rule. At most one of `path`, `prefix`, `regex` and the name of a `grpc` service or method; none matches every path.", []key{
	{"path", aString, "", "The path, exactly, without query.", "`RouteMatch.path`", "/healthz", false},
	{"prefix", aString, "/", "By whole segments: /a holds /a and /a/b, not /ab; /a/ holds what is below /a only.", "`path_separated_prefix`; with `/` at the end `prefix`", "/cart", false},
	{"regex", aRegex, "", "Must match the whole path.", "`RouteMatch.safe_regex`", `"/item/[0-9]+"`, false},
	{"ignore_case", aBool, "false", "For `path` and `prefix`; a regex can begin with `(?i)`.", "`RouteMatch.case_sensitive: false`", "true", false},
	{"methods", oneOrMore(aString), "any", "Request methods.", "`headers: [{name: \":method\"}]`, exact or RE2", "[GET, HEAD]", false},
	{"headers", mapOf(either(aString, ref("value match"))), "", "By field name; a string must be equal.", "`RouteMatch.headers`", "{x-user: {prefix: vip}}", false},
	{"query", mapOf(either(aString, ref("value match"))), "", "By parameter; a string must be equal. No `not`, `range`, `missing_as_empty`.", "`RouteMatch.query_parameters`", "{debug: {present: true}}", false},
	{"cookies", mapOf(either(aString, ref("value match"))), "", "By cookie; a string must be equal. No `range`, `missing_as_empty`.", "`RouteMatch.cookies`; present: RE2 `.*`", "{beta: \"1\"}", false},
	{"client", oneOrMore(aCIDR), "any", "Networks, one of which holds the client's address.", "extension `client`", "[10.0.0.0/8]", false},
	{"percent", aPercent, "100", "Share of requests that match, from 0.0001.", "`runtime_fraction.default_value`", "5", false},
	{"grpc", kind{"string \\| true", `{"$ref":"#/$defs/text"}`}, "", "gRPC calls only (POST, content type `application/grpc`): those of a method, of a service, or with `true` of whatever the path says.", "`RouteMatch.grpc`, with `path` or `prefix`", "pkg.Svc/Method", false},
}}

var valueMatchTable = object{"value match", "Test of a header, query parameter or cookie: exactly one of the tests, and options.", []key{
	{"exact", aString, "", "Is equal.", "`string_match.exact`", "vip", false},
	{"prefix", aString, "", "Begins so.", "`string_match.prefix`", "vip-", false},
	{"suffix", aString, "", "Ends so.", "`string_match.suffix`", "-eu", false},
	{"contains", aString, "", "Holds it.", "`string_match.contains`", "bot", false},
	{"regex", aRegex, "", "Matches as a whole.", "`string_match.safe_regex`", "v[0-9]+", false},
	{"present", onlyTrue, "", "Is there.", "`present_match: true`", "true", false},
	{"absent", onlyTrue, "", "Is not there.", "`present_match: false`", "true", false},
	{"range", ref("range"), "", "Is a whole number with from <= n < to.", "`range_match`", "{from: 1, to: 10}", false},
	{"not", either(aString, ref("value match")), "", "The test in it fails. What is not there does not pass; a header does with missing_as_empty.", "`invert_match`", "{prefix: vip}", false},
	{"ignore_case", aBool, "false", "Not with `regex`, `range`, `present`, `absent`.", "`string_match.ignore_case`", "true", false},
	{"missing_as_empty", aBool, "false", "A header that is not there counts as empty.", "`treat_missing_header_as_empty`", "true", false},
}}

var rangeTable = object{"range", "Whole numbers.", []key{
	{"from", kind{"number", `{"type":"integer"}`}, "", "First that is in. Required.", "`start`", "1", false},
	{"to", kind{"number", `{"type":"integer"}`}, "", "First that is out. Required.", "`end`", "10", false},
}}

var targetTable = object{"target", "A weighted cluster with edits of its own.", []key{
	{"weight", aWhole, "", "Its share of the sum. Required.", "`ClusterWeight.weight`", "5", false},
	{"subset", mapOf(aString), "", "Labels that the endpoint must have, besides those of the rule.", "`ClusterWeight.metadata_match`", "{version: v2}", false},
	{"headers", ref("headers"), "", "Header edits when it is chosen.", "`ClusterWeight.*_headers_to_add`, `*_headers_to_remove`", "{response: {set: {x-canary: \"1\"}}}", false},
}}

var byHeaderTable = object{"by header", "The cluster is named by the request.", []key{
	{"header", aString, "", "Request header that holds the name of the cluster.", "`RouteAction.cluster_header`", "x-cluster", false},
}}

var headersTable = object{"headers", "Edits of heads.", []key{
	{"request", ref("edits"), "", "Of the request, before it goes upstream.", "`request_headers_to_add`, `request_headers_to_remove`", "{set: {x-a: b}}", false},
	{"response", ref("edits"), "", "Of the response, before it goes to the client.", "`response_headers_to_add`, `response_headers_to_remove`", "{remove: [server]}", false},
}}

var editsTable = object{"edits", "Removals are made first. Values may hold command operators (`%REQ(x-a)%`); `%%` is a percent sign.", []key{
	{"set", mapOf(aString), "", "Overwrite, or add.", "`append_action: OVERWRITE_IF_EXISTS_OR_ADD`", "{x-a: b}", false},
	{"add", mapOf(oneOrMore(aString)), "", "Add one more field; a list adds several.", "`append_action: APPEND_IF_EXISTS_OR_ADD`", "{x-a: [b, c]}", false},
	{"default", mapOf(aString), "", "Add unless it is there.", "`append_action: ADD_IF_ABSENT`", "{x-a: b}", false},
	{"replace", mapOf(aString), "", "Overwrite if it is there.", "`append_action: OVERWRITE_IF_EXISTS`", "{x-a: b}", false},
	{"remove", oneOrMore(aString), "", "Remove.", "`*_headers_to_remove`", "[x-c]", false},
}}

var rewriteTable = object{"rewrite", "Changes of what is sent upstream. At most one of `prefix`, `path`, `regex`.", []key{
	{"prefix", aString, "", "Replaces the matched prefix, or the matched path.", "`prefix_rewrite`", "/new", false},
	{"path", aString, "", "Replaces the whole path; the query stays.", "`regex_rewrite` of `^.*$`", "/index.html", false},
	{"regex", ref("substitution"), "", "Substitution over the path without query.", "`regex_rewrite`", `{match: "^/v1/(.*)$", to: '/\1'}`, false},
	{"host", aString, "", "Replaces the host.", "`host_rewrite_literal`", "origin.internal", false},
}}

var substitutionTable = object{"substitution", "Every match of a regular expression (RE2) is replaced.", []key{
	{"match", aRegex, "", "What is replaced. Required.", "`pattern.regex`", `"^/v1/(.*)$"`, false},
	{"to", kind{"string", `{"type":"string"}`}, "", `What stands in its place: \1 to \9 are groups, \0 is the whole match, \\ a backslash. Required.`, "`substitution`", `'/\1'`, false},
}}

var redirectTable = object{"redirect", "A Location made of the request's URL. At most one of `path`, `prefix`, `regex`.", []key{
	{"scheme", one("http", "https"), "the request's", "Scheme.", "`scheme_redirect`", "https", false},
	{"host", aString, "the request's", "Host, with or without a port.", "`host_redirect`", "www.example.com", false},
	{"port", aWhole, "the request's, unless `host` is written", "Port (1 to 65535). The default port of a scheme is not written, and is not kept when the scheme changes.", "`port_redirect`", "8443", false},
	{"path", aString, "the request's", "Replaces the whole path, and the query when it holds `?`.", "`path_redirect`", "/new?x=1", false},
	{"prefix", aString, "", "Replaces the matched prefix, or the matched path.", "`prefix_rewrite`", "/new", false},
	{"regex", ref("substitution"), "", "Substitution over the path without query.", "`regex_rewrite`", `{match: "^/a", to: /b}`, false},
	{"status", kind{"301 \\| 302 \\| 303 \\| 307 \\| 308", `{"enum":[301,302,303,307,308]}`}, "301", "Status.", "`response_code`", "308", false},
	{"strip_query", aBool, "false", "Drop the query.", "`strip_query`", "true", false},
}}

var respondTable = object{"respond", "A direct response.", []key{
	{"status", aWhole, "", "Status (200 to 599). Required.", "`DirectResponseAction.status`", "503", false},
	{"body", kind{"string", `{"type":"string"}`}, "", "Body, at most 64KiB.", "`DirectResponseAction.body.inline_string`", `"closed for repairs"`, false},
	{"type", aString, "text/plain", "Content-Type of the body.", "extension `content_type`", "text/html", false},
}}
