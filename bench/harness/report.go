package harness

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report is all that was measured.
type Report struct {
	Options  Options      `json:"-"`
	Machine  string       `json:"machine"`
	Versions []string     `json:"versions"`
	Cases    []CaseResult `json:"cases"`
	Notes    []string     `json:"notes"`
}

// JSON writes every sample to a file.
func (r *Report) JSON(name string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(b, '\n'), 0o644)
}

// Errors is how many requests failed, in all runs.
func (r *Report) Errors() (n uint64) {
	for _, c := range r.Cases {
		for _, p := range c.Proxies {
			for _, s := range slices.Concat(p.Full, p.Half, p.Low) {
				n += s.Errors
			}
			for _, s := range p.Storm {
				n += s.Calm.Errors + s.Stormy.Errors + s.Handshakes.Errors
			}
			for _, s := range p.Start {
				n += s.Touch.Errors
			}
		}
	}
	return n
}

// Print writes the tables of medians.
func (r *Report) Print(w io.Writer) {
	o := r.Options
	fmt.Fprintln(w, r.Machine)
	for _, v := range r.Versions {
		fmt.Fprintln(w, v)
	}
	fmt.Fprintf(w, "\nMedians of %d runs of %v each. CPUs: proxy %s, client %s, origin %s; %d worker(s) a proxy.\n",
		o.Reps, o.Duration, cpuList(o.Layout.Proxy), cpuList(o.Layout.Client), cpuList(o.Layout.Origin), o.Workers)
	if slices.ContainsFunc(o.Cases, func(c Case) bool { return c.Apart }) {
		fmt.Fprintf(w, "Handshakes, storm and start: proxy %s, client %s, origin %s.\n", cpuList(o.Apart.Proxy), cpuList(o.Apart.Client), cpuList(o.Apart.Origin))
	}
	fmt.Fprintln(w, "× is the ratio to the better of nginx and HAProxy in the same case.")
	for _, c := range r.Cases {
		fmt.Fprintf(w, "\n%s: %s\n", c.Name, c.About)
		switch {
		case len(c.Proxies) > 0 && len(c.Proxies[0].Idle) > 0:
			c.printIdle(w)
			continue
		case len(c.Proxies) > 0 && len(c.Proxies[0].Storm) > 0:
			c.printStorm(w)
			continue
		case len(c.Proxies) > 0 && len(c.Proxies[0].Start) > 0:
			c.printStart(w)
			continue
		}
		c.printFull(w)
		c.printFixed(w, c.HalfRate, "half of the slowest's", func(p ProxyResult) []Sample { return p.Half })
		c.printFixed(w, c.LowRate, "far below saturation", func(p ProxyResult) []Sample { return p.Low })
	}
	r.printRoutes(w)
	r.printTLS(w)
	r.printHTTP2(w)
	for _, n := range r.Notes {
		fmt.Fprintln(w, "\nnote:", n)
	}
}

// column is one figure of a table, by proxy.
type column struct {
	name  string
	of    func(ProxyResult) float64
	form  string
	ratio bool // followed by the ratio to the better peer
	more  bool // more is better
}

func (c CaseResult) printFull(w io.Writer) {
	full := func(f func(Sample) float64) func(ProxyResult) float64 {
		return func(p ProxyResult) float64 { return median(p.Full, f) }
	}
	cols := []column{
		{name: "CPU µs/req", of: full(func(s Sample) float64 { return s.CPU }), form: "%.2f", ratio: true},
		{name: "±%", of: func(p ProxyResult) float64 { return spread(p.Full, func(s Sample) float64 { return s.CPU }) }, form: "%.0f"},
	}
	if c.Proxies[0].Full[0].User > 0 {
		cols = append(cols,
			column{name: "instr/req", of: full(func(s Sample) float64 { return s.User + s.Kernel }), form: "%.0f", ratio: true},
			column{name: "user", of: full(func(s Sample) float64 { return s.User }), form: "%.0f", ratio: true})
	}
	if c.TLS && c.New {
		cols = append(cols, column{name: "a s/core", of: full(func(s Sample) float64 { return 1e6 / s.CPU }), form: "%.0f", ratio: true, more: true})
	}
	cols = append(cols,
		column{name: "req/s", of: full(func(s Sample) float64 { return s.RPS }), form: "%.0f", ratio: true, more: true},
		column{name: "busy", of: full(func(s Sample) float64 { return s.Busy }), form: "%.2f"},
		column{name: "client", of: full(func(s Sample) float64 { return s.Result.Busy }), form: "%.2f"},
	)
	if !c.HTTP2 { // h2load tells latencies by its log alone, which costs
		cols = append(cols,
			column{name: "p50 µs", of: full(func(s Sample) float64 { return s.Latency.P50 }), form: "%.0f"},
			column{name: "p99 µs", of: full(func(s Sample) float64 { return s.Latency.P99 }), form: "%.0f"})
	}
	cols = append(cols,
		column{name: "errors", of: func(p ProxyResult) float64 { return failures(p.Full) }, form: "%.0f"},
		column{name: "peak MB", of: func(p ProxyResult) float64 { return float64(p.Memory.Peak) / 1e6 }, form: "%.1f", ratio: true},
		column{name: "PSS MB", of: func(p ProxyResult) float64 { return float64(p.Memory.PSS) / 1e6 }, form: "%.1f"})
	c.table(w, cols)
}

