package upstream

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/stream"
	"longmen/tls/client"
)

// How streams come to share connections: a stream begins on the oldest
// connection that has room. So there are few of them, what one turn of the loop
// sends goes out together, and those that a peak needed become idle after it.
// When none has room a connection is dialed, and streams that come meanwhile
// wait for it, as many as it can be expected to take.

var (
	errNotHTTP2   = errors.New("the server did not choose HTTP/2")
	errNoPlace    = errors.New("the server ended the HTTP/2 connection at once")
	errNoSettings = errors.New("the connection ended before the server's HTTP/2 settings came")
	errNoUpgrade  = errors.New("an upgrade over HTTP/2 needs extended CONNECT (RFC 8441), which the server does not allow")
)

// defaultRoom is how many streams a connection is expected to take when none was
// there yet, if the cluster's settings do not say it.
const defaultRoom = 100

// renewEvery is the least time between two connections that are to take the place
// of others.
const renewEvery = time.Second

// multiplexes reports whether streams share connections to the endpoint.
func (p *pool) multiplexes() bool {
	config := p.cluster.config
	return config.Protocol == cluster.HTTP2Only || config.Protocol == cluster.AutoProtocol && config.TLS != nil
}

// withRoom returns a connection, dialed at since or later, on which the stream
// may begin, or nil.
func (p *pool) withRoom(s *stream.Stream, since int64) *http2Conn {
	for i := 0; i < len(p.open); {
		m := p.open[i]
		switch { // what is off the list makes place for the next
		case m.client.Err() != nil: // in this very turn
			m.end()
			continue
		case m.spent() || m.client.Draining() || !m.current():
			m.retire()
			continue
		}
		i++
		if m.born < since || m.client.Room() == 0 || !p.names(m.name, s) {
			continue
		}
		if m.worn() {
			p.renew(m)
		}
		return m
	}
	return nil
}

// crowded reports whether the endpoint has as many requests as it may have, or as many connections,
// and none of them has room for the stream.
func (p *pool) crowded(s *stream.Stream) bool {
	return p.atLimit() || p.cluster.config.HTTP2.MaxConnections > 0 && p.multiplexes() && p.full() &&
		p.joinable(s, 0) == nil && p.withRoom(s, 0) == nil
}

// full reports whether the endpoint has as many connections as it may have.
func (p *pool) full() bool {
	most := p.cluster.config.HTTP2.MaxConnections
	return most > 0 && len(p.open)+len(p.dialing) >= most && !p.alone
}

// capacity is how many streams wait for one connection.
func (p *pool) capacity() int {
	config := p.cluster.config
	room := p.room
	switch {
	case p.alone:
		return 1
	case room == 0 && config.HTTP2.MaxStreams > 0:
		room = config.HTTP2.MaxStreams
	case room == 0:
		room = defaultRoom
	}
	if most := config.Pool.MaxRequests; most > 0 {
		room = min(room, most)
	}
	return room
}

// joinable returns a dial, begun at since or later, that the stream may wait for,
// or nil.
func (p *pool) joinable(s *stream.Stream, since int64) *dial {
	for _, d := range p.dialing {
		if d.begun >= since && d.current() && len(d.waiters) < p.capacity() && p.names(d.name, s) {
			return d
		}
	}
	return nil
}

// fromShared gets a stream of a connection that is shared, or shall be.
func (a *acquisition) fromShared(p *pool) (*Conn, error) {
	var since int64
	if a.Fresh && a.queued == nil { // who has waited takes what there is
		since = a.s.Record.UpstreamBegin
	}
	if m := p.withRoom(a.s, since); m != nil {
		a.note(p)
		conn := m.attach(a.s)
		a.leaveQueue()
		return a.upgradable(conn)
	}
	if a.config.Protocol == cluster.AutoProtocol && since == 0 {
		if conn := p.takeIdle(a.s); conn != nil {
			a.note(p)
			return conn.attach(a.s), nil
		}
	}
	d := p.joinable(a.s, since)
	if d == nil {
		if p.full() {
			return nil, errCrowded
		}
		u, err := p.mayConnect(a.Pick.High)
		if err != nil {
			return nil, err
		}
		d = p.dial(serverName(a.config.TLS, p, a.s), u)
	}
	a.note(p)
	a.leaveQueue()
	conn, err := d.join(a.s, a.co)
	if err != nil {
		return nil, err
	}
	return a.upgradable(conn)
}

// upgradable sees to it that a stream that asks for an upgrade is on a connection
// where that can be had.
func (a *acquisition) upgradable(conn *Conn) (*Conn, error) {
	m := conn.h2
	if !a.Upgrade || m == nil {
		return conn, nil
	}
	err := m.awaitSettings(a.s, a.co)
	if err == nil && m.client.Extended() {
		return conn, nil
	}
	conn.Release()
	switch {
	case err != nil:
		return nil, err
	case a.config.Protocol == cluster.AutoProtocol:
		a.http1 = true
		return nil, errAgain
	}
	return nil, &stream.Error{Side: stream.Upstream, Phase: stream.PhaseConnect, Flag: stream.UpstreamProtocolError, Status: 502,
		Cause: fmt.Errorf("%s: %w", m.pool.endpoint.Address(), errNoUpgrade)}
}

// dial begins to make a connection that streams may share, on a coroutine of its
// own: it goes on when the streams that wait for it do not. A unit of the limit
// of connections is taken already.
func (p *pool) dial(name string, u unit) *dial {
	c := p.cluster
	d := c.worker.dialing(p, name, u)
	if c.config.TLS != nil {
		d.alpn = c.config.TLS.ALPN
	}
	d.only2 = c.config.Protocol == cluster.HTTP2Only
	p.dialing = append(p.dialing, d)
	d.co = c.worker.loop.GoLater(d)
	return d
}

// renew makes a connection that shall take the place of m, while that goes on.
func (p *pool) renew(m *http2Conn) {
	now := m.loop().Now()
	if len(p.dialing) > 0 || p.renewed != 0 && now-p.renewed < int64(renewEvery) {
		return
	}
	u, err := p.mayRenew(m)
	if err != nil {
		return
	}
	p.renewed = now
	p.dial(m.name, u)
}

// cancelDials ends the dials under way: the cluster is gone.
func (p *pool) cancelDials() {
	for _, d := range p.dialing {
		d.canceled = true
		d.failed = p.cluster.unavailable(stream.NoCluster, errRemoved)
		d.giveUp()
		d.serveAll(d.failed)
		d.co.Wake()
	}
	p.dialing = nil
}

// retirePast lets connections end whose settings are not those of now.
func (p *pool) retirePast() {
	for _, m := range slices.Clone(p.open) {
		if !m.current() {
			m.retire()
		}
	}
}

// names reports whether a connection may carry the stream whose server was asked
// for by that name: another one may not be the one that is meant.
func (p *pool) names(name string, s *stream.Stream) bool {
	config := p.cluster.config.TLS
	switch {
	case config == nil || config.Name != client.NameRequest:
		return true
	case len(s.Request.Host) > 0:
		return name == string(s.Request.Host) // as NameFor has it, without an allocation
	}
	return name == serverName(config, p, s)
}
