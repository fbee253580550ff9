// Package overload keeps the gateway serving when it runs out of something. One
// goroutine measures what is scarce (memory, CPU, connections, file descriptors, the
// loops' time); when a resource comes near its limit, actions give some of it back or
// take on less. Names and meanings follow Envoy's overload manager.
package overload

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Resource is something that the gateway can run out of.
type Resource uint8

// The resources. The pressure on each is its use as a share of its limit.
const (
	Memory      Resource = iota // of the cgroup, or of the process, against Config.MemoryLimit
	CPU                         // the process's time, of what it may have
	Connections                 // of clients, of the process's limit
	Files                       // descriptors, of the limit
	Lag                         // how long a task waits for its loop, of Config.LagLimit
	Stall                       // share of the time in which a task waits for a CPU (PSI)
	ResourceCount
)

func (r Resource) String() string {
	return [...]string{"memory", "cpu", "connections", "files", "lag", "stall"}[r]
}

// Action is what is done about pressure.
type Action uint8

// The actions, from the mildest to the hardest.
const (
	Release           Action = iota // give back what is kept for later: pools, idle connections to endpoints, freed memory
	ShortenIdle                     // idle connections end earlier
	EndKeepalive                    // connections end after their answers (Connection: close, GOAWAY)
	PauseAccepting                  // connections wait in the kernel's backlog
	RefuseConnections               // connections are accepted and reset
	RefuseRequests                  // requests are answered with 503
	ActionCount
)

func (a Action) String() string {
	return [...]string{"release", "shorten_idle", "end_keepalive", "pause_accepting", "refuse_connections", "refuse_requests"}[a]
}

// Envoy is the action's name there.
func (a Action) Envoy() string {
	return [...]string{"shrink_heap", "reduce_timeouts", "disable_http_keepalive", "stop_accepting_connections", "reject_incoming_connections", "stop_accepting_requests"}[a]
}

// Config is what the overload manager measures and does. The zero value does
// nothing; Defaults gives what counts when nothing is written.
type Config struct {
	// Interval is the time between two measurements, from 10 ms to 1 min.
	Interval time.Duration
	// RetryAfter is what refused requests are told (Retry-After), in whole seconds;
	// 0: nothing.
	RetryAfter time.Duration
	// LeastIdle is what ShortenIdle shortens idle timeouts to, at most.
	LeastIdle time.Duration
	// MemoryLimit is in bytes: the process's memory is measured against it. 0: the
	// limit of the cgroup counts, and what is used of it; without one, memory is not
	// watched. Less than 0: neither.
	MemoryLimit int64
	// LagLimit is how long a loop may keep a task waiting at a pressure of 1.
	LagLimit time.Duration
	// Triggers say when to act.
	Triggers [ResourceCount][ActionCount]Trigger
}

// Trigger says at which pressures an action is taken: from From on, and the harder
// the nearer to To, where it is taken in full. With From equal to To it is taken in
// full or not at all. A To of 0 never takes it.
type Trigger struct{ From, To float64 }

// Level is how hard the action is taken at a pressure, from 0 to 1.
func (t Trigger) Level(pressure float64) float64 {
	switch {
	case t.To == 0 || pressure < t.From:
		return 0
	case pressure >= t.To:
		return 1
	}
	return (pressure - t.From) / (t.To - t.From)
}

// String is as ParseTrigger reads it.
func (t Trigger) String() string {
	percent := func(share float64) string { return strconv.FormatFloat(share*100, 'f', -1, 64) + "%" }
	switch {
	case t.To == 0:
		return "off"
	case t.From == t.To:
		return percent(t.To)
	}
	return percent(t.From) + "-" + percent(t.To)
}

var errTrigger = errors.New(`must be a percentage such as 95%, a range such as 85%-95%, or off`)

// ParseTrigger reads "95%" (a threshold), "85%-95%" (scaled in between) or "off".
// Percentages are from 1 to 100.
func ParseTrigger(text string) (Trigger, error) {
	if text == "off" {
		return Trigger{}, nil
	}
	from, to, scaled := strings.Cut(text, "-")
	if !scaled {
		to = from
	}
	t, err := Trigger{}, error(nil)
	if t.From, err = parsePercent(from); err == nil {
		t.To, err = parsePercent(to)
	}
	if err != nil {
		return Trigger{}, err
	}
	if t.From > t.To || scaled && t.From == t.To {
		return Trigger{}, fmt.Errorf("%q: the range must grow", text)
	}
	return t, nil
}

func parsePercent(text string) (float64, error) {
	number, ok := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(n >= 1 && n <= 100) {
		return 0, errTrigger
	}
	return n / 100, nil
}

// Defaults is what counts when nothing is written. It acts on what kills a process
// or stops it from serving: memory near the cgroup's limit, connections and file
// descriptors near theirs. That the CPU is busy harms nobody by itself.
func Defaults() Config {
	c := Config{Interval: 250 * time.Millisecond, RetryAfter: time.Second, LeastIdle: time.Second, LagLimit: 100 * time.Millisecond}
	c.Triggers[Memory] = [ActionCount]Trigger{
		Release: {0.85, 0.85}, ShortenIdle: {0.85, 0.95}, EndKeepalive: {0.95, 0.95},
		RefuseConnections: {0.97, 0.97}, RefuseRequests: {0.97, 0.99},
	}
	c.Triggers[Connections][ShortenIdle] = Trigger{0.80, 1}
	c.Triggers[Files] = [ActionCount]Trigger{Release: {0.90, 0.90}, ShortenIdle: {0.80, 0.95}, PauseAccepting: {0.95, 0.95}}
	return c
}
