package supervisor

import (
	"time"

	"longmen/gateway/admin"
)

// drain is the end of a gateway under way.
type drain struct {
	since, deadline time.Time
}

// drainPoll is how often draining looks whether all connections are gone.
const drainPoll = 50 * time.Millisecond

// Drain stops accepting, lets what is under way finish until the deadline, and
// then cuts off the rest. It returns at once; Run returns when it is done.
func (s *Supervisor) Drain() {
	s.once.Do(func() {
		now := time.Now()
		s.draining.Store(&drain{now, now.Add(s.options.DrainTimeout)})
		go s.drain()
	})
}

func (s *Supervisor) drain() {
	s.mu.Lock() // no snapshot is applied from here on
	defer s.mu.Unlock()
	for _, w := range s.workers {
		w.loop.Do(w.drain)
	}
	deadline := time.NewTimer(s.options.DrainTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for s.connections() > 0 {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		case <-deadline.C:
			if n := s.connections(); n > 0 {
				s.log.Warn("the drain deadline has passed; connections are cut off", "connections", n)
				for _, w := range s.workers {
					w.loop.Do(w.cut)
				}
			}
			close(s.drained)
			return
		}
	}
	close(s.drained)
}

// connections is how many client connections are open on all workers.
func (s *Supervisor) connections() int { return s.global.Open() }

// drainState is what the admin API shows of draining.
func (s *Supervisor) drainState() admin.DrainState {
	state := admin.DrainState{Connections: s.connections()}
	for _, named := range s.registry.Listeners() {
		for _, stats := range named.Workers {
			state.Requests += int(stats.RequestsActive.Load())
		}
	}
	if d := s.draining.Load(); d != nil {
		state.Draining, state.Since, state.Deadline = true, d.since, d.deadline
	}
	return state
}
