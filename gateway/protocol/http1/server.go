package http1

import (
	"net/netip"
	"time"

	"longmen/gateway/connection"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
	"longmen/tls/handshake"
)

// Config is how a listener's connections are served. It is immutable: a
// connection takes the current one for each stream.
type Config struct {
	Limits Limits

	HeaderTimeout  time.Duration // until a request head is complete (408)
	BodyTimeout    time.Duration // between two pieces of a request body (408)
	WriteTimeout   time.Duration // until the client takes some bytes
	IdleTimeout    time.Duration // between requests
	StreamIdle     time.Duration // no byte of a stream in either direction; 0: none
	RequestTimeout time.Duration // until a request is received whole (408); 0: none

	MinRequestRate  int           // bytes a second, on average, after RateGrace (408); 0: off
	MinResponseRate int           // likewise for what the client takes; 0: off
	RateGrace       time.Duration // default 5 s when a rate is set

	MaxRequests      int // on one connection; 0: no limit
	AbortOnHalfClose bool

	// Handle answers a stream, on a coroutine; the status of an error that it
	// returns is answered by Reply. It is not used when there is Inline.
	Handle stream.Handler
	// Inline does what Handle does, without a coroutine as far as that goes.
	Inline *stream.Inline
	// Splice connects a connection that is no HTTP to a cluster: its response
	// has an Upgraded.
	Splice func(s *stream.Stream, cluster string) (*stream.Response, error)
	// HTTP2 takes connections that begin with HTTP/2's preface (RFC 9113 section
	// 3.4), with what was read of them; nil: that is a malformed request. OnlyHTTP2
	// gives it all others, too, which it refuses in its own way.
	HTTP2     func(c *connection.Conn, remote, local netip.AddrPort, tls *handshake.Result) error
	OnlyHTTP2 bool
	// Reply makes a local reply out of an error, in s.Response.
	Reply func(s *stream.Stream, e *stream.Error) *stream.Response
	// Finish is called when a stream is over: its log line, its counts. resp is
	// nil when nothing was answered.
	Finish func(s *stream.Stream, resp *stream.Response)

	// Stats counts traffic and time limits that were run into; may be nil.
	Stats *metrics.ListenerStats
}

func (cfg *Config) timedOut(t metrics.Timeout) {
	if cfg.Stats != nil {
		cfg.Stats.Timeouts[t].Inc()
	}
}

// Observer hears of a server's connections.
type Observer interface {
	// ConnectionClosed is called once for each connection that Serve took; remote is
	// its client.
	ConnectionClosed(remote netip.AddrPort)
}

// Server serves the connections of one listener on one worker. Its methods
// must be called on the worker's loop.
type Server struct {
	loop     *worker.Loop
	streams  *Streams
	observer Observer
	config   *Config
	draining bool
	hurry    connection.Hurry

	connections *serverConn // list of all
	hurried     *serverConn // the next of them to be held to a shorter idle timeout
	count       int
	free        *serverConn
	freeCount   int
	ids         uint64
}

// Streams is the pool of streams of one worker, shared by its servers.
type Streams struct {
	kept   int64 // loop time of the last request that was not its connection's first
	free   []*serverStream
	made   int
	dateAt int64  // the second that dated is for
	dated  []byte // the Date field's value
}

// Kept is the loop's time when a request came last on a connection that had
// carried one before; 0: none did.
func (p *Streams) Kept() int64 { return p.kept }

// date is the value of a Date field now (RFC 9110 section 6.6.1), made once a
// second.
func (p *Streams) date(l *worker.Loop) []byte {
	now := l.Wall()
	if at := now.Unix(); at != p.dateAt || p.dated == nil {
		p.dateAt = at
		p.dated = now.UTC().AppendFormat(p.dated[:0], "Mon, 02 Jan 2006 15:04:05 GMT")
	}
	return p.dated
}

// Bounds of what pools keep.
const (
	keepStreams     = 1024
	keepConnections = 1024
)

// NewServer makes a server. Streams must be shared only by servers of l.
func NewServer(l *worker.Loop, streams *Streams, config *Config, o Observer) *Server {
	return &Server{loop: l, streams: streams, config: config, observer: o}
}

// Configure sets the configuration that streams begin with from now on.
func (srv *Server) Configure(config *Config) { srv.config = config }

// Connections is how many connections are open.
func (srv *Server) Connections() int { return srv.count }

