package yaml

import "slices"

// topTable is the file itself: the maps of resources and the settings of the
// process.
var topTable = object{"file", "The top level: the maps of resources, and the settings of the process, which have no xDS twin, as a control plane configures\nresources and not the process that asks it.", append([]key{
	{"listeners", mapOf(ref("listener")), "", "Where clients connect.", "Listener (LDS)", "", false},
	{"routes", mapOf(either(listOf(ref("host")), ref("route table"))), "", "Route tables.", "RouteConfiguration (RDS)", "", false},
	{"clusters", mapOf(ref("cluster")), "", "Services that requests go to.", "Cluster, ClusterLoadAssignment (CDS, EDS)", "", false},
	{"secrets", mapOf(oneOrMore(ref("secret"))), "", "Certificates, authorities and ticket keys.", "Secret (SDS)", "", false},
}, processTable.keys...)}

// processTable is a part of topTable: the settings that the command layers under
// environment and flags.
var processTable = object{"process", "", append([]key{
	{"mode", one("edge"), "edge", "What the process is.", "", "edge", false},
	{"node", aString, "the host's name", "Name of this instance in logs and towards others.", "", "edge-1", false},
	{"locality", ref("own locality"), "", "Where the gateway is, for clusters that keep requests in its zone: [clusters.md](clusters.md#zone-aware-routing).", "", "{region: eu, zone: eu-a}", false},
	{"admin", ref("admin"), "", "The admin API.", "", `{bind: "127.0.0.1:15000"}`, false},
	{"workers", either(one("auto"), aWhole), "auto", "Worker loops: one for each CPU that the process may use (cgroup quota respected), or a number from 1 to 1024.", "", "4", false},
	{"pin", aBool, "false", "Bind each worker to a CPU of its own.", "", "true", false},
	{"log", ref("log"), "", "The process's own log.", "", "{level: debug}", false},
	{"access_log", either(one("off"), oneOrMore(ref("access_log"))), "", "Access log of listeners that have none of their own; `off` writes none.", "", "{path: /dev/stdout, format: json}", false},
	{"drain", ref("drain"), "", "How the process ends.", "", "{timeout: 30s}", false},
	{"limits", ref("process limits"), "", "Bounds of the process.", "", "{connections: 100000}", false},
	{"watchdog", aDuration, "500ms", "A worker loop that is held up longer is reported with what holds it (at most 24h); 0s is off.", "", "1s", false},
	{"loop_guard", ref("loop guard"), "", "Refuses requests that come round through other gateways (508): [failover.md](failover.md#loop-guard).", "", "{id: dc1}", false},
	{"overload", ref("overload"), "", "What is done when something runs short.", "", "{memory: {limit: 2GiB}}", false},
}, notYet("xds", "metrics", "tracing", "upgrade")...)}

var adminTable = object{"admin", "The admin API.", []key{
	{"bind", either(aString, one("off")), "127.0.0.1:15000", "Address to listen on (port 0: the kernel chooses, and the log says what), `unix:/path` for a Unix socket, or `off`.", "", `"127.0.0.1:15000"`, false},
}}

var logTable = object{"log", "The process's own log.", []key{
	{"level", one("debug", "info", "warn", "error"), "info", "Least severity that is written.", "", "debug", false},
	{"format", one("text", "json"), "text", "Form of a line.", "", "json", false},
	{"path", aString, "/dev/stderr", "File to append to.", "", "/var/log/longmen.log", false},
}}

var drainTable = object{"drain", "How the process ends.", []key{
	{"timeout", aDuration, "30s", "Time that connections get to finish after SIGTERM, at most 24h; 0s is none.", "", "1m", false},
}}

var processLimitsTable = object{"process limits", "Bounds of the process (`limits`).", []key{
	{"connections", aWhole, "0", "Client connections at once over all listeners (at most 100000000); 0 is no limit.", "", "100000", false},
	{"files", aWhole, "the hard limit", "File descriptors: the soft limit is raised to it at start (64 to 10000000; 0 is the hard limit).", "", "65536", false},
}}

var ownLocalityTable = object{"own locality", "Where the gateway itself is (`locality`). It is in the same zone as endpoints that say the same of theirs, in all parts.", []key{
	{"region", aString, "", "Its region.", "", "eu", false},
	{"zone", aString, "", "Its zone.", "", "eu-a", false},
	{"sub_zone", aString, "", "A part of the zone.", "", "rack-7", false},
	{"gateways", aString, "none", "Cluster whose endpoints are the gateways themselves: how many of them each zone has decides how much stays in it. Without one they are taken for spread as a cluster's endpoints are.", "", "edge", false},
}}

var loopGuardTable = object{"loop guard", "How requests that come round are known (`loop_guard`): by CDN-Loop (RFC 8586).", []key{
	{"id", either(aString, one("auto", "off")), "auto", "The gateway's token in CDN-Loop: the same in all instances that are one gateway, another one in each other gateway. `auto` makes a random one in every process; `off` looks at no request and adds no token. At most 128 bytes, a name or host[:port].", "", "dc1", false},
	{"hops", aWhole, "10", "Tokens that a request may come with, whoever's they are (1 to 255); one with as many is refused.", "", "5", false},
}}

// objects are all tables, in the order of the reference.
var objects = append([]object{
	topTable, adminTable, logTable, drainTable, processLimitsTable, ownLocalityTable, loopGuardTable,
	listenerTable, pathTable, listenerLimitsTable, listenerTimeoutsTable, minRateTable, forwardedTable, serverTable,
	listenerTCPTable, keepaliveTable, accessLogTable, listenerHTTP2Table, pingTable, allowanceTable,
	routeTable, hostTable, ruleTable, grpcTimeoutTable, matchTable, valueMatchTable, rangeTable, targetTable, byHeaderTable,
	headersTable, editsTable, rewriteTable, substitutionTable, redirectTable, respondTable,
}, otherObjects()...)

// otherObjects are those that have lists of their own.
func otherObjects() []object {
	return slices.Concat(attemptObjects, clusterObjects, resilienceObjects, onwardTables, balanceObjects, secretObjects,
		[]object{overloadTable()}, overloadTables(), filterObjects())
}

var secretObjects = []object{
	secretTable, acmeTable, eabTable, sm2Table, listenerTLSTable, domainTLSTable, earlyDataTable, gmTable, sanTable, clusterTLSTable,
}
