package exposition

import "longmen/gateway/telemetry/metrics"

// overload is what is told of the overload manager.
var overload = []spec[metrics.Overload]{
	{"longmen_overload_pressure", "Use of a resource that is watched, as a share of its limit.", GaugeKind, "resource",
		func(o *metrics.Overload, r *row) {
			for i := range o.Resources {
				r.add(o.Resources[i].Pressure, o.Resources[i].Resource)
			}
		}},
	{"longmen_overload_action_level", "How hard an action is taken, from 0 (not) to 1 (in full).", GaugeKind, "action",
		func(o *metrics.Overload, r *row) {
			for i := range o.Actions {
				r.add(o.Actions[i].Level, o.Actions[i].Action)
			}
		}},
	{"longmen_overload_actions_total", "How often an action began.", CounterKind, "action",
		func(o *metrics.Overload, r *row) {
			for i := range o.Actions {
				r.add(float64(o.Actions[i].Starts), o.Actions[i].Action)
			}
		}},
}

// shed is what each listener has refused or ended because there was too much.
var shed = []spec[metrics.ListenerStats]{
	{"longmen_overload_shed_total", "What was refused or ended early while the gateway was overloaded: connections, requests, idle connections.", CounterKind, "what",
		func(l *metrics.ListenerStats, r *row) {
			r.count(&l.Refused[metrics.RefusedOverload], "connection")
			r.count(&l.RequestsShed[metrics.ShedOverload], "request")
			r.count(&l.IdleShortened, "idle-connection")
		}},
	{"longmen_http_requests_over_limit_total", "Requests refused because the listener had as many at once as it may have.", CounterKind, "",
		func(l *metrics.ListenerStats, r *row) { r.count(&l.RequestsShed[metrics.ShedLimit]) }},
}