func (c CaseResult) printFixed(w io.Writer, rate float64, what string, samples func(ProxyResult) []Sample) {
	if rate == 0 {
		return
	}
	of := func(f func(Sample) float64) func(ProxyResult) float64 {
		return func(p ProxyResult) float64 { return median(samples(p), f) }
	}
	since := "from when each was due"
	if c.HTTP2 {
		since = "from when each was sent"
	}
	fmt.Fprintf(w, "  at %.0f requests/s (%s), latency in µs %s:\n", rate, what, since)
	c.table(w, []column{
		{name: "p50", of: of(func(s Sample) float64 { return s.Latency.P50 }), form: "%.0f", ratio: true},
		{name: "p99", of: of(func(s Sample) float64 { return s.Latency.P99 }), form: "%.0f", ratio: true},
		{name: "p999", of: of(func(s Sample) float64 { return s.Latency.P999 }), form: "%.0f", ratio: true},
		{name: "CPU µs/req", of: of(func(s Sample) float64 { return s.CPU }), form: "%.2f", ratio: true},
		{name: "errors", of: func(p ProxyResult) float64 { return failures(samples(p)) }, form: "%.0f"},
	})
}

func (c CaseResult) printIdle(w io.Writer) {
	of := func(f func(Idle) float64) func(ProxyResult) float64 {
		return func(p ProxyResult) float64 { return median(p.Idle, f) }
	}
	cols := []column{
		{name: "PSS bytes/conn", of: of(func(i Idle) float64 { return i.SlopePSS }), form: "%.0f", ratio: true},
		{name: "RSS bytes/conn", of: of(func(i Idle) float64 { return i.SlopeRSS }), form: "%.0f", ratio: true},
	}
	for n, level := range c.Proxies[0].Idle[0].Levels {
		cols = append(cols, column{
			name: fmt.Sprintf("PSS MB at %d", level),
			of:   of(func(i Idle) float64 { return float64(i.Memory[n].PSS) / 1e6 }), form: "%.2f",
		})
	}
	c.table(w, cols)
}

// printRoutes sets the routes-N cases side by side.
func (r *Report) printRoutes(w io.Writer) {
	var cases []CaseResult
	for _, c := range r.Cases {
		if strings.HasPrefix(c.Name, "routes-") {
			cases = append(cases, c)
		}
	}
	if len(cases) < 2 {
		return
	}
	fmt.Fprintln(w, "\nCPU µs/req by number of routes, and the last over the first")
	t := newTable(w)
	fmt.Fprint(t, "proxy\t")
	for _, c := range cases {
		fmt.Fprintf(t, "%s\t", c.Name)
	}
	fmt.Fprintln(t, "×\t")
	for i, p := range cases[0].Proxies {
		fmt.Fprintf(t, "%s\t", p.Name)
		var first, last float64
		for n, c := range cases {
			last = median(c.Proxies[i].Full, func(s Sample) float64 { return s.CPU })
			if n == 0 {
				first = last
			}
			fmt.Fprintf(t, "%.2f\t", last)
		}
		fmt.Fprintf(t, "%.2f\t\n", last/first)
	}
	t.Flush()
}

func (c CaseResult) table(w io.Writer, cols []column) {
	t := newTable(w)
	fmt.Fprint(t, "proxy\t")
	for _, col := range cols {
		fmt.Fprintf(t, "%s\t", col.name)
		if col.ratio {
			fmt.Fprint(t, "×\t")
		}
	}
	fmt.Fprintln(t)
	for _, p := range c.Proxies {
		fmt.Fprintf(t, "%s\t", p.Name)
		for _, col := range cols {
			v := col.of(p)
			fmt.Fprintf(t, col.form+"\t", v)
			if !col.ratio {
				continue
			}
			if best := c.best(col); best > 0 {
				fmt.Fprintf(t, "%.2f\t", v/best)
			} else {
				fmt.Fprint(t, "-\t")
			}
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

// best is the better of nginx and HAProxy, 0 when neither was measured.
func (c CaseResult) best(col column) (best float64) {
	for _, p := range c.Proxies {
		if p.Name != "nginx" && p.Name != "haproxy" {
			continue
		}
		if v := col.of(p); best == 0 || col.more == (v > best) {
			best = v
		}
	}
	return best
}

func newTable(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func cpuList(cpus []int) string {
	if len(cpus) == 0 {
		return "any"
	}
	return strings.Trim(fmt.Sprint(cpus), "[]")
}

// median is of a figure over all samples; NaN when there are none.
func median[T any](samples []T, of func(T) float64) float64 {
	v := make([]float64, len(samples))
	for i, s := range samples {
		v[i] = of(s)
	}
	slices.Sort(v)
	switch n := len(v); {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return v[n/2]
	default:
		return (v[n/2-1] + v[n/2]) / 2
	}
}

// spread is half of the distance between least and most, in percent of the
// median: what differences are worth.
func spread[T any](samples []T, of func(T) float64) float64 {
	least, most := math.Inf(1), math.Inf(-1)
	for _, s := range samples {
		least, most = min(least, of(s)), max(most, of(s))
	}
	return (most - least) / 2 / median(samples, of) * 100
}

func failures(samples []Sample) (n float64) {
	for _, s := range samples {
		n += float64(s.Errors)
	}
	return n
}
