package harness

import (
	"fmt"
	"io"
	"math"
	"strings"
)

func (c CaseResult) printStorm(w io.Writer) {
	of := func(f func(Storm) float64) func(ProxyResult) float64 {
		return func(p ProxyResult) float64 { return median(p.Storm, f) }
	}
	c.table(w, []column{
		{name: "calm p50 µs", of: of(func(s Storm) float64 { return s.Calm.Latency.P50 }), form: "%.0f"},
		{name: "p99 µs", of: of(func(s Storm) float64 { return s.Calm.Latency.P99 }), form: "%.0f"},
		{name: "storm p50 µs", of: of(func(s Storm) float64 { return s.Stormy.Latency.P50 }), form: "%.0f"},
		{name: "p99 µs", of: of(func(s Storm) float64 { return s.Stormy.Latency.P99 }), form: "%.0f", ratio: true},
		{name: "storm/calm p50", of: of(func(s Storm) float64 { return s.Stormy.Latency.P50 / s.Calm.Latency.P50 }), form: "%.2f"},
		{name: "storm/calm p99", of: of(func(s Storm) float64 { return s.Stormy.Latency.P99 / s.Calm.Latency.P99 }), form: "%.2f"},
		{name: "busy", of: of(func(s Storm) float64 { return s.Busy }), form: "%.2f"},
		{name: "handshakes/s", of: of(func(s Storm) float64 { return s.Handshakes.RPS }), form: "%.0f"},
		{name: "their p99 ms", of: of(func(s Storm) float64 { return s.Handshakes.Latency.P99 / 1e3 }), form: "%.1f"},
		{name: "errors", of: func(p ProxyResult) (n float64) {
			for _, s := range p.Storm {
				n += float64(s.Calm.Errors + s.Stormy.Errors + s.Handshakes.Errors)
			}
			return n
		}, form: "%.0f"},
	})
}

func (c CaseResult) printStart(w io.Writer) {
	of := func(f func(Start) float64) func(ProxyResult) float64 {
		return func(p ProxyResult) float64 { return median(p.Start, f) }
	}
	c.table(w, []column{
		{name: "s to serve", of: of(func(s Start) float64 { return s.Seconds }), form: "%.2f", ratio: true},
		{name: "CPU s", of: of(func(s Start) float64 { return s.CPU }), form: "%.2f", ratio: true},
		{name: "PSS MB", of: of(func(s Start) float64 { return float64(s.Ready.PSS) / 1e6 }), form: "%.1f", ratio: true},
		{name: "peak MB", of: of(func(s Start) float64 { return float64(s.Ready.Peak) / 1e6 }), form: "%.1f"},
		{name: "all used: PSS MB", of: of(func(s Start) float64 { return float64(s.Touched.PSS) / 1e6 }), form: "%.1f", ratio: true},
		{name: "peak MB", of: of(func(s Start) float64 { return float64(s.Touched.Peak) / 1e6 }), form: "%.1f"},
		{name: "CPU µs/first", of: of(func(s Start) float64 { return s.Touch.CPU }), form: "%.0f", ratio: true},
		{name: "errors", of: func(p ProxyResult) (n float64) {
			for _, s := range p.Start {
				n += float64(s.Touch.Errors)
			}
			return n
		}, form: "%.0f"},
	})
}

// cpu is what a request cost the proxy of that name; NaN where it was not
// measured.
func (c CaseResult) cpu(name string) float64 {
	for _, p := range c.Proxies {
		if p.Name == name {
			return median(p.Full, func(s Sample) float64 { return s.CPU })
		}
	}
	return math.NaN()
}

// printTLS sets Longmen's CPU time over each peer's, for all cases over TLS.
func (r *Report) printTLS(w io.Writer) {
	var rows strings.Builder
	t := newTable(&rows)
	n := 0
	fmt.Fprintln(t, "case\tLongmen\tnginx\tHAProxy\t/ nginx\t/ HAProxy\tnginx /\t")
	for _, c := range r.Cases {
		longmen, nginx, haproxy := c.cpu("longmen"), c.cpu("nginx"), c.cpu("haproxy")
		if !c.TLS || c.HTTP2 || math.IsNaN(longmen) {
			continue
		}
		n++
		fmt.Fprintf(t, "%s\t", c.Name)
		for _, v := range []float64{longmen, nginx, haproxy, longmen / nginx, longmen / haproxy, nginx / longmen} {
			if math.IsNaN(v) {
				fmt.Fprint(t, "-\t")
			} else {
				fmt.Fprintf(t, "%.2f\t", v)
			}
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	if n > 0 {
		fmt.Fprintf(w, "\nTLS: CPU µs a request or connection; Longmen over each peer, and nginx over Longmen (connections a second and core)\n%s", rows.String())
	}
}
