package concurrency

import (
	"time"

	adaptive "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/adaptive_concurrency/v3"
	percent "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/filter"
)

// settings are what a controller goes by.
type settings struct {
	percentile float64       // of the times in a window, from 0 to 1
	every      time.Duration // a window
	least      int64         // limit
	most       int64
	fixed      time.Duration // minRTT; 0: it is measured
	again      time.Duration // between two measurements
	jitter     float64       // of that, from 0 to 1
	requests   int64         // that a measurement takes
	alone      int64         // requests at once meanwhile
	buffer     float64       // that is added to minRTT, as a share of it
	status     int           // of refused requests
}

// Defaults, as Envoy has them, but for the times, for which it has none.
const (
	defaultPercentile = 50
	defaultMost       = 1000
	defaultEvery      = 100 * time.Millisecond
	defaultAgain      = time.Minute
	defaultRequests   = 50
	defaultJitter     = 15
	defaultAlone      = 3
	defaultBuffer     = 25
	defaultStatus     = 503
)

// Kind is the filter's entry in the list of filters.
func Kind() *filter.Kind {
	return &filter.Kind{
		Name: "adaptive_concurrency", XDS: "envoy.filters.http.adaptive_concurrency",
		Meaning:  "Bounds the requests of each route that are under way by how fast they are answered (gradient controller).",
		Example:  "{max: 200}",
		Messages: []proto.Message{(*adaptive.AdaptiveConcurrency)(nil)},
		Keys:     keys(),
		Message:  message, Values: values, Compile: compile,
	}
}

func keys() []filter.Key {
	number := func(low, high int64) filter.Type { return filter.Type{Form: filter.Number, Low: low, High: high} }
	span := func(low time.Duration) filter.Type {
		return filter.Type{Form: filter.Duration, Low: int64(low), High: int64(24 * time.Hour)}
	}
	const (
		limit = "`gradient_controller_config.concurrency_limit_params."
		rtt   = "`gradient_controller_config.min_rtt_calc_params."
	)
	measured := filter.Type{Form: filter.Object, Name: "adaptive_concurrency min_rtt", Keys: []filter.Key{
		{Name: "fixed", Type: span(time.Microsecond), Meaning: "It is not measured, but this.", Twin: rtt + "fixed_value`", Example: "5ms"},
		{Name: "every", Type: span(time.Millisecond), Default: "1m", Meaning: "Time between two measurements.", Twin: rtt + "interval`", Example: "30s"},
		{Name: "jitter", Type: number(0, 100), Default: "15", Meaning: "Percent of `every` by which the next one comes later, at most, at random.", Twin: rtt + "jitter`", Example: "10"},
		{Name: "requests", Type: number(1, 1e6), Default: "50", Meaning: "Requests that are measured.", Twin: rtt + "request_count`", Example: "100"},
		{Name: "concurrency", Type: number(1, 1e6), Default: "3", Meaning: "Requests at once meanwhile; more are refused.", Twin: rtt + "min_concurrency`", Example: "5"},
		{Name: "buffer", Type: number(0, 1000), Default: "25", Meaning: "Percent that responses may take longer before there is less room for requests.", Twin: rtt + "buffer`", Example: "50"},
	}}
	return []filter.Key{
		{Name: "max", Type: number(1, 1e6), Default: "1000", Meaning: "Requests under way at once, at most.", Twin: limit + "max_concurrency_limit`", Example: "200"},
		{Name: "min", Type: number(1, 1e6), Default: "min_rtt.concurrency", Meaning: "Requests that may always be under way, but while `min_rtt` is measured.", Twin: limit + "min_concurrency_limit`", Example: "10"},
		{Name: "every", Type: span(time.Millisecond), Default: "100ms", Meaning: "Time after which the limit is found anew.", Twin: limit + "concurrency_update_interval`", Example: "200ms"},
		{Name: "percentile", Type: number(1, 100), Default: "50", Meaning: "Which of the times of responses count, in percent from the shortest.", Twin: "`gradient_controller_config.sample_aggregate_percentile`", Example: "90"},
		{Name: "min_rtt", Type: measured, Meaning: "Time that responses take without load.", Twin: "`gradient_controller_config.min_rtt_calc_params`", Example: "{every: 30s}"},
		{Name: "status", Type: number(400, 599), Default: "503", Meaning: "Answer to requests beyond the limit.", Twin: "`concurrency_limit_exceeded_status`", Example: "429"},
	}
}

