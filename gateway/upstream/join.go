package upstream

import (
	"slices"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// A waiter is a stream that waits for a dial.
type waiter struct {
	s       *stream.Stream
	co      *worker.Coroutine
	counted counting
	done    bool
	conn    *Conn
	err     error // errAgain: there was no place for it
}

// join waits for the dial, and gives the stream a place on its connection.
func (d *dial) join(s *stream.Stream, co *worker.Coroutine) (*Conn, error) {
	p := d.pool
	w := &waiter{s: s, co: co, counted: p.enter(d.account)}
	d.waiters = append(d.waiters, w)
	for !w.done {
		err := s.Wait(co)
		switch {
		case err == nil:
			continue
		case !w.done:
			d.waiters = slices.DeleteFunc(d.waiters, func(o *waiter) bool { return o == w })
			p.leave(d.account, w.counted)
		case w.conn != nil:
			w.conn.Release()
		}
		return nil, err
	}
	return w.conn, w.err
}

// serve ends the first of the waits.
func (d *dial) serve(conn *Conn, err error) {
	w := d.waiters[0]
	d.waiters = slices.Delete(d.waiters, 0, 1)
	d.pool.leave(d.account, w.counted)
	w.conn, w.err, w.done = conn, err, true
	w.co.Wake()
}

func (d *dial) serveAll(err error) {
	for len(d.waiters) > 0 {
		d.serve(nil, err)
	}
}

// current reports whether the dial is with the cluster's settings of now.
func (d *dial) current() bool {
	c := d.pool.cluster
	return d.settings == c.http2 && d.security == c.config.TLS && d.pool.multiplexes()
}

// Run makes the connection and gives its streams to those who wait.
func (d *dial) Run(co *worker.Coroutine) {
	p := d.pool
	defer p.cluster.worker.dialed(d)
	var e *stream.Error
	if !d.canceled {
		e = d.connect(co)
	}
	if d.canceled {
		return
	}
	p.dialed(d)
	switch {
	case e != nil:
		d.giveUp()
		d.serveAll(e)
	case !d.current():
		d.giveUp()
		d.serveAll(errAgain)
	case d.agreed != nil && d.agreed.Protocol != "h2":
		d.finishHTTP1()
	default:
		d.finishHTTP2()
	}
}

// dialed notes that a dial is not under way any more.
func (p *pool) dialed(d *dial) {
	i := slices.Index(p.dialing, d)
	p.dialing = slices.Delete(p.dialing, i, i+1)
}

// finishHTTP2 gives streams of the connection to those who wait, and lets
// connections end whose place it takes.
func (d *dial) finishHTTP2() {
	p := d.pool
	p.alone = false
	m := newHTTP2(d)
	for _, o := range slices.Clone(p.open) {
		if o != m && o.name == m.name && o.worn() {
			o.retire()
		}
	}
	var err error = errAgain
	if m.state != inUse || m.client.Room() == 0 { // or they would dial for ever
		err = p.connectFailed(errNoPlace)
	}
	for len(d.waiters) > 0 && m.state == inUse && m.client.Room() > 0 && !m.spent() {
		d.serve(m.attach(d.waiters[0].s), nil)
	}
	d.serveAll(err)
	if m.state == inUse && m.client.Streams() == 0 {
		m.rest()
	}
	p.cluster.wakeFirst()
}

// finishHTTP1 gives the connection, whose server chose HTTP/1, to the first who
// waits. Each of the others needs one of its own.
func (d *dial) finishHTTP1() {
	p := d.pool
	p.alone = true
	conn := newHTTP1(d)
	if len(d.waiters) > 0 {
		d.serve(conn.attach(d.waiters[0].s), nil)
	} else if !conn.keep() {
		conn.destroy()
	}
	d.serveAll(errAgain)
}
