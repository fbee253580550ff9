package exposition

import (
	"time"

	"longmen/gateway/telemetry/metrics"
)

// certificates is what is told of each certificate of the gateway's own.
var certificates = []spec[metrics.Certificate]{
	{"longmen_tls_certificate_expiry_timestamp_seconds", "When a certificate stops being valid, in seconds since 1970.", GaugeKind, "listener,cluster",
		func(c *metrics.Certificate, r *row) { r.add(unixSeconds(c.NotAfter), c.Listener, c.Cluster) }},
}

// expiry is when the first of all certificates expires, seen from now.
type expiry struct{ first, now time.Time }

var firstExpiry = []spec[expiry]{
	{"longmen_tls_first_certificate_expiry_days", "Days until the first certificate expires, negative afterwards; without certificates there is no sample.", GaugeKind, "",
		func(e *expiry, r *row) { r.add(e.first.Sub(e.now).Hours() / 24) }},
}

// tlsPool is what is told of the threads for dear work of handshakes.
var tlsPool = []spec[metrics.TLSPool]{
	{"longmen_tls_pool_tasks_total", "Signatures and other dear work of handshakes, by what became of it.", CounterKind, "result",
		func(p *metrics.TLSPool, r *row) {
			r.add(float64(p.Done), "done")
			r.add(float64(p.Refused), "refused")
			r.add(float64(p.Expired), "expired")
			r.add(float64(p.Canceled), "canceled")
		}},
	{"longmen_tls_pool_panics_total", "Panics caught in tasks, which count as done.", CounterKind, "",
		func(p *metrics.TLSPool, r *row) { r.add(float64(p.Panics)) }},
	{"longmen_tls_pool_queued", "Tasks that wait for a thread now.", GaugeKind, "",
		func(p *metrics.TLSPool, r *row) { r.add(float64(p.Queued)) }},
	{"longmen_tls_pool_running", "Tasks that run now.", GaugeKind, "",
		func(p *metrics.TLSPool, r *row) { r.add(float64(p.Running)) }},
	{"longmen_tls_pool_busy_seconds_total", "Time that the threads worked.", CounterKind, "",
		func(p *metrics.TLSPool, r *row) { r.add(p.Busy.Seconds()) }},
	{"longmen_tls_pool_wait_seconds_total", "Time that tasks waited for a thread.", CounterKind, "",
		func(p *metrics.TLSPool, r *row) { r.add(p.Waited.Seconds()) }},
}

// orders is what is told of certificates that are ordered by ACME.
var orders = []spec[metrics.ACME]{
	{"longmen_tls_acme_orders_total", "Certificates ordered by ACME, by what came of it: new ones, renewed ones, failed tries.", CounterKind, "result",
		func(a *metrics.ACME, r *row) {
			r.add(float64(a.Ordered), "issued")
			r.add(float64(a.Renewed), "renewed")
			r.add(float64(a.Failed), "failed")
		}},
	{"longmen_tls_acme_names", "Names whose certificates are ordered by ACME; pending ones have none yet and are refused.", GaugeKind, "state",
		func(a *metrics.ACME, r *row) {
			r.add(float64(a.Issued), "issued")
			r.add(float64(a.Pending), "pending")
		}},
}

// staples is what is told of OCSP.
var staples = []spec[metrics.OCSP]{
	{"longmen_tls_ocsp_responses_total", "OCSP responses asked for, by what came of it.", CounterKind, "result",
		func(o *metrics.OCSP, r *row) {
			r.add(float64(o.Good.Load()), "good")
			r.add(float64(o.Revoked.Load()), "revoked")
			r.add(float64(o.Failed.Load()), "failed")
		}},
}

// security reads what there is of TLS beside the handshakes.
func (e *Exporter) security(families []Family, now time.Time) []Family {
	s := &e.sources
	var all []metrics.Named[metrics.Certificate]
	var first []metrics.Named[expiry]
	if s.Certificates != nil {
		least := expiry{now: now}
		for _, of := range s.Certificates() {
			all = append(all, single(of.Name, &of))
			if least.first.IsZero() || of.NotAfter.Before(least.first) {
				least.first = of.NotAfter
			}
		}
		if len(all) > 0 {
			first = append(first, single("", &least))
		}
	}
	families = collect(families, certificates, "certificate", all)
	families = collect(families, firstExpiry, "", first)
	var pools []metrics.Named[metrics.TLSPool]
	if s.TLSPool != nil {
		if pool, there := s.TLSPool(); there {
			pools = append(pools, single("", &pool))
		}
	}
	families = collect(families, tlsPool, "", pools)
	var acme []metrics.Named[metrics.ACME]
	if s.ACME != nil {
		if of, there := s.ACME(); there {
			acme = append(acme, single("", &of))
		}
	}
	families = collect(families, orders, "", acme)
	return collect(families, staples, "", []metrics.Named[metrics.OCSP]{single("", &s.Registry.OCSP)})
}