func message(v filter.Values) proto.Message {
	limit := &adaptive.GradientControllerConfig_ConcurrencyLimitCalculationParams{
		MaxConcurrencyLimit: whole(v, "max"), MinConcurrencyLimit: whole(v, "min"),
		ConcurrencyUpdateInterval: span(v, "every", defaultEvery),
	}
	rtt := &adaptive.GradientControllerConfig_MinimumRTTCalculationParams{}
	m, _ := v["min_rtt"].(filter.Values)
	if fixed, ok := m["fixed"].(time.Duration); ok {
		rtt.FixedValue = durationpb.New(fixed)
		rtt.Interval = span(m, "every", 0)
	} else {
		rtt.Interval = span(m, "every", defaultAgain)
	}
	rtt.Jitter, rtt.Buffer = share(m, "jitter"), share(m, "buffer")
	rtt.RequestCount, rtt.MinConcurrency = whole(m, "requests"), whole(m, "concurrency")
	out := &adaptive.AdaptiveConcurrency{ConcurrencyControllerConfig: &adaptive.AdaptiveConcurrency_GradientControllerConfig{
		GradientControllerConfig: &adaptive.GradientControllerConfig{
			SampleAggregatePercentile: share(v, "percentile"), ConcurrencyLimitParams: limit, MinRttCalcParams: rtt,
		},
	}}
	if status, ok := v.Number("status"); ok {
		out.ConcurrencyLimitExceededStatus = &percent.HttpStatus{Code: percent.StatusCode(status)}
	}
	return out
}

func whole(v filter.Values, key string) *wrapperspb.UInt32Value {
	if n, ok := v.Number(key); ok {
		return wrapperspb.UInt32(uint32(n))
	}
	return nil
}

func share(v filter.Values, key string) *percent.Percent {
	if n, ok := v.Number(key); ok {
		return &percent.Percent{Value: float64(n)}
	}
	return nil
}

