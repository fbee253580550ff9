package upstream

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"longmen/gateway/cluster"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

var (
	errNoEndpoint  = errors.New("no healthy endpoint")
	errNoOther     = errors.New("no endpoint is left to try")
	errConnections = errors.New("the cluster's limit of connections is reached, and so is that of waiting requests")
	errRemoved     = errors.New("the cluster was removed")
)

// pollEvery is how often a stream that waits for a connection looks whether
// another worker has freed one.
const pollEvery = 20 * time.Millisecond

// Choice is an endpoint that AcquireIdle picked and had no connection to; the
// zero value is none.
type Choice struct{ pool *pool }

// AcquireIdle is Acquire as far as it goes without waiting: it gives the stream
// an idle connection, or nil, and then the Choice that Acquire shall keep to.
func (c *Cluster) AcquireIdle(s *stream.Stream, tried *[]*cluster.Endpoint) (*Conn, Choice) {
	if c.closed || len(c.waiting) > 0 {
		return nil, Choice{} // those who wait come first
	}
	c.refresh()
	p, err := c.pick(*tried)
	if err != nil {
		return nil, Choice{}
	}
	conn := p.takeIdle(s)
	if conn == nil {
		return nil, Choice{p}
	}
	*tried = append(*tried, p.endpoint)
	return c.attach(conn, s), Choice{}
}

// Acquire gives the stream a connection to an endpoint that is not among
// tried: an idle one, or a new one, which it waits for. fresh asks for a new
// one. The endpoint is added to tried, whether or not it can be reached. The
// stream is attached to the connection; Release gives it back.
func (c *Cluster) Acquire(s *stream.Stream, co *worker.Coroutine, tried *[]*cluster.Endpoint, fresh bool, choice Choice) (*Conn, error) {
	pended := false
	defer func() {
		if pended {
			c.unqueue(co)
		}
	}()
	for {
		if c.closed {
			return nil, c.unavailable(stream.NoCluster, errRemoved)
		}
		c.refresh()
		p := choice.pool
		choice = Choice{}
		if p == nil || p.endpoint.Gone() {
			var err error
			if p, err = c.pick(*tried); err != nil {
				return nil, err
			}
		}
		if pended || len(c.waiting) == 0 { // else those who wait come first
			if !fresh {
				if conn := p.takeIdle(s); conn != nil {
					*tried = append(*tried, p.endpoint)
					return c.attach(conn, s), nil
				}
			}
			if c.shared.TryConnection() || c.closeOneIdle() && c.shared.TryConnection() {
				*tried = append(*tried, p.endpoint)
				if pended {
					c.unqueue(co)
					pended = false
				}
				return c.dial(s, co, p)
			}
		}
		if !pended && !c.shared.TryPending() {
			c.Stats.Overflows[metrics.LimitPending].Inc()
			return nil, c.unavailable(stream.UpstreamOverflow, errConnections)
		}
		if !pended {
			pended = true
			shared := c.shared
			c.Stats.RequestsPending.Inc()
			defer func() {
				shared.ReleasePending()
				c.Stats.RequestsPending.Dec()
			}()
			c.waiting = append(c.waiting, co)
		}
		if err := c.await(s, co); err != nil {
			return nil, err
		}
	}
}

// pick chooses an endpoint that is not among tried.
func (c *Cluster) pick(tried []*cluster.Endpoint) (*pool, error) {
	var i int
	if len(tried) == 0 {
		i = c.balancer.Pick(nil)
	} else {
		i = c.pickOther(tried)
	}
	switch {
	case i >= 0:
		return c.usable[i], nil
	case len(c.usable) == 0:
		return nil, c.unavailable(stream.NoHealthyUpstream, errNoEndpoint)
	}
	return nil, c.unavailable(stream.UpstreamRetryLimit, errNoOther)
}

func (c *Cluster) pickOther(tried []*cluster.Endpoint) int {
	return c.balancer.Pick(func(i int) bool {
		for _, e := range tried {
			if c.usable[i].endpoint == e {
				return true
			}
		}
		return false
	})
}

// HasOther reports whether there is an endpoint that is not among tried.
func (c *Cluster) HasOther(tried []*cluster.Endpoint) bool {
	for _, p := range c.usable {
		if !slices.Contains(tried, p.endpoint) {
			return true
		}
	}
	return false
}

// closeOneIdle closes an idle connection, so that a new one fits into the
// cluster's limit, and reports whether there was one.
func (c *Cluster) closeOneIdle() bool {
	for _, p := range c.pools {
		if p != nil && p.idle != nil {
			p.idle.discard()
			return true
		}
	}
	return false
}

// takeIdle returns the idle connection that was used last and fits the stream,
// or nil.
func (p *pool) takeIdle(s *stream.Stream) *http1Conn {
	for conn := p.idle; conn != nil; {
		next := conn.next
		switch {
		case !conn.usable():
			conn.discard()
		case conn.fits(s):
			conn.take()
			return conn
		}
		conn = next
	}
	return nil
}

