package load

import (
	"errors"
	"time"

	"longmen/bench/epoll"
	"longmen/bench/http1"
	"longmen/bench/tlsclient"
)

type state uint8

const (
	down       state = iota // not connected, nothing to do
	connecting              // since conn.since
	shaking                 // connected, and within the TLS handshake
	free                    // connected, nothing asked
	busy                    // a request is under way since conn.since
	ending                  // answered, and the server is to close the connection
	failed                  // to be tried again a moment after conn.since
)

// conn is one place for a request. Its connection lives as long as it can, or
// with Config.New as long as one request.
type conn struct {
	index    int32
	fd       int // -1 when there is none
	state    state
	owing    bool // a request was begun here and neither answered nor failed
	answer   http1.Response
	since    time.Duration // when the state began
	due      time.Duration // when the request begun was due
	out      []byte        // what is still to be sent, before the body
	bodyLeft int64         // what is still to be sent of a long body, in bytes
	target   int           // what is asked for
	tls      *tlsclient.Conn
	sealed   []byte // the request, encrypted
}

// begin starts a request that is due now or was a while ago.
func (g *generator) begin(c *conn, due time.Duration) {
	c.due = due
	c.owing = true
	g.owed++
	c.target = g.nextHead
	g.nextHead++
	if g.nextHead == len(g.heads) {
		g.nextHead = 0
	}
	if c.fd < 0 {
		g.connect(c)
		return
	}
	g.send(c)
}

func (g *generator) connect(c *conn) {
	c.state, c.since = connecting, g.now
	source := g.sources[g.nextSource]
	g.nextSource = (g.nextSource + 1) % len(g.sources)
	fd, err := epoll.Connect(source, g.cfg.Addr)
	if err == nil {
		c.fd = fd
		err = g.poller.Add(fd, c.index)
	}
	if err != nil {
		g.fail(c, failConnect, err)
	}
}

func (g *generator) disconnect(c *conn) {
	if c.fd >= 0 {
		epoll.CloseFD(c.fd)
		c.fd = -1
	}
	c.tls = nil
	c.state = down
}

func (g *generator) send(c *conn) {
	c.out = g.heads[c.target]
	if c.tls != nil {
		c.sealed = c.tls.Seal(c.sealed[:0], c.out)
		c.out = c.sealed
	}
	if g.body != nil {
		c.bodyLeft = g.cfg.Body
	}
	c.answer.Reset(g.cfg.Method == "HEAD")
	c.state, c.since = busy, g.now
	g.push(c)
}

// push sends what the socket takes.
func (g *generator) push(c *conn) {
	for len(c.out) > 0 || c.bodyLeft > 0 {
		n, err := epoll.Write(c.fd, c.out, g.body[:min(c.bodyLeft, int64(len(g.body)))])
		if errors.Is(err, epoll.ErrAgain) {
			return
		}
		if err != nil {
			g.fail(c, failClosed, err)
			return
		}
		g.tally.out += uint64(n)
		head := min(n, len(c.out))
		c.out = c.out[head:]
		c.bodyLeft -= int64(n - head)
	}
}

// handle does what an event makes possible.
func (g *generator) handle(c *conn, ev epoll.Event) {
	switch c.state {
	case connecting:
		if err := epoll.SocketError(c.fd); err != nil {
			g.fail(c, failConnect, err)
			return
		}
		if g.tls != nil {
			g.shake(c)
			return
		}
		g.established(c)
	case shaking:
		if ev.Write {
			g.push(c)
		}
		if ev.Read && c.state == shaking {
			g.shaken(c, ev.End)
		}
	case busy:
		if ev.Write {
			g.push(c)
		}
		if ev.Read && c.state == busy {
			g.receive(c, ev.End)
		}
	case ending:
		g.awaitEnd(c)
	case free:
		if !ev.Read {
			return
		}
		// Nothing was asked, so only the end of the connection can come, and
		// before it what TLS has to say for itself.
		if g.quiet(c) {
			return
		}
		g.tally.reconnects++
		g.disconnect(c)
		g.ready.remove(c.index)
		g.connect(c)
	}
}

// established makes use of a connection.
func (g *generator) established(c *conn) {
	if c.owing {
		g.send(c)
	} else {
		g.release(c)
	}
}

// receive reads the answer. end tells that no further edge will come.
func (g *generator) receive(c *conn, end bool) {
	for {
		n, err := epoll.Read(c.fd, g.buf)
		if errors.Is(err, epoll.ErrAgain) {
			return
		}
		if err != nil {
			g.fail(c, failClosed, err)
			return
		}
		if n == 0 {
			if done, err := c.answer.End(); !done {
				g.fail(c, failClosed, err)
				return
			}
			g.complete(c)
			return
		}
		g.tally.in += uint64(n)
		done, err := g.feed(c, g.buf[:n])
		switch {
		case err != nil:
			g.fail(c, failMalformed, err)
			return
		case done:
			g.complete(c)
			return
		case n < len(g.buf) && !end:
			return
		}
	}
}

// feed gives the answer what came; done when it is complete.
func (g *generator) feed(c *conn, p []byte) (done bool, err error) {
	if c.tls != nil {
		return g.feedTLS(c, p)
	}
	used, done, err := c.answer.Feed(p)
	if err == nil && done && used < len(p) {
		err = errSurplus
	}
	return done, err
}

// complete judges an answer and makes the connection ready for the next
// request, or waits for its end.
func (g *generator) complete(c *conn) {
	now := g.clock()
	g.tally.last = now
	g.tally.status[min(c.answer.Status/100, 5)]++
	c.owing = false
	g.owed--
	switch {
	case g.cfg.Status != 0 && c.answer.Status != g.cfg.Status, g.cfg.Status == 0 && c.answer.Status >= 400:
		g.tally.failed[failStatus]++
	case g.cfg.Length >= 0 && c.answer.Size() != g.cfg.Length:
		g.tally.failed[failLength]++
	default:
		g.tally.latency.Record(now - c.due)
	}
	switch {
	case len(c.out) > 0 || c.bodyLeft > 0: // answered before all was sent
		c.out, c.bodyLeft = nil, 0
		g.again(c)
	case g.cfg.New:
		c.state, c.since = ending, now
		g.awaitEnd(c)
	case c.answer.Close:
		g.tally.reconnects++
		g.again(c)
	default:
		g.release(c)
	}
}

// awaitEnd reads up to the server's close.
func (g *generator) awaitEnd(c *conn) {
	n, err := epoll.Read(c.fd, g.buf)
	if errors.Is(err, epoll.ErrAgain) {
		return
	}
	if n > 0 && c.tls != nil { // close_notify, and the end after it
		g.awaitEnd(c)
		return
	}
	if n > 0 {
		g.fail(c, failMalformed, errSurplus)
		return
	}
	g.again(c)
}

// again gives a connection up and makes its place ready for the next request.
func (g *generator) again(c *conn) {
	g.disconnect(c)
	if g.cfg.New {
		g.release(c)
		return
	}
	g.connect(c)
}

// fail counts a failure and tries the place again a
// moment later: a server that refuses must not be hammered.
func (g *generator) fail(c *conn, kind failure, err error) {
	g.tally.failed[kind]++
	if g.firstErr == nil {
		g.firstErr = err
	}
	if c.owing {
		c.owing = false
		g.owed--
	}
	g.disconnect(c)
	c.out, c.bodyLeft = nil, 0
	c.state, c.since = failed, g.now
	g.retries = append(g.retries, c.index)
}
