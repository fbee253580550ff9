package load

import (
	"time"

	"longmen/bench/histogram"
)

// Result is what the load came to.
type Result struct {
	Requests   uint64            `json:"requests"` // answered as expected
	Errors     uint64            `json:"errors"`   // all others that were begun or due
	FirstError string            `json:"first_error,omitempty"`
	ErrorKinds map[string]uint64 `json:"error_kinds,omitempty"`
	Status     map[string]uint64 `json:"status"`     // complete answers by class
	Reconnects uint64            `json:"reconnects"` // kept connections that the server ended between requests
	Seconds    float64           `json:"seconds"`    // from the first request to the last answer
	RPS        float64           `json:"rps"`
	Busy       float64           `json:"client_busy"` // the generator's own CPU time over wall time: near 1 it is the bottleneck
	BytesIn    uint64            `json:"bytes_in"`    // on the wire, with heads
	BytesOut   uint64            `json:"bytes_out"`
	Latency    Latency           `json:"latency_us"` // of the requests answered as expected
}

// Latency is in microseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// failure is a kind of error.
type failure uint8

const (
	failConnect   failure = iota // not connected
	failHandshake                // connected, but no TLS
	failTimeout                  // no complete answer in time
	failClosed                   // the connection ended before the answer did
	failMalformed                // not an HTTP response
	failStatus                   // another status than expected
	failLength                   // another content length than expected
	failUnsent                   // due (open loop) but never sent
	failures
)

func (f failure) String() string {
	return [failures]string{"connect", "handshake", "timeout", "closed", "malformed", "status", "length", "unsent"}[f]
}

// tally counts while the load runs.
type tally struct {
	latency    histogram.Histogram
	status     [6]uint64 // by first digit
	failed     [failures]uint64
	reconnects uint64
	in, out    uint64
	last       time.Duration // when the last answer was complete
}

func (t *tally) result() Result {
	h := &t.latency
	us := func(d time.Duration) float64 { return float64(d) / 1e3 }
	r := Result{
		Requests:   h.Count(),
		Status:     map[string]uint64{},
		Reconnects: t.reconnects,
		Seconds:    t.last.Seconds(),
		BytesIn:    t.in,
		BytesOut:   t.out,
		Latency: Latency{
			P50: us(h.Quantile(0.5)), P90: us(h.Quantile(0.9)), P99: us(h.Quantile(0.99)),
			P999: us(h.Quantile(0.999)), Max: us(h.Max()),
		},
	}
	for class, n := range t.status {
		if n > 0 {
			r.Status[string(rune('0'+class))+"xx"] = n
		}
	}
	for kind, n := range t.failed {
		if n > 0 {
			if r.ErrorKinds == nil {
				r.ErrorKinds = map[string]uint64{}
			}
			r.ErrorKinds[failure(kind).String()] = n
			r.Errors += n
		}
	}
	if r.Seconds > 0 {
		r.RPS = float64(r.Requests) / r.Seconds
	}
	return r
}
