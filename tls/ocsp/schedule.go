package ocsp

import (
	"math/rand/v2"
	"time"
)

const (
	firstRetry = time.Minute // and twice as long each time
	lastRetry  = time.Hour
)

// refreshAt is when to ask again after a response that came at now: after half of
// its life, and up to a tenth of it later, so that certificates of one day do not
// all ask at once. A response that is older when it comes (from a cache) is
// replaced within what it has left.
func (r *Response) refreshAt(now time.Time) time.Time {
	life := r.NextUpdate.Sub(r.ThisUpdate)
	if at := r.ThisUpdate.Add(life/2 + random(life/10)); at.After(now) {
		return at
	}
	left := r.NextUpdate.Sub(now)
	return now.Add(max(firstRetry, left/4+random(left/10)))
}

// retryAt is when to ask again after so many failures in a row, at least one.
func retryAt(now time.Time, failures int) time.Time {
	wait := lastRetry
	if failures < 7 {
		wait = min(lastRetry, firstRetry<<(failures-1))
	}
	return now.Add(wait/2 + random(wait/2))
}

// random is a time from 0 to below d.
func random(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
