package yaml

// resilienceObjects are the tables of what keeps a cluster serving.
var resilienceObjects = []object{
	clusterLimitsTable, highLimitsTable, retryBudgetTable, endpointLimitsTable,
	outlierTable, successRateTable, failureRateTable, enforceTable,
}

var aWholePercent = kind{"whole percent", `{"anyOf":[{"type":"integer","minimum":0,"maximum":100},{"type":"string","pattern":"^[0-9]{1,3}%$"}]}`}

// limitKeys bound the requests of one priority.
var limitKeys = []key{
	{"connections", aWhole, "0", "Connections at once.", "`max_connections`", "1024", false},
	{"requests", aWhole, "0", "Requests at once.", "`max_requests`", "1024", false},
	{"pending", aWhole, "1024", "Requests that wait for a connection.", "`max_pending_requests`", "256", false},
	{"pending_timeout", aDuration, "0s", "How long a request waits for a connection, or for a place at an endpoint, before it is answered with 503; 0s is as long as its own timeouts let it.", "extension `pending_timeout`, `high_pending_timeout`", "1s", false},
	{"retries", either(aWhole, aPercent, ref("retry budget")), "3", "Retries and hedged tries at once: a number, or a share of the requests under way and waiting.", "`max_retries`; a share: `retry_budget`", "20%", false},
}

var clusterLimitsTable = object{"cluster limits", "Circuit breakers of a cluster (`limits`), over all workers; 0 is no limit (in xDS 2147483647, as 0 lets nothing through there).", append([]key{
	{"high", ref("high limits"), "", "The same for the requests of rules with `priority: high`, which are counted apart.", "`circuit_breakers.thresholds` with `priority: HIGH`", "{requests: 100}", false},
	{"endpoint", ref("endpoint limits"), "", "Bounds of each endpoint.", "`circuit_breakers.per_host_thresholds`", "{requests: 100}", false},
	{"track", onlyTrue, "", "Show in the metrics what is left of each limit.", "`track_remaining`", "true", false},
}, limitKeys...)}

var highLimitsTable = object{"high limits", "Limits of requests of high priority.", limitKeys}

var retryBudgetTable = object{"retry budget", "Retries as a share of the requests.", []key{
	{"percent", aPercent, "20", "Share of the requests under way and waiting.", "`retry_budget.budget_percent`", "10%", false},
	{"min", aWhole, "3", "Retries at once that are always allowed (0 to 1000000).", "`retry_budget.min_retry_concurrency`", "5", false},
}}

var endpointLimitsTable = object{"endpoint limits", "Bounds of one endpoint, over all workers; 0 is no limit. When all endpoints are at theirs, requests wait as for a connection.", []key{
	{"connections", aWhole, "0", "Connections at once.", "`per_host_thresholds.max_connections`", "100", false},
	{"requests", aWhole, "0", "Requests at once.", "`per_host_thresholds.max_requests`", "100", false},
}}

