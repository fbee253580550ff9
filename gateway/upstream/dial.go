package upstream

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"longmen/gateway/connection"
	"longmen/gateway/protocol/http2"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
	"longmen/tls/client"
	"longmen/tls/handshake"
)

// dial is a connection in the making, until a codec takes it.
type dial struct {
	connection.Conn
	pool    *pool
	account *account       // of the address where it goes
	unit    unit           // of the limits of connections
	s       *stream.Stream // whose it is; nil: a coroutine's of its own
	co      *worker.Coroutine
	timer   worker.Timer
	begun   int64
	failed  *stream.Error // out of time, or not wanted any more

	security *client.Config      // what it is made with; nil: plain
	settings *http2.ClientConfig // likewise; nil: HTTP/2 is not spoken
	name     string              // the server name of its handshake
	alpn     []string            // what is offered in it
	agreed   *handshake.Result   // what it came to

	// Of a connection that streams shall share:
	waiters  []*waiter
	only2    bool // it must speak HTTP/2
	canceled bool // nobody wants it any more
}

var errConnectTimeout = errors.New("connecting took too long")

// connect makes the connection: the socket, and over TLS the handshake. A unit of
// the limit of connections is taken already.
func (d *dial) connect(co *worker.Coroutine) *stream.Error {
	d.co = co
	p := d.pool
	c := p.cluster
	l, config := c.worker.loop, c.config
	address := d.account.address
	c.Stats.Connections.Inc()
	c.shared.MarkUsed()
	fd, err := open(address, &config.TCP)
	if err == nil {
		if err = d.Dial(l, fd, d); err != nil {
			unix.Close(fd)
		}
	}
	if err == nil {
		d.CountIn(&c.Stats.Traffic)
		l.Arm(&d.timer, config.ConnectTimeout)
		if err = d.connected(); err == nil && d.security != nil {
			err = d.secure(address)
		}
		l.Disarm(&d.timer)
	}
	if err == nil {
		c.Stats.ConnectDuration.Observe(l.Now() - d.begun)
		p.watcher().Connected()
		return nil
	}
	e, ok := err.(*stream.Error)
	switch {
	case !ok:
		c.Stats.ConnectFailures.Inc()
		return p.connectFailed(err)
	case e == d.failed && !d.canceled:
		e.Cause = fmt.Errorf("%s: %w", address, e.Cause)
		p.unreachable(errConnectTimeout)
	}
	return e
}

// connectFailed makes an error of what went wrong with a connection before there
// was a request on it.
func (p *pool) connectFailed(cause error) *stream.Error {
	p.unreachable(cause)
	return &stream.Error{Side: stream.Upstream, Phase: stream.PhaseConnect, Flag: stream.UpstreamConnectFailure, Status: 503,
		Cause: fmt.Errorf("%s: %w", p.endpoint.Address(), cause)}
}

// connected waits for the connect to end.
func (d *dial) connected() error {
	for !d.Connected() {
		if err := d.Err(); err != nil {
			return err
		}
		if err := d.wait(); err != nil {
			return err
		}
	}
	return nil
}

// wait waits for the connection, or returns why that is over.
func (d *dial) wait() error {
	if d.failed == nil {
		if d.s == nil {
			d.co.Wait()
		} else if err := d.s.Wait(d.co); err != nil {
			return err
		}
	}
	if d.failed != nil {
		return d.failed
	}
	return nil
}

// ConnReady is told of events by the connection.
func (d *dial) ConnReady(worker.Events) { d.co.Wake() }

// Expire ends a connect that lasts too long.
func (d *dial) Expire(*worker.Timer) {
	d.pool.cluster.Stats.ConnectTimeouts.Inc()
	d.failed = &stream.Error{Side: stream.Upstream, Phase: stream.PhaseConnect, Flag: stream.UpstreamConnectFailure, Status: 504, Cause: errConnectTimeout}
	d.co.Wake()
}

// giveUp closes the connection and gives back its unit of the limit.
func (d *dial) giveUp() {
	d.Part()
	d.unit.release(d.pool.cluster)
	d.account.closed()
	d.pool.cluster.wakeFirst()
}

// dialing makes a dial for the pool, to a server of that name. It counts as an
// active connection from here on.
func (w *Worker) dialing(p *pool, name string, u unit) *dial {
	var d *dial
	if n := len(w.dials); n > 0 {
		d = w.dials[n-1]
		w.dials = w.dials[:n-1]
	} else {
		d = new(dial)
		d.timer.Init(d)
	}
	c := p.cluster
	d.pool, d.unit, d.name, d.security, d.settings, d.begun = p, u, name, c.config.TLS, c.http2, w.loop.Now()
	d.account = p.place()
	d.account.opened()
	return d
}

// keepDials is how many dials are kept to be used again.
const keepDials = 64

// dialed gives back a dial whose connection was taken or given up.
func (w *Worker) dialed(d *dial) {
	if len(w.dials) >= keepDials {
		w.loop.Drop(&d.timer)
		return
	}
	d.pool, d.account, d.unit, d.s, d.co, d.failed, d.waiters, d.only2, d.canceled = nil, nil, unit{}, nil, nil, nil, nil, false, false
	d.security, d.settings, d.name, d.alpn, d.agreed = nil, nil, "", nil, nil
	w.dials = append(w.dials, d)
}