// Serve takes an accepted, non-blocking socket. On an error the socket is still
// the caller's.
func (srv *Server) Serve(fd int, remote, local netip.AddrPort) error {
	c := srv.connection()
	if err := c.Open(srv.loop, fd, c); err != nil {
		srv.recycle(c)
		return err
	}
	if stats := srv.config.Stats; stats != nil {
		c.CountIn(&stats.Traffic)
	}
	srv.begin(c, remote, local)
	return nil
}

// Take takes a connection whose TLS handshake is done, or a plain one, for which
// tls is nil, with what was read of it.
func (srv *Server) Take(from *connection.Conn, remote, local netip.AddrPort, tls *handshake.Result) error {
	c := srv.connection()
	c.Conn.Take(from, c)
	c.tls = tls
	srv.begin(c, remote, local)
	if c.Buffered() > 0 || c.MayRead() {
		c.ConnReady(worker.Readable)
	}
	return nil
}

// connection takes a connection from the pool.
func (srv *Server) connection() *serverConn {
	c := srv.free
	if c != nil {
		srv.free, c.next = c.next, nil
		srv.freeCount--
		return c
	}
	c = &serverConn{}
	c.timer.Init((*connTimer)(c))
	return c
}

// begin puts an open connection on the list.
func (srv *Server) begin(c *serverConn, remote, local netip.AddrPort) {
	c.srv, c.remote, c.local = srv, packAddr(remote), packAddr(local)
	c.next = srv.connections
	if c.next != nil {
		c.next.prev = c
	}
	srv.connections = c
	srv.count++
	c.idle()
}

// gone takes a closed connection off the list.
func (srv *Server) gone(c *serverConn) {
	srv.unlist(c)
	srv.observer.ConnectionClosed(c.remote.unpack())
	srv.recycle(c)
}

// pass hands a connection over to HTTP/2.
func (srv *Server) pass(c *serverConn) {
	srv.unlist(c)
	if srv.config.HTTP2(&c.Conn, c.remote.unpack(), c.local.unpack(), c.tls) != nil {
		c.Close()
		srv.observer.ConnectionClosed(c.remote.unpack())
	}
	srv.recycle(c)
}

func (srv *Server) unlist(c *serverConn) {
	srv.loop.Drop(&c.timer)
	if srv.hurried == c {
		srv.hurried = c.next
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		srv.connections = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev = nil, nil
	srv.count--
}

func (srv *Server) recycle(c *serverConn) {
	c.reset()
	if srv.freeCount < keepConnections {
		c.next, srv.free = srv.free, c
		srv.freeCount++
	}
}

// Drain ends idle connections once their last response is sent, and the others after their stream, which
// says Connection: close.
func (srv *Server) Drain() {
	srv.draining = true
	for c := srv.connections; c != nil; {
		next := c.next
		c.retire()
		c = next
	}
}

// Leave does what Drain does to the connections whose local address is not
// among those that the listener keeps.
func (srv *Server) Leave(keeps func(local netip.AddrPort) bool) {
	for c := srv.connections; c != nil; {
		next := c.next
		if !keeps(c.local.unpack()) {
			c.leaving = true
			c.retire()
		}
		c = next
	}
}

// Close ends every connection at once; streams fail with LocalReset.
func (srv *Server) Close() {
	srv.draining = true
	for c := srv.connections; c != nil; {
		next := c.next
		if c.phase == phaseStream {
			c.st.Abort(&stream.Error{Side: stream.Local, Phase: stream.PhaseResponseBody, Flag: stream.LocalReset, Cause: errDrained})
		} else {
			if c.phase == phaseIdle {
				c.Part()
			}
			c.closeNow()
		}
		c = next
	}
}

// Connection is what the admin API shows of one connection.
type Connection struct {
	Remote, Local netip.AddrPort
	Requests      uint32
	Busy          bool
}

// Each calls f for every connection.
func (srv *Server) Each(f func(Connection)) {
	for c := srv.connections; c != nil; c = c.next {
		f(Connection{c.remote.unpack(), c.local.unpack(), c.served, c.phase == phaseStream})
	}
}

// address is a netip.AddrPort without its pointer, at two thirds of its size.
type address struct {
	ip   [16]byte
	port uint16
	v4   bool
}

func packAddr(a netip.AddrPort) address {
	return address{a.Addr().As16(), a.Port(), a.Addr().Is4() || a.Addr().Is4In6()}
}

func (a *address) unpack() netip.AddrPort {
	ip := netip.AddrFrom16(a.ip)
	if a.v4 {
		ip = ip.Unmap()
	}
	return netip.AddrPortFrom(ip, a.port)
}
