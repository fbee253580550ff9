package load

import (
	"context"
	"errors"
	"fmt"
	"io"

	"longmen/bench/epoll"
)

// shake begins the TLS handshake.
func (g *generator) shake(c *conn) {
	c.tls = g.tls.Conn(g.cfg.Targets[c.target].Host)
	c.state = shaking
	g.flush(c)
}

// flush sends what the handshake has to say.
func (g *generator) flush(c *conn) {
	c.out, c.tls.Out = append(c.out, c.tls.Out...), nil
	g.push(c)
}

// shaken reads the server's part of the handshake.
func (g *generator) shaken(c *conn, end bool) {
	for {
		n, err := epoll.Read(c.fd, g.buf)
		if errors.Is(err, epoll.ErrAgain) {
			return
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			g.fail(c, failHandshake, fmt.Errorf("handshake: %w", err))
			return
		}
		g.tally.in += uint64(n)
		c.tls.Feed(g.buf[:n])
		if p, err := c.tls.Next(); err != nil || p != nil {
			if err == nil {
				err = errSurplus
			}
			g.fail(c, failHandshake, fmt.Errorf("handshake: %w", err))
			return
		}
		if len(c.tls.Out) > 0 {
			g.flush(c)
		}
		switch {
		case c.state != shaking: // push has failed
			return
		case c.tls.Done() && g.resuming && !c.tls.Resumed():
			g.fail(c, failHandshake, errors.New("the server has not taken the ticket"))
			return
		case c.tls.Done():
			// What is left of our last flight goes with the request.
			g.secured(c)
			return
		case n < len(g.buf) && !end:
			return
		}
	}
}

// secured makes use of a connection whose handshake is complete.
func (g *generator) secured(c *conn) {
	if len(c.out) > 0 {
		// The socket did not take a flight of some hundred bytes: no such
		// server is worth loading.
		g.fail(c, failHandshake, errors.New("the server does not read"))
		return
	}
	g.established(c)
}

// feedTLS decrypts what came and gives it to the answer.
func (g *generator) feedTLS(c *conn, p []byte) (done bool, err error) {
	c.tls.Feed(p)
	for {
		plain, err := c.tls.Next()
		switch {
		case errors.Is(err, io.EOF): // close_notify
			if done {
				return true, nil
			}
			return c.answer.End()
		case err != nil:
			return false, err
		case plain == nil:
			return done, nil
		case done:
			return false, errSurplus
		}
		used, whole, err := c.answer.Feed(plain)
		if err != nil {
			return false, err
		}
		if done = whole; done && used < len(plain) {
			return false, errSurplus
		}
	}
}

// quiet reads what came on a connection that waits for its next request, and
// says whether it goes on.
func (g *generator) quiet(c *conn) bool {
	for {
		n, err := epoll.Read(c.fd, g.buf)
		if errors.Is(err, epoll.ErrAgain) {
			return true
		}
		if n == 0 || err != nil || c.tls == nil {
			return false
		}
		c.tls.Feed(g.buf[:n])
		if p, err := c.tls.Next(); err != nil || p != nil {
			return false
		}
	}
}

// prime makes a first connection, for the ticket that all others resume by.
func (g *generator) prime(ctx context.Context) error {
	c := &g.conns[0]
	g.begin(c, g.clock())
	for g.owed > 0 || c.state == ending {
		if err := g.turn(ctx, scanEvery); err != nil {
			return err
		}
		if g.firstErr != nil {
			return fmt.Errorf("the connection before the resumed ones: %w", g.firstErr)
		}
	}
	if !g.tls.HasTicket() {
		return errors.New("the server gives no tickets")
	}
	g.disconnect(c)
	g.ready, g.tally = newRing(len(g.conns)), tally{}
	g.resuming = true
	return nil
}
