package http2

import (
	"bytes"
	"errors"
	"time"

	"longmen/gateway/connection"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// ClientConfig is how connections to endpoints are used. It is immutable, and
// settings are those of a connection's beginning. Zero means the default where one is named.
type ClientConfig struct {
	// Shared is that of the loop on which the connections are.
	Shared *Worker

	MaxStreams      int // at once on one connection, if the endpoint allows as many; default 100
	StreamWindow    int // bytes, of a stream, initial; default 64 KB - 1
	ConnWindow      int // of the connection, initial; default the same
	MaxStreamWindow int // that a stream's may grow to
	MaxConnWindow   int
	HeaderTable     int // bytes of the HPACK table that the endpoint may use
	MaxHead         int // bytes of a field section (RFC 9113 section 10.5.1); default 64 KB
	MaxFields       int // fields of one; default 256

	PingInterval time.Duration // of silence while streams are open, before a PING; 0: none
	PingTimeout  time.Duration // for its answer; default 15 s

	Control       Rate // of frames that carry nothing; default 20000 at once, 10000 a second
	Continuations int  // CONTINUATION frames of one header block; default 64

	// Stats counts frames; may be nil.
	Stats *metrics.UpstreamHTTP2Stats
}

func (cfg *ClientConfig) rules() rules {
	r := rules{
		Control: cfg.Control, Continuations: or(cfg.Continuations, 64),
		Header:       headerLimit(or(cfg.MaxHead, 64<<10), or(cfg.MaxFields, 256)),
		StreamWindow: or(cfg.StreamWindow, defaultWindow), ConnWindow: or(cfg.ConnWindow, defaultWindow),
		MaxStream: cfg.MaxStreamWindow, MaxConn: cfg.MaxConnWindow,
	}
	if r.Control.Burst == 0 {
		r.Control = Rate{Burst: 20_000, PerSecond: 10_000}
	}
	// Streams that are broken off need no bound: each costs one of our requests.
	return r
}

func or[T int | time.Duration](n, fallback T) T {
	if n == 0 {
		return fallback
	}
	return n
}

// ClientOwner holds a Client.
type ClientOwner interface {
	// ClientChanged tells that, by what the endpoint or the network did, there may be
	// room for another number of streams, that the endpoint sends no more answers to new
	// ones (Draining), or that the connection ended (Err). What the owner itself
	// does (Attach, Detach, Drain, Close) it is not told of, but for the end of
	// a connection that drained. It may do all of these in here.
	ClientChanged(c *Client)
}

// Client is a connection to an endpoint that carries many streams. Its methods
// must be called on its loop.
type Client struct {
	conn
	owner ClientOwner
	cfg   *ClientConfig
	timer worker.Timer

	over    error           // why it is of no more use
	said    *ConnError      // of the endpoint's GOAWAY, when that was no orderly one
	gone    bool            // the endpoint takes no new streams
	retired bool            // nor do we open any
	closing bool            // the last bytes go out
	live    int             // attached streams
	woken   []*ClientStream // whose readers are to be woken
	holding []*ClientStream // that wait for the endpoint's settings
	changed bool            // the owner is to be told
	posted  bool            // deliver is under way
	since   int64           // loop time when the last stream ended, or the closing began
}

const (
	// closeAfter bounds how long the last bytes of a connection take.
	closeAfter = time.Second
	// unsettledStreams bounds the streams before the endpoint's settings came.
	unsettledStreams = 100
	// hangUpReads bounds the looks at what an endpoint that is gone has sent.
	hangUpReads = 64
)

var (
	errEndpointClosed = errors.New("the endpoint closed the connection")
	errConnectionGone = errors.New("the connection takes no new streams")
	errIDsUsedUp      = errors.New("the connection's stream ids are used up")
	errSpeaksHTTP1    = &ConnError{Code: CodeProtocol, Text: "the endpoint answered in HTTP/1"}
	errSpeaksOther    = &ConnError{Code: CodeProtocol, Text: "the endpoint's answer is not HTTP/2"}

	httpOne = []byte("HTTP/1.")
)

// Take starts HTTP/2 on a connection that was made, over TLS with its handshake
// done; from is closed but for the socket. The preface and our settings go out,
// and streams may be attached at once.
func (c *Client) Take(from *connection.Conn, cfg *ClientConfig, owner ClientOwner) {
	c.owner, c.cfg = owner, cfg
	c.Conn.Take(from, c)
	c.timer.Init((*clientTimer)(c))
	r := cfg.rules()
	c.open(cfg.Shared, c, r, true)
	c.flows.next = 1
	table := uint32(or(cfg.HeaderTable, defaultHeaderTable))
	c.dec.Init(table)
	out := append(c.Reserve(len(preface)+128), preface...)
	at := len(out)
	out = appendFrame(out, 0, frameSettings, 0, 0)
	out = appendSetting(out, settingEnablePush, 0)
	if table != defaultHeaderTable {
		out = appendSetting(out, settingHeaderTable, table)
	}
	if r.StreamWindow != defaultWindow {
		out = appendSetting(out, settingInitialWindow, uint32(r.StreamWindow))
	}
	out = appendSetting(out, settingMaxHeaderList, uint32(r.Header.Size))
	putFrame(out[at:], len(out)-at-headerLen, frameSettings, 0, 0)
	if n := r.ConnWindow - defaultWindow; n > 0 {
		out = appendWindowUpdate(out, 0, n)
	}
	c.Commit(out)
	c.since = c.Loop().Now()
	if c.Buffered() > 0 || c.MayRead() {
		c.Loop().Post(c.goOn)
	}
}

// Room is how many streams may be attached now.
func (c *Client) Room() int {
	if c.over != nil || c.gone || c.retired || c.Pending() > stopReading {
		return 0
	}
	most := c.peer.maxStreams
	if !c.peer.seen {
		most = unsettledStreams
	}
	most = min(most, uint32(or(c.cfg.MaxStreams, 100)), (maxID-c.flows.next)/2)
	return max(int(most)-c.live, 0)
}

// Streams is how many streams are attached.
func (c *Client) Streams() int { return c.live }

// Served is how many streams were opened.
func (c *Client) Served() int { return int(c.flows.next / 2) }

// Draining reports whether no new streams can be opened although the connection
// is in use: the endpoint said GOAWAY, Drain was called, or the stream ids are
// used up. It ends after its last stream.
func (c *Client) Draining() bool { return c.gone || c.retired || c.flows.next > maxID-2 }

// Extended reports whether the endpoint takes extended CONNECT (RFC 8441). It is
// known when its settings came: Settled.
func (c *Client) Extended() bool { return c.peer.connectProtocol }

// Settled reports whether the endpoint's settings came.
func (c *Client) Settled() bool { return c.peer.seen }

// Err is why the connection is of no more use, nil while it is in use.
func (c *Client) Err() error { return c.over }

// Attach gives s a place of Room. Detach gives it back.
func (c *Client) Attach(s *stream.Stream) *ClientStream {
	w := c.worker
	var cs *ClientStream
	if n := len(w.clients); n > 0 {
		cs = w.clients[n-1]
		w.clients = w.clients[:n-1]
	} else {
		cs = new(ClientStream)
	}
	cs.client, cs.s = c, s
	if c.live++; c.live == 1 {
		c.active = c.Loop().Now()
		if d := c.cfg.PingInterval; d > 0 {
			c.Loop().ArmBy(&c.timer, d)
		}
	}
	return cs
}

// Drain opens no more streams: the connection ends after those there are.
func (c *Client) Drain() {
	c.retired = true
	c.finish()
}

// Close ends the connection at once; its streams fail. The owner is not told.
func (c *Client) Close() {
	if c.over == nil {
		c.end(connection.ErrClosed)
	}
	c.changed = false
	c.shut()
}

// finish ends a connection that drained.
func (c *Client) finish() {
	if c.live > 0 || c.closing || c.over != nil || !c.Draining() {
		return
	}
	c.closing = true
	c.since = c.Loop().Now()
	c.Commit(appendGoAway(c.Reserve(headerLen+8), 0, CodeNo, ""))
	c.Loop().Arm(&c.timer, closeAfter)
	c.CloseAfterWrite()
}

// ended is told that the connection is of no more use.
func (c *Client) ended(err error) {
	if c.over != nil {
		return
	}
	if err == errPeerClosed {
		err = errEndpointClosed
	}
	switch {
	case c.said != nil:
		err = c.said
	case !c.peer.seen && bytes.HasPrefix(c.Bytes(), httpOne):
		err = errSpeaksHTTP1
	case !c.peer.seen && len(c.Bytes()) >= headerLen && parseFrame(c.Bytes()).typ != frameSettings:
		err = errSpeaksOther
	}
	c.end(err)
	c.changed = true
	c.shut()
	c.deliverLater()
}

// end lets every stream fail that is not complete.
func (c *Client) end(err error) {
	c.over = err
	if c.failed == nil {
		c.failed = broke(CodeNo, "the connection is over")
	}
	flag := stream.UpstreamConnectionEnd
	if e, ok := err.(*ConnError); ok && !e.Remote {
		flag = stream.UpstreamProtocolError
	}
	c.flows.each(func(f *flow) {
		cs := f.user.(*ClientStream)
		if !f.gotEnd {
			cs.fail(cs.failure(flag, true, c.over))
		}
		cs.mayWrite()
	})
	c.failHolding()
}

// shut closes the socket and gives up what the connection holds.
func (c *Client) shut() {
	c.Loop().Drop(&c.timer)
	if c.IsOpen() {
		c.Flush()
		c.Part()
	}
	c.release()
}

// ConnReady is told of events by the connection.
func (c *Client) ConnReady(ev worker.Events) {
	switch {
	case c.over != nil:
	case !c.IsOpen():
		c.ended(connection.ErrClosed) // it drained, and the last bytes are out
	case c.closing:
		if err := c.Conn.Err(); err != nil {
			c.ended(err)
		}
	default:
		if ev&worker.HangUp != 0 && c.Conn.Err() == nil {
			for range hangUpReads {
				if c.over == nil && c.MayRead() {
					c.resting = false
					c.read()
				}
			}
			c.ended(errEndpointClosed)
			return
		}
		c.ready(ev)
	}
}

// goOn takes what was left, or there from the beginning.
func (c *Client) goOn() {
	if c.over == nil && !c.closing {
		c.ready(0)
	}
}

// started wakes who waits for what was read.
func (c *Client) started() { c.deliver() }

// wake lets who reads a stream look again, when all that was read is taken.
func (c *Client) wake(cs *ClientStream) {
	if cs.reader == nil || cs.woken {
		return
	}
	cs.woken = true
	c.woken = append(c.woken, cs)
	if !c.reading {
		c.deliverLater()
	}
}

func (c *Client) deliverLater() {
	if !c.posted {
		c.posted = true
		c.Loop().Post(c.deliver)
	}
}

// deliver wakes the streams that have news, and tells the owner.
func (c *Client) deliver() {
	c.posted = false
	done := 0
	defer func() {
		if done < len(c.woken) { // a panic, which ends one stream: the others go on
			c.woken = append(c.woken[:0], c.woken[done:]...)
			c.deliverLater()
			return
		}
		c.woken = c.woken[:0]
	}()
	for done < len(c.woken) {
		cs := c.woken[done]
		c.woken[done] = nil
		done++
		cs.woken = false
		if cs.client != c || cs.reader == nil {
			continue
		}
		if co, ok := cs.reader.(*worker.Coroutine); ok && c.reading {
			co.Resume()
		} else {
			cs.reader.Wake()
		}
	}
	if c.changed {
		c.changed = false
		c.owner.ClientChanged(c)
	}
}
