package http2

import (
	"net/netip"
	"time"

	"longmen/gateway/connection"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
	"longmen/tls/handshake"
)

// Config is how a listener's connections are served. It is immutable: a stream
// takes the current one when it begins. Settings and windows are those of the
// connection's beginning.
type Config struct {
	HeaderTimeout  time.Duration // until the preface, or a header block, is complete
	BodyTimeout    time.Duration // between two pieces of a request body (408)
	WriteTimeout   time.Duration // until the client takes some bytes
	IdleTimeout    time.Duration // without a stream
	StreamIdle     time.Duration // no byte of a stream in either direction; 0: none
	RequestTimeout time.Duration // until a request is received whole (408); 0: none

	MinRequestRate  int           // bytes a second of a body, on average, after RateGrace (408); 0: off
	MinResponseRate int           // likewise for what the client takes; 0: off
	RateGrace       time.Duration // default 5 s when a rate is set

	MaxRequests int // on one connection, before it is told to go; 0: no limit
	MaxHead     int // bytes of a field section (RFC 9113 section 10.5.1)
	MaxFields   int // fields of one
	MaxTarget   int // bytes of :path

	MaxStreams      int // at once, and handlers at work
	StreamWindow    int // of a stream, initial
	ConnWindow      int // of the connection, initial
	MaxStreamWindow int // that a stream's may grow to
	MaxConnWindow   int
	HeaderTable     int           // bytes of the HPACK table that clients may use
	PingInterval    time.Duration // of silence, before a PING; 0: none
	PingTimeout     time.Duration // for its answer
	Control         Rate          // of frames that carry nothing
	Resets          Rate          // of streams that the client broke off, or made us break off
	Continuations   int           // CONTINUATION frames of one header block
	ExtendedConnect bool          // RFC 8441

	// Handle answers a stream, on a coroutine; the status of an error that it
	// returns is answered by Reply. It is not used when there is Inline.
	Handle stream.Handler
	// Inline does what Handle does, without a coroutine as far as that goes.
	Inline *stream.Inline
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

func (cfg *Config) rules() rules {
	return rules{
		Control: cfg.Control, Resets: cfg.Resets, Continuations: cfg.Continuations,
		Header:       headerLimit(cfg.MaxHead, cfg.MaxFields),
		StreamWindow: cfg.StreamWindow, ConnWindow: cfg.ConnWindow,
		MaxStream: cfg.MaxStreamWindow, MaxConn: cfg.MaxConnWindow,
	}
}

// Observer hears of a server's connections.
type Observer interface {
	// ConnectionClosed is called once for each connection that Take took; remote is
	// its client.
	ConnectionClosed(remote netip.AddrPort)
}

// Server serves the connections of one listener on one worker. Its methods
// must be called on the worker's loop.
type Server struct {
	loop     *worker.Loop
	shared   *Worker
	observer Observer
	config   *Config
	draining bool
	hurry    connection.Hurry

	connections *serverConn // list of all
	hurried     *serverConn // the next of them to be held to a shorter idle timeout
	count       int
	ids         uint64
	loggedAt    int64 // loop time when the end of a connection was logged
	unlogged    int   // ends since then that were not
}

// Bounds of what pools keep.
const (
	keepStreams     = 1024
	keepConnections = 256
)

// NewServer makes a server. shared is that of l.
func NewServer(l *worker.Loop, shared *Worker, config *Config, o Observer) *Server {
	return &Server{loop: l, shared: shared, config: config, observer: o}
}

// Configure sets the configuration that streams begin with from now on.
func (srv *Server) Configure(config *Config) { srv.config = config }

// Connections is how many connections are open.
func (srv *Server) Connections() int { return srv.count }

// Take takes a connection with what was read of it, which begins with the
// client's preface: after ALPN chose h2, or by prior knowledge, for which tls is
// nil.
func (srv *Server) Take(from *connection.Conn, remote, local netip.AddrPort, tls *handshake.Result) error {
	c := srv.connection()
	c.Conn.Take(from, c)
	c.tls = tls
	c.srv, c.remote, c.local = srv, remote, local
	c.next = srv.connections
	if c.next != nil {
		c.next.prev = c
	}
	srv.connections = c
	srv.count++
	c.begin()
	return nil
}

func (srv *Server) connection() *serverConn {
	w := srv.shared
	if n := len(w.conns); n > 0 {
		c := w.conns[n-1]
		w.conns = w.conns[:n-1]
		return c
	}
	c := &serverConn{}
	c.timer.Init((*connTimer)(c))
	return c
}

// gone takes a closed connection off the list.
func (srv *Server) gone(c *serverConn) {
	if c.left { // it ends in the midst of being read, and once
		return
	}
	c.left = true
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
	srv.count--
	srv.observer.ConnectionClosed(c.remote)
	if w := srv.shared; len(w.conns) < keepConnections && !c.reading {
		c.reset()
		w.conns = append(w.conns, c)
	}
}

// logEvery is how often connections that clients broke are logged, at most.
const logEvery = int64(time.Second)

// logEnd tells of a connection that its client broke: of one a second, in a
// flood of them.
func (srv *Server) logEnd(c *serverConn, e *ConnError) {
	now := srv.loop.Now()
	if srv.loggedAt != 0 && now-srv.loggedAt < logEvery {
		srv.unlogged++
		return
	}
	srv.loop.Log.Info("HTTP/2 connection ended", "client", c.remote, "listener", c.local, "code", e.Code.String(), "error", e.Text, "unlogged_before", srv.unlogged)
	srv.loggedAt, srv.unlogged = now, 0
}

// Drain ends the connections: clients are told to go, and each connection ends
// after its streams.
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
		if !keeps(c.local) {
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
		c.end(&stream.Error{Side: stream.Local, Phase: stream.PhaseResponseBody, Flag: stream.LocalReset, Cause: errDrained})
		c = next
	}
}

// Connection is what the admin API shows of one connection.
type Connection struct {
	Remote, Local netip.AddrPort
	Requests      uint32
	Streams       int
}

// Each calls f for every connection.
func (srv *Server) Each(f func(Connection)) {
	for c := srv.connections; c != nil; c = c.next {
		f(Connection{c.remote, c.local, c.served, c.live})
	}
}
