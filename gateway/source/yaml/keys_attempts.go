package yaml

// attemptObjects are the tables of what a rule says of its tries and of the endpoints that
// they go to.
var attemptObjects = []object{retryTable, backoffTable, retryAfterTable, hedgeTable, stickyTable}

var retryTable = object{"retry", "When and how often another endpoint is tried: one that was not tried, as long as there is one. Requests that may have run are repeated only if they are idempotent, unless `unsafe`.", []key{
	{"attempts", aWhole, "1", "Tries after the first (1 to 100).", "`num_retries`", "2", false},
	{"on", oneOrMore(one(retryWords...)), "[connect-failure, reset-before-request]", "Conditions, as Envoy names them. `codes` adds retriable-status-codes, `headers` retriable-headers. cancelled to unavailable are about gRPC calls that an endpoint answered with nothing but that status; they permit to repeat these.", "`retry_on`", "[5xx, connect-failure]", false},
	{"per_try", aDuration, "0s", "Bounds one try, up to its response's head; 0s is none.", "`per_try_timeout`", "1s", false},
	{"per_try_idle", aDuration, "0s", "How long nothing may come of a try's response, before its head and after; 0s is none.", "`per_try_idle_timeout`", "500ms", false},
	{"backoff", ref("backoff"), "", "Waits between tries.", "`retry_back_off`", "{base: 25ms, max: 250ms}", false},
	{"retry_after", either(onlyTrue, ref("retry after")), "", "Wait as long as the response asks for; `true` looks at Retry-After.", "`rate_limited_retry_back_off`", "true", false},
	{"unsafe", aBool, "false", "Repeat requests that are not idempotent too, although they may have run. Of a rule only.", "extension `retry_unsafe`", "true", false},
	{"codes", oneOrMore(aWhole), "", "Response statuses that are tried again.", "`retriable_status_codes`", "[429, 503]", false},
	{"headers", mapOf(either(aString, ref("value match"))), "", "Header fields of a response, one of which asks for another try.", "`retriable_headers`", "{x-retry: {present: true}}", false},
	{"request_headers", mapOf(either(aString, ref("value match"))), "", "Header fields, one of which a request must have to be tried again.", "`retriable_request_headers`", "{x-repeatable: \"1\"}", false},
	{"other_priorities", aWhole, "", "Leave out the priorities of the endpoints that were tried, as long as there are others; looked at anew after so many tries (1 to 100).", "`retry_priority`: `envoy.retry_priorities.previous_priorities`, `update_frequency`", "1", false},
}}

var backoffTable = object{"backoff", "The wait before try n is random up to base * 2^(n-1), at most max.", []key{
	{"base", aDuration, "25ms", "At least 1ms.", "`base_interval`", "50ms", false},
	{"max", aDuration, "10 times base", "Not less than base.", "`max_interval`", "1s", false},
}}

var retryAfterTable = object{"retry after", "A response that is to be tried again says when: after a random time from what it asks for up to half as much again.", []key{
	{"headers", mapOf(one("seconds", "unix")), "{retry-after: seconds}", "Header fields, in this order, and what they hold: seconds from now (in Retry-After also a date), or a moment in seconds since 1970. The first that is there and asks for no more than `max` counts.", "`reset_headers`", "{x-ratelimit-reset: unix}", false},
	{"max", aDuration, "300s", "More than that is not waited for: the common back-off counts. At least 1ms.", "`max_interval`", "10s", false},
}}

var hedgeTable = object{"hedge", "Several tries at once, of which the first good response counts. For requests that are idempotent, or all with `retry.unsafe`, and whose body is at hand; every try after the first counts against the cluster's `limits.retries`.", []key{
	{"requests", aWhole, "1", "Tries that begin at once (1 to 8).", "`initial_requests`", "2", false},
	{"chance", aPercent, "0", "How likely one more begins with them.", "`additional_request_chance`", "5%", false},
	{"on_timeout", onlyTrue, "", "When `retry.per_try` is over, another try begins, and the one that takes so long goes on.", "`hedge_on_per_try_timeout`", "true", false},
}}

var stickyTable = object{"sticky", "A client stays with the cluster and the endpoint that it got first: a sealed cookie names both. As long as the cluster is among the rule's with a weight above 0, and the endpoint is usable.", []key{
	{"cookie", aString, "", "Name of the cookie. Required.", "`CookieBasedSessionState.cookie.name`", "sid", false},
	{"ttl", aDuration, "0s", "Life of the cookie, in whole seconds; 0s is until the browser is closed.", "`cookie.ttl`", "1h", false},
	{"path", aString, "", "Its path; without it that of the request.", "`cookie.path`", "/", false},
	{"attributes", mapOf(kind{"string", `{"$ref":"#/$defs/text"}`}), "", "Further attributes; `\"\"` for one without value. HttpOnly is always there.", "`cookie.attributes`", `{SameSite: Lax, Secure: ""}`, false},
	{"strict", aBool, "false", "Answer with 503 when the endpoint is not usable, instead of giving the client another one.", "`StatefulSession.strict`", "true", false},
	{"keys", oneOrMore(aString), "one of the process", "Files of secrets of at least 16 bytes: the first seals cookies, all open them. Gateways with the same keys take each other's cookies; without `keys` a cookie is good as long as the process lives.", "extension `sticky_keys`", "[sticky/now.key, sticky/before.key]", false},
}}
