package dns

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"time"
)

// Back-off after failures: doubled from the first to the last, each +-20 %.
const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Second
)

// Result is the outcome of one resolution of a watched name.
type Result struct {
	// Addresses are what is to be used from now on. After a failure they are
	// the last good ones: of the family that failed, if it was only one.
	Addresses []netip.Addr
	// Err is why nothing new is known: the servers failed, or said that a name
	// that may have had addresses does not exist (ErrNotFound). A name that
	// exists without addresses is no failure: its addresses are gone.
	Err error
	// Next is when the name will be resolved again.
	Next time.Duration
}

// Watch resolves a name again and again, by its TTL or at the configured
// interval, until ctx is done, and calls update after every resolution. Up to
// 10 % is added to each interval, at random, so that names do not stay in step.
func (r *Resolver) Watch(ctx context.Context, name string, config *Config, update func(Result)) {
	r.watch(ctx, config, update, func() (answer, error) { return r.lookup(ctx, name, config) })
}

func (r *Resolver) watch(ctx context.Context, config *Config, update func(Result), lookup func() (answer, error)) {
	var last answer // the last good one
	retry := firstRetry
	for {
		a, err := lookup()
		if ctx.Err() != nil {
			return
		}
		result := Result{Err: err}
		if err == nil {
			for f := range families {
				if a.parts[f].err != nil {
					a.parts[f].addresses = last.parts[f].addresses
				}
			}
			last, retry = a, firstRetry
			result.Next = jitter(config.next(a.ttl, a.ttlKnown), 0, 0.1)
		} else {
			result.Next = jitter(retry, -0.2, 0.2)
			retry = min(2*retry, lastRetry)
		}
		result.Addresses = r.addresses(&last, config)
		update(result)
		timer := time.NewTimer(result.Next)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// jitter adds a random part of d between the two shares.
func jitter(d time.Duration, low, high float64) time.Duration {
	return d + time.Duration(float64(d)*(low+rand.Float64()*(high-low)))
}
