package concurrency

import (
	"fmt"
	"strings"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	adaptive "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/adaptive_concurrency/v3"
	percent "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/filter"
	"longmen/gateway/stream"
)

// ender is an exchange's end.
type ender struct{ ended int }

func (e *ender) EndStream(*stream.Stream) { e.ended++ }

// asked answers as an endpoint does: with something to be done at the stream's end.
func asked(e *ender) stream.Handler {
	return func(s *stream.Stream) (*stream.Response, error) {
		s.End = e
		return s.Respond(200, "", nil), nil
	}
}

func newTestLimiter(most int64) (*limiter, *int64) {
	s := defaults()
	s.fixed, s.again, s.least, s.most = 10*time.Millisecond, 0, most, most
	f, now := newLimiter(s), new(int64)
	f.clock = func() int64 { return *now }
	return f, now
}

func on(route string) *stream.Stream {
	s := &stream.Stream{}
	s.Record.Route = route
	return s
}

func TestRequestsAreUnderWayUntilTheirEnd(t *testing.T) {
	f, _ := newTestLimiter(2)
	e := &ender{}
	one, two, three, other := on("a"), on("a"), on("a"), on("b")
	for _, s := range []*stream.Stream{one, two, other} {
		if _, err := f.Serve(s, asked(e)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := f.Serve(three, asked(e))
	if refusal := stream.AsError(err); refusal.Status != 503 || refusal.Flag != stream.UpstreamOverflow || refusal.Cause.Error() != "adaptive concurrency: 2 requests at once, which is the limit now" {
		t.Fatalf("a third one: %v", err)
	}
	one.End.EndStream(one)
	if e.ended != 1 {
		t.Errorf("%d ended", e.ended)
	}
	if _, err := f.Serve(three, asked(e)); err != nil {
		t.Error(err)
	}
}

// What no endpoint answered, and what became a tunnel, is not under way.
func TestWhatIsNotUnderWay(t *testing.T) {
	f, now := newTestLimiter(1)
	local := func(s *stream.Stream) (*stream.Response, error) { return s.Respond(404, "", nil), nil }
	e := &ender{}
	tunnel := func(s *stream.Stream) (*stream.Response, error) {
		resp, err := asked(e)(s)
		resp.Upgraded = nowhere{}
		return resp, err
	}
	failing := func(flag stream.Flag) stream.Handler {
		return func(*stream.Stream) (*stream.Response, error) { return nil, &stream.Error{Flag: flag, Status: 504} }
	}
	for i, next := range []stream.Handler{local, tunnel, failing(stream.UpstreamTimeout), failing(stream.NoHealthyUpstream)} {
		before := f.routes.controller("a", 0).seen.count.Load()
		f.Serve(on("a"), next)
		c := f.routes.controller("a", 0)
		if n := c.active.Load(); n != 0 {
			t.Errorf("%d: %d under way", i, n)
		}
		// Times of endpoints count, also of those that took too long.
		if n := c.seen.count.Load() - before; (n == 1) != (i == 1 || i == 2) {
			t.Errorf("%d: %d samples", i, n)
		}
	}
	func() {
		defer func() { recover() }()
		f.Serve(on("a"), func(*stream.Stream) (*stream.Response, error) { panic("x") })
	}()
	if n := f.routes.controller("a", *now).active.Load(); n != 0 {
		t.Errorf("after a panic: %d under way", n)
	}
}

type nowhere struct{ stream.Tunnel }

func TestServingAllocatesNothing(t *testing.T) {
	f, _ := newTestLimiter(5)
	e := &ender{}
	s, next := on("a"), asked(e)
	if n := testing.AllocsPerRun(1000, func() {
		f.Serve(s, next)
		s.End.EndStream(s)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for range 5 {
		f.Serve(on("a"), next)
	}
	if n := testing.AllocsPerRun(1000, func() { f.Serve(s, next) }); n != 0 {
		t.Errorf("%v allocations of one that is refused", n)
	}
}

func TestRoutesAreBounded(t *testing.T) {
	r := newRoutes(defaults())
	for i := range maxRoutes + 10 {
		c := r.controller(fmt.Sprint("route ", i), 0)
		if again := r.controller(fmt.Sprint("route ", i), 0); again != c {
			t.Fatalf("route %d has two", i)
		}
	}
	if n := len(*r.found.Load()); n > maxRoutes+1 {
		t.Errorf("%d controllers", n)
	}
	if r.controller("route 1024", 0) != r.controller("route 1030", 0) || r.controller("route 0", 0) == r.controller("route 1", 0) {
		t.Error("only routes beyond the bound share one")
	}
}

// scope collects problems.
type scope struct{ problems []string }

func (s *scope) Fail(part, _, format string, args ...any) {
	s.problems = append(s.problems, part+": "+fmt.Sprintf(format, args...))
}
func (s *scope) Only(proto.Message, ...string)      {}
func (s *scope) File(string, string) ([]byte, bool) { return nil, false }

func TestSettings(t *testing.T) {
	full := filter.Values{
		"max": int64(200), "min": int64(10), "every": 200 * time.Millisecond, "percentile": int64(90), "status": int64(429),
		"min_rtt": filter.Values{"every": 30 * time.Second, "jitter": int64(10), "requests": int64(100), "concurrency": int64(5), "buffer": int64(50)},
	}
	for _, test := range []struct {
		values filter.Values
		want   settings
	}{
		{filter.Values{}, *defaults()},
		{full, settings{percentile: 0.9, every: 200 * time.Millisecond, least: 10, most: 200, again: 30 * time.Second, jitter: 0.1, requests: 100, alone: 5, buffer: 0.5, status: 429}},
		{filter.Values{"min_rtt": filter.Values{"fixed": 5 * time.Millisecond}, "max": int64(2)}, settings{percentile: 0.5, every: 100 * time.Millisecond, least: 2, most: 2, fixed: 5 * time.Millisecond, jitter: 0.15, requests: 50, alone: 3, buffer: 0.25, status: 503}},
	} {
		at, m := &scope{}, message(test.values)
		f, _ := compile(at, m).(*limiter)
		if f == nil || len(at.problems) > 0 || *f.routes.settings != test.want {
			t.Errorf("%v: %v, %v", test.values, f, at.problems)
			continue
		}
		if back := values(m); fmt.Sprint(back) != fmt.Sprint(test.values) {
			t.Errorf("%v comes back as %v", test.values, back)
		}
	}
}

func TestSettingsThatMakeNoSense(t *testing.T) {
	for want, v := range map[string]filter.Values{
		"min_rtt.every: min_rtt.fixed is not measured": {"min_rtt": filter.Values{"fixed": time.Second, "every": time.Second}},
		"min: 20 requests at least are more than 10":   {"min": int64(20), "max": int64(10)},
	} {
		at := &scope{}
		if f := compile(at, message(v)); f != nil || len(at.problems) != 1 || !strings.HasPrefix(at.problems[0], want) {
			t.Errorf("%v: %v", at.problems, f)
		}
	}
	gradient := func(edit func(*adaptive.GradientControllerConfig)) *adaptive.AdaptiveConcurrency {
		m := message(nil).(*adaptive.AdaptiveConcurrency)
		edit(m.GetGradientControllerConfig())
		return m
	}
	for want, m := range map[string]*adaptive.AdaptiveConcurrency{
		"AdaptiveConcurrency.gradient_controller_config is missing": {},
		"concurrency_limit_params and min_rtt_calc_params":          gradient(func(g *adaptive.GradientControllerConfig) { g.MinRttCalcParams = nil }),
		"min_rtt: either every or fixed":                            gradient(func(g *adaptive.GradientControllerConfig) { g.MinRttCalcParams.Interval = nil }),
		"every: must be longer": gradient(func(g *adaptive.GradientControllerConfig) {
			g.ConcurrencyLimitParams.ConcurrencyUpdateInterval = durationpb.New(0)
		}),
		"every: must be from 0": gradient(func(g *adaptive.GradientControllerConfig) {
			g.ConcurrencyLimitParams.ConcurrencyUpdateInterval = durationpb.New(-1)
		}),
		"max: 0: must be from 1": gradient(func(g *adaptive.GradientControllerConfig) {
			g.ConcurrencyLimitParams.MaxConcurrencyLimit = wrapperspb.UInt32(0)
		}),
		"percentile: 0: must be": gradient(func(g *adaptive.GradientControllerConfig) { g.SampleAggregatePercentile = &percent.Percent{} }),
	} {
		at := &scope{}
		if f := compile(at, m); f != nil || len(at.problems) == 0 || !strings.Contains(at.problems[0], want) {
			t.Errorf("%s: %v, %v", want, at.problems, f)
		}
	}
	off := message(nil).(*adaptive.AdaptiveConcurrency)
	off.Enabled = &core.RuntimeFeatureFlag{DefaultValue: wrapperspb.Bool(false)}
	if at := (&scope{}); compile(at, off) != nil || len(at.problems) > 0 {
		t.Errorf("it is off: %v", at.problems)
	}
}
