package exposition

import (
	"strings"

	"longmen/gateway/telemetry/metrics"
)

// Kind is what sort of numbers a family has, in Prometheus' terms.
type Kind string

// The kinds.
const (
	CounterKind   Kind = "counter"
	GaugeKind     Kind = "gauge"
	HistogramKind Kind = "histogram"
)

// Family is all samples of one name, added up over the workers.
type Family struct {
	Name    string
	Kind    Kind
	Labels  []string // names
	Samples []Sample
}

// Sample is one number, or for a histogram one distribution.
type Sample struct {
	Values       []string // of the labels
	Value        float64
	Distribution *metrics.Distribution
}

// spec is one family of metrics over things of type T: its name, what it
// means, and how to read it off one thing (a worker's share of a listener, say).
// extra is the label beside the one that names the thing, "" when there is none;
// several are separated by commas.
type spec[T any] struct {
	name, help string
	kind       Kind
	extra      string
	read       func(of *T, to *row)
}

// row takes in one thing's samples. Every share of a thing must give the same ones in the same
// order, so that they add up by their places.
type row struct {
	name    string // the thing's; "" when there is only one
	samples []Sample
	next    int
}

func (r *row) sample(extra []string) *Sample {
	if r.next == len(r.samples) {
		var values []string
		if r.name != "" {
			values = append(values, r.name)
		}
		r.samples = append(r.samples, Sample{Values: append(values, extra...)})
	}
	r.next++
	return &r.samples[r.next-1]
}

// add adds a value, with the extra labels' values if there are any.
func (r *row) add(value float64, extra ...string) { r.sample(extra).Value += value }

func (r *row) count(c *metrics.Counter, extra ...string) { r.add(float64(c.Load()), extra...) }

func (r *row) gauge(g *metrics.Gauge, extra ...string) { r.add(float64(g.Load()), extra...) }

func (r *row) classes(c *metrics.ByClass) {
	for class := range c {
		r.count(&c[class], metrics.ClassName(class))
	}
}

func (r *row) distribution(h *metrics.Histogram, extra ...string) {
	s := r.sample(extra)
	if s.Distribution == nil {
		s.Distribution = new(metrics.Distribution)
	}
	h.AddTo(s.Distribution)
}

// collect reads every spec off every thing. Key is the label that names the things.
func collect[T any](to []Family, specs []spec[T], key string, things []metrics.Named[T]) []Family {
	for _, s := range specs {
		family := Family{Name: s.name, Kind: s.kind, Labels: s.labels(key)}
		for _, thing := range things {
			r := row{}
			if key != "" {
				r.name = strings.ToValidUTF8(thing.Name, "\uFFFD")
			}
			for _, share := range thing.Workers {
				r.next = 0
				s.read(share, &r)
			}
			family.Samples = append(family.Samples, r.samples...)
		}
		to = append(to, family)
	}
	return to
}

func (s spec[T]) labels(key string) []string {
	var names []string
	if key != "" {
		names = append(names, key)
	}
	if s.extra != "" {
		names = append(names, strings.Split(s.extra, ",")...)
	}
	return names
}
