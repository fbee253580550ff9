// Package exposition shows the numbers of package metrics to others: as
// Prometheus' text and protobuf formats, as JSON and as readable text. All work is
// done when somebody asks.
package exposition

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// bounds are the "le" bounds of every histogram. All are bounds of buckets of
// metrics.Histogram, so the exported counts are exact.
var bounds = []time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	1 * time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	1 * time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, 60 * time.Second, 300 * time.Second,
}

// Sources are where the numbers come from.
type Sources struct {
	Registry *metrics.Registry
	Build    Build
	Started  time.Time

	// Each may be nil, and is called from any goroutine.
	Endpoints    func() []metrics.Endpoints // one entry for a cluster
	AccessLogs   func() []metrics.AccessLog
	Certificates func() []metrics.Certificate // one entry for a name and a listener or cluster
	TLSPool      func() (pool metrics.TLSPool, there bool)
	ACME         func() (acme metrics.ACME, there bool)
	Overload     func() metrics.Overload
}

// Exporter reads its sources anew each time that it is asked.
type Exporter struct {
	sources  Sources
	descs    map[string]*prometheus.Desc
	all      *prometheus.Registry // ours and the runtime's
	runtimes *prometheus.Registry // go_ and process_ families
}

// New makes an exporter.
func New(sources Sources) *Exporter {
	e := &Exporter{
		sources: sources, descs: map[string]*prometheus.Desc{},
		all: prometheus.NewRegistry(), runtimes: prometheus.NewRegistry(),
	}
	describe(e.descs, "listener", downstream)
	describe(e.descs, "cluster", upstream)
	describe(e.descs, "cluster", endpoints)
	describe(e.descs, "service", calls)
	describe(e.descs, "worker", loops)
	describe(e.descs, "path", accessLogs)
	describe(e.descs, "certificate", certificates)
	describe(e.descs, "", firstExpiry)
	describe(e.descs, "", tlsPool)
	describe(e.descs, "", orders)
	describe(e.descs, "", staples)
	describe(e.descs, "listener", shed)
	describe(e.descs, "", overload)
	describe(e.descs, "", configuration)
	describe(e.descs, "", process)
	e.all.MustRegister(e)
	for _, registry := range []*prometheus.Registry{e.all, e.runtimes} {
		registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	return e
}

func describe[T any](to map[string]*prometheus.Desc, key string, specs []spec[T]) {
	for _, s := range specs {
		to[s.name] = prometheus.NewDesc(s.name, s.help, s.labels(key), nil)
	}
}

// Families reads every family of the gateway's own; the runtime's are not in it.
func (e *Exporter) Families() []Family {
	s := e.sources
	families := collect(nil, downstream, "listener", s.Registry.Listeners())
	families = collect(families, upstream, "cluster", s.Registry.Clusters())
	var healths []metrics.Named[metrics.Endpoints]
	if s.Endpoints != nil {
		for _, of := range s.Endpoints() {
			healths = append(healths, single(of.Cluster, &of))
		}
	}
	families = collect(families, endpoints, "cluster", healths)
	for _, family := range collect(nil, calls, "service", s.Registry.GRPC()) {
		families = append(families, withoutZeros(family))
	}
	var workers []metrics.Named[worker.Stats]
	for id, stats := range s.Registry.Loops() {
		if stats != nil {
			workers = append(workers, single(strconv.Itoa(id), stats))
		}
	}
	families = collect(families, loops, "worker", workers)
	var logs []metrics.Named[metrics.AccessLog]
	if s.AccessLogs != nil {
		for _, of := range s.AccessLogs() {
			logs = append(logs, single(of.Path, &of))
		}
	}
	families = collect(families, accessLogs, "path", logs)
	families = e.security(families, time.Now())
	families = collect(families, shed, "listener", s.Registry.Listeners())
	if s.Overload != nil {
		o := s.Overload()
		families = collect(families, overload, "", []metrics.Named[metrics.Overload]{single("", &o)})
	}
	reloads := s.Registry.Reloads.State()
	families = collect(families, configuration, "", []metrics.Named[metrics.ReloadState]{single("", &reloads)})
	self := instance{build: s.Build, uptime: time.Since(s.Started)}
	return collect(families, process, "", []metrics.Named[instance]{single("", &self)})
}

func single[T any](name string, thing *T) metrics.Named[T] {
	return metrics.Named[T]{Name: name, Workers: []*T{thing}}
}

// Describe implements prometheus.Collector.
func (e *Exporter) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range e.descs {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (e *Exporter) Collect(to chan<- prometheus.Metric) {
	for _, family := range e.Families() {
		desc := e.descs[family.Name]
		kind := prometheus.GaugeValue
		if family.Kind == CounterKind {
			kind = prometheus.CounterValue
		}
		for _, sample := range family.Samples {
			var metric prometheus.Metric
			var err error
			if d := sample.Distribution; d != nil {
				buckets := make(map[float64]uint64, len(bounds))
				for _, bound := range bounds {
					buckets[bound.Seconds()] = d.AtMost(bound)
				}
				metric, err = prometheus.NewConstHistogram(desc, d.Count, d.Sum.Seconds(), buckets, sample.Values...)
			} else {
				metric, err = prometheus.NewConstMetric(desc, kind, sample.Value, sample.Values...)
			}
			if err != nil {
				metric = prometheus.NewInvalidMetric(desc, err)
			}
			to <- metric
		}
	}
}

// Prometheus gives everything in the format that the Accept header of a scrape
// asks for, the text format when it does not say.
func (e *Exporter) Prometheus(accept string) (contentType string, body []byte, err error) {
	families, err := e.all.Gather()
	if err != nil {
		return "", nil, err
	}
	format := expfmt.NegotiateAccept(http.Header{"Accept": {accept}},
		expfmt.FmtText, // first, so that a person with curl ("*/*") gets text
		expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtOpenMetrics_0_0_1, expfmt.FmtProtoDelim)
	var text bytes.Buffer
	encoder := expfmt.NewEncoder(&text, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return "", nil, err
		}
	}
	if closer, ok := encoder.(expfmt.Closer); ok { // OpenMetrics ends with # EOF
		if err := closer.Close(); err != nil {
			return "", nil, err
		}
	}
	return string(format), text.Bytes(), nil
}
