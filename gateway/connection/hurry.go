package connection

import "time"

// Hurry is how a server's connections end earlier than configured while the gateway
// is overloaded. The zero value is no hurry.
type Hurry struct {
	// Shorten is by how much idle timeouts are shortened, from 0 (not) to 1: to Least.
	Shorten float64
	Least   time.Duration
	// Close ends connections after their answers.
	Close bool
}

// Idle is what an idle timeout becomes.
func (h *Hurry) Idle(configured time.Duration) time.Duration {
	if h.Shorten == 0 || configured <= h.Least {
		return configured
	}
	return configured - time.Duration(h.Shorten*float64(configured-h.Least))
}
