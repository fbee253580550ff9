package supervisor

import (
	"math"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"longmen/gateway/admin"
	"longmen/gateway/cgroup"
	"longmen/gateway/connection"
	"longmen/gateway/overload"
	"longmen/gateway/telemetry/metrics"
)

// This file is the process's side of overload: what is measured, and who is told.
// What a worker does about it is in shed.go.

// startOverload watches the process's resources, if there is anything to do about
// them. files is the limit of descriptors, 0 if it is not known.
func (s *Supervisor) startOverload(files int) {
	config := s.options.Overload
	root := os.DirFS("/")
	cpus := float64(len(usableCPUs()))
	if quota := cgroup.CPUQuota(root); quota > 0 {
		cpus = min(cpus, quota)
	}
	lag := &lagProbe{workers: s.workers}
	s.overload = overload.New(config, overload.Sources{
		Root:        root,
		Connections: func() (int, int) { return s.global.Open(), s.options.MaxConnections },
		Files:       files,
		CPUs:        cpus, CPUTime: overload.ProcessTime,
		Lag: lag.measure,
	}, s.log, s.press)
	if s.overload.Active() {
		s.boundGarbage()
		go s.overload.Run(s.stop)
	}
}

// boundGarbage has Go collect garbage before it counts as pressure on memory: what
// could be collected is no reason to refuse anybody. Whoever has set GOMEMLIMIT knows
// better.
func (s *Supervisor) boundGarbage() {
	config := &s.options.Overload
	limit := float64(config.MemoryLimit)
	if limit == 0 {
		limit = cgroup.MemoryLimit(os.DirFS("/"))
	}
	first := 1.0
	for _, t := range config.Triggers[overload.Memory] {
		if t.To > 0 {
			first = min(first, t.From)
		}
	}
	if before := debug.SetMemoryLimit(-1); limit > 0 && before == math.MaxInt64 {
		debug.SetMemoryLimit(int64(limit*first) + ballastSize)
		s.bounded = true
	}
}

// endOverload undoes what holds for the whole process.
func (s *Supervisor) endOverload() {
	if s.bounded {
		debug.SetMemoryLimit(math.MaxInt64)
	}
}

// press lets every worker act on a state.
func (s *Supervisor) press(state *overload.State) {
	for _, w := range s.workers {
		w.loop.Post(func() { w.press(state, &s.options.Overload) })
	}
}

// lagProbe measures how long loops keep a task waiting.
type lagProbe struct {
	workers []*edgeWorker
	probes  []loopProbe
}

// loopProbe is the task that one loop has to do.
type loopProbe struct {
	posted time.Time
	waited atomic.Int64 // ns that the last one took; less than 0: it has not run
}

// measure is how long the slowest loop took for, or takes over, the task that it was
// given by the last call. It gives each that is done a new one.
func (l *lagProbe) measure() time.Duration {
	if l.probes == nil {
		l.probes = make([]loopProbe, len(l.workers))
	}
	worst, now := time.Duration(0), time.Now()
	for i := range l.probes {
		p := &l.probes[i]
		waited := time.Duration(p.waited.Load())
		if waited < 0 {
			worst = max(worst, now.Sub(p.posted))
			continue
		}
		worst = max(worst, waited)
		p.posted = now
		p.waited.Store(-1)
		l.workers[i].loop.Post(func() { p.waited.Store(int64(time.Since(now))) })
	}
	return worst
}

// overloadStats is what the metrics show.
func (s *Supervisor) overloadStats() metrics.Overload {
	var out metrics.Overload
	state := s.overload.State()
	for r := range overload.ResourceCount {
		if p := state.Pressures[r]; p.Watched {
			out.Resources = append(out.Resources, metrics.ResourceUse{Resource: r.String(), Pressure: p.Value})
		}
	}
	for a := range overload.ActionCount {
		out.Actions = append(out.Actions, metrics.ActionLevel{Action: a.String(), Level: state.Actions[a].Level, Starts: s.overload.Starts(a)})
	}
	return out
}

// describeOverload is what the admin API shows.
func (s *Supervisor) describeOverload() admin.Overload {
	out := admin.Overload{Resources: []admin.OverloadResource{}, Actions: []admin.OverloadAction{}}
	state, config := s.overload.State(), &s.options.Overload
	for r := range overload.ResourceCount {
		if p := state.Pressures[r]; p.Watched {
			out.Resources = append(out.Resources, admin.OverloadResource{Name: r.String(), Pressure: p.Value, Used: p.Used, Limit: p.Limit})
		}
	}
	for a := range overload.ActionCount {
		taken := state.Actions[a]
		one := admin.OverloadAction{Name: a.String(), Envoy: a.Envoy(), Level: taken.Level, Starts: s.overload.Starts(a)}
		if taken.Level > 0 {
			one.Because = taken.String()
		}
		for r := range overload.ResourceCount {
			if t := config.Triggers[r][a]; t.To > 0 {
				one.Triggers = append(one.Triggers, r.String()+" "+t.String())
			}
		}
		if one.Triggers != nil {
			out.Actions = append(out.Actions, one)
		}
	}
	return out
}

// hurryOf is how connections end in a state.
func hurryOf(state *overload.State, config *overload.Config) connection.Hurry {
	return connection.Hurry{
		Shorten: state.Actions[overload.ShortenIdle].Level, Least: config.LeastIdle,
		Close: state.Actions[overload.EndKeepalive].Level == 1,
	}
}
