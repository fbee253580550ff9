package overload

import (
	"fmt"
	"math"
)

// State is what is known of the pressure at one moment, and what is done about it.
// It never changes.
type State struct {
	Pressures [ResourceCount]Pressure
	Actions   [ActionCount]Taken
	// ReleaseNow asks the workers to give back what they keep: it is set now and then
	// while Release is taken.
	ReleaseNow bool
}

// Pressure is how much of a resource is used.
type Pressure struct {
	Watched bool // there is a limit to measure against
	Value   float64
	// Used and Limit are what Value is made of: bytes, CPUs, connections,
	// descriptors, seconds. Of Stall, Limit is 1.
	Used, Limit float64
}

// Taken is how hard an action is taken, and why.
type Taken struct {
	Level float64 // 0: not; 1: in full
	Why   Resource
	// At is the pressure on Why. It tells people how bad it is, and is no more than
	// a measurement old.
	At float64
}

// hysteresis is how far the pressure must fall below a trigger before the action
// ends: what is used as soon as it is free makes no gateway go on and off.
const hysteresis = 0.02

// next is the state that follows s when such pressures were measured.
func (s *State) next(c *Config, pressures *[ResourceCount]Pressure) *State {
	n := &State{Pressures: *pressures}
	for a := range ActionCount {
		n.Actions[a] = taken(c, a, pressures, &s.Actions[a])
	}
	return n
}

// taken finds the resource that asks for the action the hardest.
func taken(c *Config, a Action, pressures *[ResourceCount]Pressure, before *Taken) Taken {
	var most Taken
	for r := range ResourceCount {
		p, trigger := &pressures[r], c.Triggers[r][a]
		if !p.Watched {
			continue
		}
		level := trigger.Level(p.Value)
		if before.Level > 0 && before.Why == r && level < before.Level {
			// It eases: as if the pressure were a little higher, but never harder than it was.
			level = min(before.Level, trigger.Level(p.Value+hysteresis))
		}
		if level > most.Level {
			most = Taken{level, r, p.Value}
		}
	}
	return most
}

// String says, for a log line or an error, why an action is taken: "memory 93 %".
func (t Taken) String() string {
	if t.Level == 0 {
		return "calm"
	}
	return fmt.Sprintf("%s %d %%", t.Why, int(math.Round(t.At*100)))
}

// Chance is the level as a number that is compared with an even one of 32 bits: the
// action befalls whoever draws less. Of level 1 it is above all of them.
func (t Taken) Chance() uint64 { return uint64(t.Level * (1 << 32)) }

// Calm reports whether nothing is done.
func (s *State) Calm() bool {
	for _, t := range s.Actions {
		if t.Level > 0 {
			return false
		}
	}
	return true
}
