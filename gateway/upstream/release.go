package upstream

// releaseBatch is how many connections are closed in one turn.
const releaseBatch = 256

// Frugal stops windows of HTTP/2 from growing, or lets them grow again.
func (w *Worker) Frugal(on bool) { w.http2.Frugal(on) }

// Release closes the connections that are idle now: what they hold is needed
// elsewhere.
func (w *Worker) Release() {
	idle := 0
	for _, c := range w.clusters {
		if c != nil {
			idle += c.idle()
		}
	}
	for _, c := range w.conns {
		w.loop.Drop(&c.timer)
	}
	w.conns = nil
	w.release(idle)
}

// release closes up to so many idle connections.
func (w *Worker) release(left int) {
	closed := 0
	for _, c := range w.clusters {
		if c == nil {
			continue
		}
		for _, p := range c.pools {
			for p != nil && left > 0 && (p.closeIdleHTTP1(nil) || p.closeIdleHTTP2(nil)) {
				left--
				if closed++; closed == releaseBatch {
					w.loop.Post(func() { w.release(left) })
					return
				}
			}
		}
	}
}

// idle is how many connections are.
func (c *Cluster) idle() int {
	n := 0
	for _, p := range c.pools {
		if p != nil {
			n += p.resting
		}
	}
	return n
}
