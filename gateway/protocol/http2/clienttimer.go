package http2

import (
	"errors"
	"io"
	"time"

	"longmen/gateway/worker"
)

// clientTimer is a Client's timer.
type clientTimer Client

var errEndpointSilent = errors.New("the endpoint did not answer a PING")

// Expire does what is due.
func (t *clientTimer) Expire(*worker.Timer) {
	c := (*Client)(t)
	now := c.Loop().Now()
	switch {
	case c.over != nil:
		return
	case c.closing:
		c.ended(io.ErrShortWrite)
		return
	case c.live == 0:
		c.enc.Shed()
		c.Rest()
		return
	case c.cfg.PingInterval <= 0:
		return
	}
	timeout := or(c.cfg.PingTimeout, 15*time.Second)
	if c.pinged != 0 && c.active > c.pinged {
		c.pinged = 0 // anything it sends is a sign of life
	}
	switch {
	case c.pinged != 0 && time.Duration(now-c.pinged) >= timeout:
		if c.cfg.Stats != nil {
			c.cfg.Stats.PingTimeouts.Inc()
		}
		c.ended(errEndpointSilent)
		return
	case c.pinged != 0:
		c.Loop().Arm(&c.timer, min(c.cfg.PingInterval, timeout-time.Duration(now-c.pinged))) // it may answer before
		return
	}
	left := c.cfg.PingInterval - time.Duration(now-c.active)
	if left <= 0 {
		c.pinged = now
		c.Commit(appendPing(c.Reserve(headerLen+8), false, pingKeepalive))
		left = min(timeout, c.cfg.PingInterval)
	}
	c.Loop().Arm(&c.timer, left)
}
