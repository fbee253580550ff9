package upstream

import (
	"slices"
	"time"

	"longmen/gateway/protocol/http2"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
	"longmen/tls/client"
	"longmen/tls/handshake"
)

// http2Conn is a connection of HTTP/2, whose streams many tries have.
type http2Conn struct {
	client   http2.Client
	pool     *pool
	account  *account     // of the address where it goes
	unit     unit         // of the limits of connections
	timer    worker.Timer // for the endpoint's settings, and of a connection without streams
	born     int64
	security *client.Config      // what it was made with; nil: plain
	settings *http2.ClientConfig // likewise
	name     string              // the server name of its handshake
	agreed   *handshake.Result
	served   int                 // streams that began
	curious  []*worker.Coroutine // wait for the endpoint's settings
	greeted  bool                // those came
	state    http2State
}

// http2State is what became of a connection.
type http2State uint8

const (
	inUse   http2State = iota // streams may begin; it is in pool.open
	idling                    // likewise, and none is open
	retired                   // it ends after its last stream
	over                      // it has ended
)

// newHTTP2 makes a connection of one that was dialed.
func newHTTP2(d *dial) *http2Conn {
	p := d.pool
	c := p.cluster
	m := &http2Conn{pool: p, account: d.account, unit: d.unit, born: d.begun, security: d.security, settings: d.settings, name: d.name, agreed: d.agreed}
	m.timer.Init(m)
	p.open = append(p.open, m)
	c.Stats.HTTP2.ConnectionsActive.Inc()
	m.loop().Arm(&m.timer, c.config.ConnectTimeout) // for the endpoint's settings
	m.client.Take(&d.Conn, m.settings, m)
	return m
}

func (m *http2Conn) loop() *worker.Loop { return m.pool.cluster.worker.loop }

// attach begins a stream of the connection, which has room.
func (m *http2Conn) attach(s *stream.Stream) *Conn {
	p := m.pool
	if m.state == idling {
		m.state = inUse
		p.wake(m.account)
		if m.greeted {
			m.loop().Disarm(&m.timer)
		}
	}
	c := p.cluster.worker.conn()
	c.Exchange = m.client.Attach(s)
	c.h2, c.pool, c.account, c.agreed, c.pooled = m, p, m.account, m.agreed, m.served > 0
	c.begin()
	m.served++
	stats := &p.cluster.Stats.HTTP2
	stats.Streams.Inc()
	stats.StreamsActive.Inc()
	return c
}

// release ends what attach began.
func (m *http2Conn) release(c *Conn) {
	cl := m.pool.cluster
	c.detach()
	cl.Stats.HTTP2.StreamsActive.Dec()
	cl.worker.released(c)
	if m.client.Streams() == 0 {
		m.rest()
	}
	cl.wakeFirst()
}

// rest keeps a connection without streams, if there is a use for it.
func (m *http2Conn) rest() {
	switch {
	case m.state == over || m.state == idling:
	case m.state == retired || !m.current() || m.spent() || m.restTime() <= 0 || m.client.Room() == 0 || !m.pool.hasRoom():
		m.end()
	default:
		m.state = idling
		m.pool.rest(m.account)
		if m.greeted {
			m.loop().Arm(&m.timer, m.restTime())
		}
	}
}

// restTime is how long the connection may be without streams.
func (m *http2Conn) restTime() time.Duration {
	limits := &m.pool.cluster.config.Pool
	if limits.MaxAge == 0 {
		return limits.IdleTimeout
	}
	return min(limits.IdleTimeout, limits.MaxAge-time.Duration(m.loop().Now()-m.born))
}

// current reports whether the connection is what the cluster's settings of now
// would make.
func (m *http2Conn) current() bool {
	p := m.pool
	c := p.cluster
	return !c.closed && !p.endpoint.Gone() && m.security == c.config.TLS && m.settings == c.http2 && p.multiplexes()
}

// spent reports whether the connection carried as many streams as it may.
func (m *http2Conn) spent() bool {
	most := m.pool.cluster.config.Pool.MaxRequests
	return most > 0 && m.served >= most
}

// worn reports whether another connection shall take this one's place: it is as
// old as it may be, or has carried most of the streams that it may.
func (m *http2Conn) worn() bool {
	limits := &m.pool.cluster.config.Pool
	return limits.MaxAge > 0 && m.loop().Now()-m.born >= int64(limits.MaxAge) ||
		limits.MaxRequests > 0 && m.served >= limits.MaxRequests-limits.MaxRequests/8
}

// ClientChanged is told that there is more room, or that the connection ends.
func (m *http2Conn) ClientChanged(*http2.Client) {
	k := &m.client
	switch {
	case m.state == over:
		return
	case k.Err() != nil:
		m.end()
	case k.Draining():
		m.retire()
	case k.Settled():
		m.greet()
	}
	m.pool.cluster.wakeFirst()
}

// greet takes note of the endpoint's settings.
func (m *http2Conn) greet() {
	m.pool.room = m.client.Room() + m.client.Streams()
	if m.greeted {
		return
	}
	m.greeted = true
	if m.state == idling {
		m.loop().Arm(&m.timer, m.restTime())
	} else {
		m.loop().Disarm(&m.timer)
	}
	m.wakeCurious()
}

func (m *http2Conn) wakeCurious() {
	for _, co := range m.curious {
		co.Wake()
	}
}

// Expire ends a connection that had no streams for long, or whose endpoint does
// not say its settings.
func (m *http2Conn) Expire(*worker.Timer) {
	if !m.greeted {
		m.pool.cluster.Stats.ConnectTimeouts.Inc()
		m.pool.unreachable(errNoSettings)
	} else if m.state == idling && m.current() && m.pool.staysWarm(m.born) {
		m.loop().Arm(&m.timer, m.restTime())
		return
	}
	m.end()
}

// retire lets the connection end after its last stream; none begins any more.
func (m *http2Conn) retire() {
	switch m.state {
	case idling:
		m.end()
	case inUse:
		m.unlist()
		m.state = retired
		m.client.Drain()
		m.wakeCurious()
		if m.client.Streams() == 0 {
			m.end()
		}
	}
}

// end closes the connection, and gives back its unit of the limit. Streams that
// are open fail.
func (m *http2Conn) end() {
	switch m.state {
	case over:
		return
	case idling:
		m.pool.wake(m.account)
		m.unlist()
	case inUse:
		m.unlist()
	}
	m.state = over
	c := m.pool.cluster
	m.loop().Drop(&m.timer)
	m.client.Close()
	m.unit.release(c)
	m.account.closed()
	c.Stats.HTTP2.ConnectionsActive.Dec()
	m.wakeCurious()
	c.wakeFirst()
}

// unlist takes the connection off the list of those on which streams may begin.
func (m *http2Conn) unlist() {
	p := m.pool
	i := slices.Index(p.open, m)
	p.open = slices.Delete(p.open, i, i+1)
}

// awaitSettings waits until the endpoint's settings have come, for a stream that
// has a place on the connection.
func (m *http2Conn) awaitSettings(s *stream.Stream, co *worker.Coroutine) error {
	m.curious = append(m.curious, co)
	defer func() {
		m.curious = slices.DeleteFunc(m.curious, func(o *worker.Coroutine) bool { return o == co })
	}()
	for !m.greeted {
		if m.state == over {
			return m.pool.connectFailed(errNoSettings)
		}
		if err := s.Wait(co); err != nil {
			return err
		}
	}
	return nil
}
