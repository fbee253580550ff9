package http2

// Rate bounds how often something may happen: Burst at once, and PerSecond on
// average. A Burst of 0 is no bound.
type Rate struct{ Burst, PerSecond int }

// bucket counts against a Rate: it holds the time until which what happened so
// far is paid for (the generic cell rate algorithm).
type bucket int64

// take notes that it happened at now, in ns, and reports whether that is within
// the bound.
func (b *bucket) take(now int64, r Rate) bool {
	if r.Burst <= 0 {
		return true
	}
	cost := int64(1e9) / int64(max(1, r.PerSecond))
	paid := max(int64(*b), now) + cost
	*b = bucket(paid)
	return paid-now <= cost*int64(r.Burst)
}