func (c *Cluster) attach(h1 *http1Conn, s *stream.Stream) *Conn {
	h1.client.Attach(s)
	conn := &h1.Conn
	if conn.counted = c.config.Balance == cluster.LeastRequest; conn.counted {
		conn.pool.endpoint.Active.Add(1)
	}
	c.Stats.RequestsActive.Inc()
	return conn
}

// detach ends what attach began.
func (c *Cluster) detach(conn *Conn) (reusable bool) {
	if conn.counted {
		conn.pool.endpoint.Active.Add(-1)
	}
	c.Stats.RequestsActive.Dec()
	return conn.Detach()
}

// await waits until a connection may have become free.
func (c *Cluster) await(s *stream.Stream, co *worker.Coroutine) error {
	if c.worker.Starved != nil && !c.poll.Armed() { // once in each pollEvery
		c.worker.Starved(c.shared)
	}
	c.worker.loop.ArmBy(&c.poll, pollEvery)
	return s.Wait(co)
}

// unqueue takes co out of those that wait, and lets the first of the others
// look: what it was woken for may be there for more than one.
func (c *Cluster) unqueue(co *worker.Coroutine) {
	if i := slices.Index(c.waiting, co); i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
	c.wakeFirst()
}

func (c *Cluster) unavailable(flag stream.Flag, cause error) *stream.Error {
	return &stream.Error{Side: stream.Upstream, Phase: stream.PhasePick, Flag: flag, Status: 503,
		Cause: fmt.Errorf("cluster %s: %w", c.config.Name, cause)}
}

// dial makes a new connection and waits for it. A unit of the limit of
// connections is taken already.
func (c *Cluster) dial(s *stream.Stream, co *worker.Coroutine, p *pool) (*Conn, error) {
	l := c.worker.loop
	address := p.endpoint.Address()
	conn := newHTTP1(p)
	fd, err := connect(address, &c.config.TCP)
	if err == nil {
		if err = conn.client.Open(l, fd, c.worker.limits, conn); err != nil {
			unix.Close(fd)
		}
		conn.client.CountIn(&c.Stats.Traffic)
	}
	c.Stats.Connections.Inc()
	if err != nil {
		c.shared.ReleaseConnection()
		return nil, c.connectFailed(p.endpoint, err)
	}
	c.Stats.ConnectionsActive.Inc()
	c.attach(conn, s)
	conn.connecting = true
	l.Arm(&conn.timer, c.config.ConnectTimeout)
	if err = conn.client.WaitConnected(co); err == nil && c.config.TLS != nil {
		err = conn.secure(co, s)
	}
	conn.connecting = false
	l.Disarm(&conn.timer)
	if err == nil {
		c.Stats.ConnectDuration.Observe(l.Now() - conn.born)
		return &conn.Conn, nil
	}
	conn.release()
	if e, ok := err.(*stream.Error); ok {
		if e.Phase == stream.PhaseConnect {
			e.Cause = fmt.Errorf("%s: %w", address, e.Cause)
			p.endpoint.ReportConnectFailure(l.Wall())
		}
		return nil, e
	}
	return nil, c.connectFailed(p.endpoint, err)
}

func (c *Cluster) connectFailed(e *cluster.Endpoint, cause error) *stream.Error {
	c.Stats.ConnectFailures.Inc()
	e.ReportConnectFailure(c.worker.loop.Wall())
	return &stream.Error{Side: stream.Upstream, Phase: stream.PhaseConnect, Flag: stream.UpstreamConnectFailure, Status: 503,
		Cause: fmt.Errorf("%s: %w", e.Address(), cause)}
}

// connect makes a socket and begins to connect it.
func connect(to netip.AddrPort, tcp *cluster.TCP) (int, error) {
	family := unix.AF_INET
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	// Options that cannot be set make a slower connection, not a wrong one.
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if tcp.KeepaliveIdle > 0 {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds(tcp.KeepaliveIdle))
		if tcp.KeepaliveInterval > 0 {
			unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds(tcp.KeepaliveInterval))
		}
		if tcp.KeepaliveProbes > 0 {
			unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, tcp.KeepaliveProbes)
		}
	}
	if tcp.Source.IsValid() {
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(tcp.Source, 0))); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("bind %s: %w", tcp.Source, err)
		}
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return -1, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

func seconds(d time.Duration) int { return max(1, int((d+time.Second-1)/time.Second)) }

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if ip := a.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zone(a.Addr().Zone())}
}

// zone is the number of an IPv6 zone, which is written as a number or as the
// name of an interface.
func zone(name string) uint32 {
	if name == "" {
		return 0
	}
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(name); err == nil {
		return uint32(i.Index)
	}
	return 0
}
