// Package replay keeps what TLS 1.3 clients send before the handshake is complete (0-RTT) from
// being accepted twice: it remembers the ClientHellos that early data was accepted with, for as
// long as they are fresh (RFC 8446 §8.2). What one Register remembers no other one knows, so each
// vouches for tickets of its own only.
package replay

import (
	"crypto/rand"
	"sync"
	"time"
)

// step is how far the clocks that callers read may be behind each other. A clock that is set
// back by more has nothing accepted until it is where it was.
const step = time.Second

// key is what is kept of a ClientHello: the beginning of a value that nobody can choose.
type key [16]byte

// A Register remembers ClientHellos. It may be used by many goroutines.
type Register struct {
	origin [16]byte
	life   time.Duration

	mu       sync.Mutex
	latest   int64 // the latest time that was seen, in nanoseconds since 1970
	since    int64 // when now began
	now, old map[key]struct{}
}

// New makes a register that remembers for at least life.
func New(life time.Duration) *Register {
	r := &Register{life: life + step, now: map[key]struct{}{}}
	_, _ = rand.Read(r.origin[:]) // it never fails
	return r
}

// Origin is a random name for this register.
func (r *Register) Origin() [16]byte { return r.origin }

// First remembers hello, at least 16 bytes that are a ClientHello's own and nobody's choice, such
// as a PSK binder that is right, and reports whether it came for the first time. It says no, too,
// when it cannot tell for certain: when most ClientHellos are remembered already (some 50 bytes
// each), which full reports, or when now is before what was now already.
func (r *Register) First(hello []byte, now time.Time, most int) (first, full bool) {
	if len(hello) < len(key{}) {
		return false, false
	}
	k, at := key(hello[:len(key{})]), now.UnixNano()
	r.mu.Lock()
	defer r.mu.Unlock()
	if at < r.latest-int64(step) {
		return false, false
	}
	r.latest = max(r.latest, at)
	r.forget(r.latest)
	if _, known := r.now[k]; known {
		return false, false
	}
	if _, known := r.old[k]; known {
		return false, false
	}
	if len(r.now)+len(r.old) >= most {
		return false, true
	}
	r.now[k] = struct{}{}
	return true, false
}

// forget drops what was remembered for long enough: each generation lasts for a life, and is
// kept for another one.
func (r *Register) forget(at int64) {
	switch passed := at - r.since; {
	case passed < int64(r.life):
		return
	case passed < 2*int64(r.life):
		r.old = r.now
	default:
		r.old = nil
	}
	r.now, r.since = map[key]struct{}{}, at
}
