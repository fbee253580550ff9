package overload

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Manager measures, decides and tells. Tick and Run are for one goroutine; the
// other methods are for any.
type Manager struct {
	config   Config
	monitors *monitors
	log      *slog.Logger
	// notify is told of each measurement at which something is done, and of the
	// first at which nothing is any more.
	notify func(*State)

	state    atomic.Pointer[State]
	starts   [ActionCount]atomic.Uint64 // how often each action began
	since    [ActionCount]time.Time
	released time.Time // when memory was given back last
	release  bool      // what the workers gave back at the last measurement is to go to the system
	free     func()    // debug.FreeOSMemory
}

// releaseEvery is how often memory is given back, at most: it costs a collection of
// garbage.
const releaseEvery = 10 * time.Second

// New makes a manager, whose state is calm. notify is called on the manager's
// goroutine and must not block.
func New(c Config, s Sources, log *slog.Logger, notify func(*State)) *Manager {
	m := &Manager{config: c, log: log, notify: notify, free: debug.FreeOSMemory}
	m.monitors = newMonitors(&m.config, &s)
	m.state.Store(&State{})
	return m
}

// State is the last measurement's.
func (m *Manager) State() *State { return m.state.Load() }

// Starts is how often an action has begun.
func (m *Manager) Starts(a Action) uint64 { return m.starts[a].Load() }

// Active reports whether there is anything to measure.
func (m *Manager) Active() bool {
	return m.config.Triggers != [ResourceCount][ActionCount]Trigger{}
}

// Run measures until stop is closed.
func (m *Manager) Run(stop <-chan struct{}) {
	tick := time.NewTicker(m.config.Interval)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			m.Tick(now)
		}
	}
}

// Tick measures once.
func (m *Manager) Tick(now time.Time) {
	if m.release {
		m.release = false
		m.free()
	}
	before := m.state.Load()
	pressures := m.monitors.measure(now)
	next := before.next(&m.config, &pressures)
	if next.Actions[Release].Level > 0 && (m.released.IsZero() || now.Sub(m.released) >= releaseEvery) {
		m.released, m.release, next.ReleaseNow = now, true, true
	}
	m.state.Store(next)
	for a := range ActionCount {
		m.tell(now, a, &before.Actions[a], &next.Actions[a])
	}
	if m.notify != nil && !(before.Calm() && next.Calm()) {
		m.notify(next)
	}
}

// tell logs that an action begins, comes to be taken in full, or ends.
func (m *Manager) tell(now time.Time, a Action, before, next *Taken) {
	level, text := slog.LevelWarn, ""
	switch {
	case before.Level == 0 && next.Level > 0:
		m.since[a] = now
		m.starts[a].Add(1)
		text = "overload: " + a.meaning() + " begins"
	case before.Level > 0 && next.Level == 0:
		level, text = slog.LevelInfo, "overload: "+a.meaning()+" ends"
	case before.Level < 1 && next.Level == 1:
		text = "overload: " + a.meaning() + " is in full"
	default:
		return
	}
	attributes := []any{"action", a.String()}
	if next.Level > 0 {
		attributes = append(attributes, "because", next.String())
	} else {
		attributes = append(attributes, "because", "calm", "was", before.String(), "lasted", now.Sub(m.since[a]).Round(time.Millisecond).String())
	}
	m.log.Log(context.Background(), level, text, attributes...)
}

// meaning is the action as a line of the log has it.
func (a Action) meaning() string {
	return [...]string{"giving back what is kept", "shortening idle timeouts", "ending connections after their answers", "a pause in accepting", "refusing connections", "refusing requests"}[a]
}
