package upstream

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"longmen/gateway/cluster"
	"longmen/gateway/connection"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
	"longmen/tls/client"
	"longmen/tls/handshake"
)

// dial is a connection in the making, until a codec takes it.
type dial struct {
	connection.Conn
	pool   *pool
	shared *cluster.Cluster // whose limit it counts against
	s      *stream.Stream   // whose it is; nil: a coroutine's of its own
	co     *worker.Coroutine
	timer  worker.Timer
	begun  int64
	failed *stream.Error // out of time

	security *client.Config // what it is made with; nil: plain
	name     string         // the server name of its handshake
	agreed   *handshake.Result
}

var errConnectTimeout = errors.New("connecting took too long")

// connect makes the connection: the socket, and over TLS the handshake, in
// which alpn is offered. A unit of the limit of connections is taken already; the
// connection counts as active from here on, also when this fails.
func (d *dial) connect(co *worker.Coroutine, alpn []string) *stream.Error {
	d.co = co
	p := d.pool
	c := p.cluster
	l, config := c.worker.loop, c.config
	address := p.endpoint.Address()
	d.begun = l.Now()
	c.Stats.Connections.Inc()
	c.Stats.ConnectionsActive.Inc()
	fd, err := open(address, &config.TCP)
	if err == nil {
		if err = d.Dial(l, fd, d); err != nil {
			unix.Close(fd)
		}
	}
	if err == nil {
		d.CountIn(&c.Stats.Traffic)
		l.Arm(&d.timer, config.ConnectTimeout)
		if err = d.connected(); err == nil && config.TLS != nil {
			err = d.secure(config.TLS, address, alpn)
		}
		l.Disarm(&d.timer)
	}
	if err == nil {
		c.Stats.ConnectDuration.Observe(l.Now() - d.begun)
		return nil
	}
	e, ok := err.(*stream.Error)
	switch {
	case !ok:
		c.Stats.ConnectFailures.Inc()
		e = &stream.Error{Side: stream.Upstream, Phase: stream.PhaseConnect, Flag: stream.UpstreamConnectFailure, Status: 503, Cause: err}
	case e != d.failed:
		return e // of the stream: aborted
	}
	e.Cause = fmt.Errorf("%s: %w", address, e.Cause)
	p.endpoint.ReportConnectFailure(l.Wall())
	return e
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
	d.shared.ReleaseConnection()
	d.pool.cluster.Stats.ConnectionsActive.Dec()
	d.pool.cluster.wakeFirst()
}

// dialing makes a dial for the pool, of which the name is that of the server.
func (w *Worker) dialing(p *pool, name string) *dial {
	var d *dial
	if n := len(w.dials); n > 0 {
		d = w.dials[n-1]
		w.dials = w.dials[:n-1]
	} else {
		d = new(dial)
		d.timer.Init(d)
	}
	d.pool, d.shared, d.name = p, p.cluster.shared, name
	return d
}

// keepDials is how many dials are kept to be used again.
const keepDials = 64

// dialed gives back a dial whose connection was taken or given up.
func (w *Worker) dialed(d *dial) {
	d.pool, d.shared, d.s, d.co, d.failed, d.security, d.name, d.agreed = nil, nil, nil, nil, nil, nil, "", nil
	if len(w.dials) < keepDials {
		w.dials = append(w.dials, d)
		return
	}
	w.loop.Drop(&d.timer)
}
