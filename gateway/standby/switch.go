package standby

import (
	"sync"
	"sync/atomic"
	"time"
)

// Position is what a switch says at one moment. It never changes; a change makes a
// new one, which workers find at their next request.
type Position struct {
	State  State
	Config *Config
	// Override tells that the admin API asked for State, and not the configuration; Since
	// is when it did.
	Override bool
	Since    time.Time
}

// Keeps is how many of a hundred requests stay.
func (p *Position) Keeps() int {
	if p.State == Active {
		return 100
	}
	return p.Config.Local
}

// Switch is the switch of one cluster. Workers read it by one atomic load; whoever
// throws it waits for them (see supervisor).
//
// What counts: the last Override, as long as it is not withdrawn and the cluster's
// standby is configured as it was when it came; else the configuration's State. So an
// operator's switch outlasts changes of anything else, and a change of the standby itself, by file
// or control plane, is the last word again. An override is not kept over a restart.
type Switch struct {
	position atomic.Pointer[Position]
	mu       sync.Mutex // held while it is thrown
}

// NewSwitch makes the switch of a configuration, which it keeps.
func NewSwitch(config *Config) *Switch {
	s := &Switch{}
	s.position.Store(&Position{State: config.State, Config: config})
	return s
}

// Position is where the switch stands: one atomic load, never nil.
func (s *Switch) Position() *Position { return s.position.Load() }

// Override sets the state, whatever the configuration says, and reports whether
// that changed it.
func (s *Switch) Override(state State, now time.Time) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.position.Load()
	if before.Override && before.State == state {
		return false // Since stays
	}
	s.position.Store(&Position{State: state, Config: before.Config, Override: true, Since: now})
	return before.State != state
}

// Clear withdraws an override, and reports whether that changed the state.
func (s *Switch) Clear() (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.position.Load()
	if !before.Override {
		return false
	}
	s.position.Store(&Position{State: before.Config.State, Config: before.Config})
	return before.State != before.Config.State
}

// Inherit takes over the override of the switch of the cluster that s's takes the place
// of, if their configurations are equal. Nobody uses s yet. What comes to previous
// afterwards is lost: throwing switches and replacing clusters exclude each other.
func (s *Switch) Inherit(previous *Switch) {
	was, is := previous.Position(), s.Position()
	if was.Override && *was.Config == *is.Config {
		s.position.Store(&Position{State: was.State, Config: is.Config, Override: true, Since: was.Since})
	}
}