func span(v filter.Values, key string, fallback time.Duration) *durationpb.Duration {
	d, ok := v[key].(time.Duration)
	if !ok {
		d = fallback
	}
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func values(m proto.Message) filter.Values {
	out := filter.Values{}
	c, ok := m.(*adaptive.AdaptiveConcurrency)
	if !ok {
		return out
	}
	g := c.GetGradientControllerConfig()
	limit, rtt := g.GetConcurrencyLimitParams(), g.GetMinRttCalcParams()
	number(out, "max", limit.GetMaxConcurrencyLimit())
	number(out, "min", limit.GetMinConcurrencyLimit())
	duration(out, "every", limit.GetConcurrencyUpdateInterval(), defaultEvery)
	part(out, "percentile", g.GetSampleAggregatePercentile())
	measured := filter.Values{}
	duration(measured, "fixed", rtt.GetFixedValue(), 0)
	again := defaultAgain
	if rtt.GetFixedValue() != nil {
		again = 0
	}
	duration(measured, "every", rtt.GetInterval(), again)
	part(measured, "jitter", rtt.GetJitter())
	part(measured, "buffer", rtt.GetBuffer())
	number(measured, "requests", rtt.GetRequestCount())
	number(measured, "concurrency", rtt.GetMinConcurrency())
	out.Put("min_rtt", measured)
	if status := c.GetConcurrencyLimitExceededStatus(); status != nil {
		out["status"] = int64(status.GetCode())
	}
	return out
}

func number(to filter.Values, key string, n *wrapperspb.UInt32Value) {
	if n != nil {
		to[key] = int64(n.GetValue())
	}
}

func part(to filter.Values, key string, p *percent.Percent) {
	if p != nil {
		to[key] = int64(p.GetValue())
	}
}

func duration(to filter.Values, key string, d *durationpb.Duration, fallback time.Duration) {
	if d != nil && d.AsDuration() != fallback {
		to[key] = d.AsDuration()
	}
}

func compile(at filter.Scope, m proto.Message) filter.Filter {
	config, ok := m.(*adaptive.AdaptiveConcurrency)
	if !ok {
		at.Only(m)
		return nil
	}
	at.Only(config, "gradient_controller_config", "enabled", "concurrency_limit_exceeded_status")
	g := config.GetGradientControllerConfig()
	if g == nil {
		at.Fail("", "", "AdaptiveConcurrency.gradient_controller_config is missing")
		return nil
	}
	at.Only(g, "sample_aggregate_percentile", "concurrency_limit_params", "min_rtt_calc_params")
	limit, rtt := g.GetConcurrencyLimitParams(), g.GetMinRttCalcParams()
	if limit == nil || rtt == nil {
		at.Fail("", "", "GradientControllerConfig.concurrency_limit_params and min_rtt_calc_params are required")
		return nil
	}
	at.Only(limit, "max_concurrency_limit", "min_concurrency_limit", "concurrency_update_interval")
	at.Only(rtt, "interval", "fixed_value", "request_count", "jitter", "min_concurrency", "buffer")
	r := reader{at: at}
	s := &settings{
		percentile: r.part("percentile", g.GetSampleAggregatePercentile(), 1, 100, defaultPercentile),
		every:      r.duration("every", limit.GetConcurrencyUpdateInterval()),
		most:       r.number("max", limit.GetMaxConcurrencyLimit(), defaultMost),
		fixed:      r.duration("min_rtt.fixed", rtt.GetFixedValue()),
		again:      r.duration("min_rtt.every", rtt.GetInterval()),
		jitter:     r.part("min_rtt.jitter", rtt.GetJitter(), 0, 100, defaultJitter),
		buffer:     r.part("min_rtt.buffer", rtt.GetBuffer(), 0, 1000, defaultBuffer),
		requests:   r.number("min_rtt.requests", rtt.GetRequestCount(), defaultRequests),
		alone:      r.number("min_rtt.concurrency", rtt.GetMinConcurrency(), defaultAlone),
		status:     defaultStatus,
	}
	s.least = r.number("min", limit.GetMinConcurrencyLimit(), min(s.alone, s.most))
	if code := config.GetConcurrencyLimitExceededStatus(); code != nil {
		s.status = int(code.GetCode())
	}
	switch {
	case s.every <= 0:
		r.fail("every", "must be longer than nothing")
	case s.fixed > 0 && s.again > 0:
		r.fail("min_rtt.every", "min_rtt.fixed is not measured: only one of them may be given")
	case s.fixed <= 0 && s.again <= 0:
		r.fail("min_rtt", "either every or fixed must be given")
	case s.least > s.most:
		r.fail("min", "%d requests at least are more than %d at most (max)", s.least, s.most)
	case s.status < 400 || s.status > 599:
		r.fail("status", "%d: must be from 400 to 599", s.status)
	}
	if enabled := config.GetEnabled(); enabled != nil {
		at.Only(enabled, "default_value", "runtime_key")
		if on := enabled.GetDefaultValue(); on != nil && !on.GetValue() {
			return nil
		}
	}
	if r.failed {
		return nil
	}
	return newLimiter(s)
}

// reader reads numbers within bounds.
type reader struct {
	at     filter.Scope
	failed bool
}

func (r *reader) fail(part, format string, args ...any) {
	r.failed = true
	r.at.Fail(part, "", format, args...)
}

func (r *reader) number(key string, n *wrapperspb.UInt32Value, fallback int64) int64 {
	if n == nil {
		return fallback
	}
	if v := n.GetValue(); v < 1 || v > 1e6 {
		r.fail(key, "%d: must be from 1 to 1000000", v)
	}
	return int64(n.GetValue())
}

func (r *reader) part(key string, p *percent.Percent, low, high, fallback float64) float64 {
	if p == nil {
		return fallback / 100
	}
	if v := p.GetValue(); !(v >= low && v <= high) {
		r.fail(key, "%v: must be from %v to %v percent", v, low, high)
	}
	return p.GetValue() / 100
}

func (r *reader) duration(key string, d *durationpb.Duration) time.Duration {
	if d == nil {
		return 0
	}
	if err := d.CheckValid(); err != nil || d.AsDuration() < 0 || d.AsDuration() > 24*time.Hour {
		r.fail(key, "must be from 0 to 24h")
		return 0
	}
	return d.AsDuration()
}
