package outlier

import "sync/atomic"

// Monitor is where one worker reports what its requests to one endpoint come to. Only that worker
// calls its methods; they take no lock and allocate nothing. A nil Monitor takes reports and
// does nothing.
//
// Failures in a row are counted in atomics that all workers share:
// what they report is in one order, that of the operations on each atomic, so a row is a row
// whichever workers it came from, and one of them sees it reach the threshold. A success writes there
// only when it ends a row. Shares of successes are counted by each worker alone and added up when
// they are looked at.
type Monitor struct {
	detector *Detector
	watch    *watch
	external tally
	local    tally
	_        [32]byte // a cache line in all
}

// tally counts what one worker sees, which alone writes it: the requests in the upper half, the
// good ones in the lower. So who reads it finds both of the same moment. Each half goes
// round by itself.
type tally struct{ both atomic.Uint64 }

func (t *tally) count(good bool) {
	both := t.both.Load()
	total, well := uint32(both>>32)+1, uint32(both)
	if good {
		well++
	}
	t.both.Store(uint64(total)<<32 | uint64(well))
}

// Status reports a response, or for gRPC what its status stands for among those of HTTP.
func (m *Monitor) Status(status int) {
	if m == nil {
		return
	}
	config := m.detector.config.Load()
	m.status(config, status)
	if config.SplitLocalOrigin {
		m.local.count(true)
		m.watch.end(ByLocalOriginFailure)
	}
}

func (m *Monitor) status(config *Config, status int) {
	good := status < 500
	m.external.count(good)
	if good {
		m.watch.end(By5xx)
		m.watch.end(ByGatewayFailure)
		return
	}
	if status >= 502 && status <= 504 {
		m.failed(config, ByGatewayFailure)
	} else {
		m.watch.end(ByGatewayFailure)
	}
	m.failed(config, By5xx)
}

// Timeout reports that no response came in time.
func (m *Monitor) Timeout() { m.localFailure(504) }

// Reset reports that a request had no response, or no complete one, because the
// connection ended or the endpoint broke the protocol's rules.
func (m *Monitor) Reset() { m.localFailure(503) }

// ConnectFailed reports that a connection could not be made. refused tells that it was
// refused, or that there is no way to the endpoint.
func (m *Monitor) ConnectFailed(refused bool) {
	if m == nil {
		return
	}
	m.localFailure(503)
	if refused {
		m.failed(m.detector.config.Load(), ByRefusal)
	}
}

// Connected reports that a connection was made.
func (m *Monitor) Connected() {
	if m != nil {
		m.watch.end(ByRefusal)
	}
}

// localFailure counts a failure that is no response, or the status that stands for it.
func (m *Monitor) localFailure(status int) {
	if m == nil {
		return
	}
	config := m.detector.config.Load()
	if !config.SplitLocalOrigin {
		m.status(config, status)
		return
	}
	m.local.count(false)
	m.failed(config, ByLocalOriginFailure)
}

// failed makes a row longer. One that goes on, since the endpoint was not ejected, reaches its
// threshold again with each multiple of that.
func (m *Monitor) failed(config *Config, cause Cause) {
	n, threshold := m.watch.rows[cause].Add(1), config.threshold(cause)
	if threshold > 0 && n%threshold == 0 {
		m.detector.post(m.watch, cause)
	}
}