var outlierTable = object{"outlier", "Endpoints that answer worse than others are taken out of use for a while (outlier detection). What is `off` ejects nobody.", []key{
	{"errors", either(aWhole, one("off")), "5", "Responses 5xx in a row that eject an endpoint; without `split`, failures without a response count too.", "`consecutive_5xx`; off: `enforcing_consecutive_5xx: 0`", "3", false},
	{"gateway_errors", aWhole, "off", "Responses 502, 503 and 504 in a row.", "`consecutive_gateway_failure`, with `enforcing_consecutive_gateway_failure: 100`", "3", false},
	{"local_errors", either(aWhole, one("off")), "5", "With `split`: failures in a row that are no response, such as connections that cannot be made or are reset.", "`consecutive_local_origin_failure`; off: `enforcing_consecutive_local_origin_failure: 0`", "2", false},
	{"refused", either(aWhole, one("off")), "1", "Connections refused in a row.", "extension `outlier_refused`; off: 0", "2", false},
	{"split", aBool, "false", "Keep failures that are no response apart from responses.", "`split_external_local_origin_errors`", "true", false},
	{"success_rate", either(one("off"), ref("success rate")), "on", "Endpoints whose success rate lies far below that of the others.", "`success_rate_*`; off: `enforcing_success_rate: 0`", "{stdev: 2.5}", false},
	{"failure_rate", ref("failure rate"), "off", "Endpoints too many of whose requests fail.", "`failure_percentage_*`, with `enforcing_failure_percentage: 100`", "{percent: 50}", false},
	{"every", aDuration, "10s", "Time between two looks at rates; at least 1ms.", "`interval`", "5s", false},
	{"eject", aDuration, "30s", "Length of an ejection, times the number of those lately; at least 1ms.", "`base_ejection_time`", "10s", false},
	{"max_eject", aDuration, "300s", "Longest ejection.", "`max_ejection_time`", "5m", false},
	{"jitter", aDuration, "0s", "Random addition to an ejection.", "`max_ejection_time_jitter`", "1s", false},
	{"max", aWholePercent, "10%", "Endpoints ejected at once, of all of the cluster.", "`max_ejection_percent`", "50%", false},
	{"always_one", aBool, "true", "One endpoint may be ejected whatever `max` says.", "`always_eject_one_host`", "false", false},
	{"recover", aBool, "true", "A health check that passes ends an ejection.", "`successful_active_health_check_uneject_host`", "false", false},
	{"enforce", ref("enforce"), "", "How often an endpoint that is found is ejected; otherwise that is only counted and logged.", "`enforcing_*`", "{errors: 50%}", false},
	{"log", aString, "", "File for a line of JSON about each ejection and its end.", "extension `outlier_log`", "/var/log/longmen/ejections.log", false},
}}

var successRateTable = object{"success rate", "An endpoint is found whose success rate is below the mean less `stdev` times the standard deviation.", []key{
	{"endpoints", aWhole, "5", "With fewer endpoints that have so many `requests`, none is found.", "`success_rate_minimum_hosts`", "3", false},
	{"requests", aWhole, "100", "With fewer requests since the last look, an endpoint does not count.", "`success_rate_request_volume`", "50", false},
	{"stdev", aDecimal, "1.9", "0 to 100, in steps of 0.001.", "`success_rate_stdev_factor`, in thousandths", "2.5", false},
}}

var failureRateTable = object{"failure rate", "An endpoint is found of whose requests so many fail.", []key{
	{"percent", aWholePercent, "85%", "Share that fails.", "`failure_percentage_threshold`", "50%", false},
	{"endpoints", aWhole, "5", "With fewer endpoints that have so many `requests`, none is found.", "`failure_percentage_minimum_hosts`", "3", false},
	{"requests", aWhole, "50", "With fewer requests since the last look, an endpoint does not count.", "`failure_percentage_request_volume`", "20", false},
}}

var enforceTable = object{"enforce", "In how many percent of the cases an endpoint that is found is ejected.", []key{
	{"errors", aWholePercent, "100%", "By `errors`.", "`enforcing_consecutive_5xx`", "50%", false},
	{"gateway_errors", aWholePercent, "100% with `gateway_errors`", "By `gateway_errors`.", "`enforcing_consecutive_gateway_failure`", "50%", false},
	{"local_errors", aWholePercent, "100%", "By `local_errors`.", "`enforcing_consecutive_local_origin_failure`", "50%", false},
	{"success_rate", aWholePercent, "100%", "By `success_rate`.", "`enforcing_success_rate`", "50%", false},
	{"local_success_rate", aWholePercent, "100%", "With `split`: by `success_rate`, of failures that are no response.", "`enforcing_local_origin_success_rate`", "0%", false},
	{"failure_rate", aWholePercent, "100% with `failure_rate`", "By `failure_rate`.", "`enforcing_failure_percentage`", "50%", false},
	{"local_failure_rate", aWholePercent, "0%", "With `split`: by `failure_rate`, of failures that are no response.", "`enforcing_failure_percentage_local_origin`", "100%", false},
}}
