package yaml

import (
	"slices"
	"time"

	"longmen/gateway/protocol/cdnloop"
	"longmen/gateway/resource"
)

// The bounds of what sends requests on.
const (
	maxFailover     = 16
	maxWarm         = 64
	leastWarmEvery  = 100 * time.Millisecond
	longestWarmWait = time.Hour
)

// onwardTables are the tables of what sends requests on to other clusters.
var onwardTables = []object{standbyTable}

var standbyTable = object{"standby", "Standby (`standby`): the cluster keeps a small share of its requests and forwards the rest, until it is made active: [failover.md](failover.md#standby).", []key{
	{"to", aString, "", "Cluster that requests are forwarded to: the active side, or its gateway. Required.", "extension `standby_to`", "active", false},
	{"local", percentOfAll, "1", "Percent of the requests that stays.", "extension `standby_local`", "5", false},
	{"forward", percentOfAll, "99", "Percent that is forwarded. It adds up to 100 with `local`; one of the two is enough.", "what `standby_local` leaves", "95", false},
	{"state", one("standby", "active"), "standby", "State that holds as long as the admin API asks for no other.", "extension `standby_state`", "active", false},
	{"warm", aWhole, "1", "Connections that each worker keeps open to every endpoint of both clusters (at most 64); 0 keeps none.", "extension `standby_warm`", "2", false},
	{"warm_every", aDuration, "5s", "How often it is looked whether they are there (100ms to 1h).", "extension `standby_warm_every`", "1s", false},
}}

var percentOfAll = kind{"whole percent", `{"anyOf":[{"type":"integer","minimum":0,"maximum":100},{"type":"string","pattern":"^[0-9]{1,3}%$"}]}`}

// onwardKeys are the keys of a cluster that send its requests on.
func onwardKeys() []key {
	return []key{
		{"standby", ref("standby"), "", "A warm spare: it keeps a small share and forwards the rest.", "see there", "{local: 1, forward: 99, to: active}", false},
		{"failover", oneOrMore(aString), "", "Clusters, in their order, that take what the healthy endpoints of this one cannot, as if theirs were of lower priorities: other gateways, mostly. At most 16; theirs are not followed. [failover.md](failover.md#failover)", "extension `failover` (semantics of `envoy.clusters.aggregate`)", "[dc2-gateway, dc3-gateway]", false},
		{"loop_guard", one("auto", "on", "off"), "auto", "Send the gateway's token in CDN-Loop to the endpoints: `auto` where another cluster fails over or forwards to this one. [failover.md](failover.md#loop-guard)", "extension `loop_guard`", "on", false},
		{"peer", aString, "", "Token of the gateway that the endpoints are (its `loop_guard.id`): a request that came through it is not sent back there by failover or standby.", "extension `peer`", "dc2", false},
	}
}

// onward reads "standby", "failover", "loop_guard" and "peer".
func (d *decoder) onward(f fields, extra resource.Values) {
	if v, ok := f.get("standby"); ok {
		d.standby(v, extra)
	}
	if v, ok := f.get("failover"); ok {
		d.failover(v, extra)
	}
	if word, ok := f.choice("loop_guard", "auto", "on", "off"); ok {
		extra["loop_guard"] = word
	}
	if v, ok := f.get("peer"); ok {
		if s, ok := d.word(v); ok {
			if !cdnloop.Valid(s) {
				d.fail(v, "%q: must be a name or host[:port] of at most %d bytes", clip(s), cdnloop.MaxID)
			}
			extra["peer"] = s
		}
	}
}

func (d *decoder) standby(v value, extra resource.Values) {
	f := d.object(v, standbyTable)
	if s, ok := f.word("to"); ok {
		extra["standby_to"] = s
	} else if v.isMap() && !f.has("to") {
		d.fail(v, "to is missing: the cluster that requests are forwarded to")
	}
	local, written := d.percentField(f, "local")
	forward, also := d.percentField(f, "forward")
	switch {
	case written && also && local+forward != 100:
		d.fail(f.written("forward"), "%d: must be %d, what local leaves of 100", forward, 100-local)
	case written:
		extra["standby_local"] = local
	case also:
		extra["standby_local"] = 100 - forward
	}
	if word, ok := f.choice("state", "standby", "active"); ok {
		extra["standby_state"] = word
	}
	if n, ok := f.number("warm", 0, maxWarm); ok {
		extra["standby_warm"] = n
	}
	if every, ok := f.span("warm_every", leastWarmEvery); ok {
		if every > longestWarmWait {
			d.fail(f.written("warm_every"), "%v: must be at most %v", every, longestWarmWait)
		}
		extra["standby_warm_every"] = every
	}
}

func (d *decoder) percentField(f fields, name string) (int64, bool) {
	v, ok := f.get(name)
	if !ok {
		return 0, false
	}
	n, ok := d.wholePercent(v, 0, 100)
	return int64(n), ok
}

func (d *decoder) failover(v value, extra resource.Values) {
	var names []string
	for _, entry := range d.oneOrMore(v) {
		s, ok := d.word(entry)
		switch {
		case !ok:
		case slices.Contains(names, s):
			d.fail(entry, "%q stands here twice", clip(s))
		default:
			names = append(names, s)
		}
	}
	switch {
	case len(names) > maxFailover:
		d.fail(v, "%d clusters: at most %d", len(names), maxFailover)
	case len(names) == 0 && v.isList() && len(v.node.Content) == 0:
		d.fail(v, "names no cluster")
	case len(names) > 0:
		extra["failover"] = names
	}
}

// putOnward writes what sends the cluster's requests on to others.
func putOnward(out *mapping, values resource.Values) {
	by := &mapping{}
	by.value("to", values, "standby_to")
	if local, ok := values.Number("standby_local"); ok {
		by.put("local", number(local))
		by.put("forward", number(100-local))
	}
	by.value("state", values, "standby_state")
	by.value("warm", values, "standby_warm")
	by.value("warm_every", values, "standby_warm_every")
	out.sub("standby", by)
	if names := values.Strings("failover"); len(names) > 0 {
		out.put("failover", texts(names))
	}
	out.value("loop_guard", values, "loop_guard")
	out.value("peer", values, "peer")
}
