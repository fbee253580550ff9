package upstream

import (
	"errors"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
	"longmen/tls/handshake"
)

// Conn is what one try has of an endpoint: over HTTP/1 a connection, over HTTP/2 a
// stream of one that others share.
type Conn struct {
	stream.Exchange
	h1      *http1Conn // what it is a part of; nil over HTTP/2
	h2      *http2Conn // whose stream it is; nil over HTTP/1
	pool    *pool
	account *account // of the address where it goes
	timer   worker.Timer
	agreed  *handshake.Result
	limit   metrics.UpstreamTimeout // that of AwaitHead
	counted counting                // in Endpoint.Active
	pooled  bool                    // its connection carried a stream before the present one
	begun   int64                   // loop time when the present stream got it
	sent    int64                   // and of RequestSent; 0: not yet
	told    bool                    // the balancer knows its Outcome
	// In the account's list of tries:
	earlier, later *Conn
}

var errAwaitTimeout = errors.New("the endpoint did not answer in time")

// Endpoint is where the connection goes.
func (c *Conn) Endpoint() *cluster.Endpoint { return c.pool.endpoint }

// Agreed is what the connection's TLS handshake came to; nil when it is plain.
func (c *Conn) Agreed() *handshake.Result { return c.agreed }

// Pooled reports whether the connection carried streams before: the endpoint
// may have closed it just now.
func (c *Conn) Pooled() bool { return c.pooled }

// Shared reports whether the connection carries other streams too, so that the
// endpoint may tell which of them it did not process.
func (c *Conn) Shared() bool { return c.h2 != nil }

// Ending reports whether the connection, which is shared, takes no more streams:
// another try at the same endpoint gets another one.
func (c *Conn) Ending() bool {
	return c.h2 != nil && (c.h2.client.Err() != nil || c.h2.client.Draining())
}

// Tunnel makes the connection, over which nothing was sent, a tunnel. The stream
// said that it wants one.
func (c *Conn) Tunnel() stream.Tunnel { return c.h1.client.Tunnel() }

// AwaitHead bounds the wait for the response head from now on. limit is what
// the time belongs to.
func (c *Conn) AwaitHead(d time.Duration, limit metrics.UpstreamTimeout) {
	c.limit = limit
	c.loop().Arm(&c.timer, d)
}

// HeadCame ends what AwaitHead began.
func (c *Conn) HeadCame() { c.loop().Disarm(&c.timer) }

// Release gives back what the try had, after its stream.
func (c *Conn) Release() {
	if c.sent != 0 && !c.told && c.Measured() {
		c.abandoned()
	}
	if c.h1 != nil {
		c.h1.release()
	} else {
		c.h2.release(c)
	}
}

// detach ends what the try began on the connection, and reports whether another
// one may use that.
func (c *Conn) detach() (reusable bool) {
	c.over()
	return c.Detach()
}

// Expire ends a wait for a response head.
func (c *Conn) Expire(*worker.Timer) { c.headLate() }

// headLate ends a wait for a response head.
func (c *Conn) headLate() {
	c.pool.cluster.Stats.Timeouts[c.limit].Inc()
	c.Fail(&stream.Error{Side: stream.Upstream, Phase: stream.PhaseResponseHead, Flag: stream.UpstreamTimeout, Status: 504, Sent: true, Cause: errAwaitTimeout})
}

func (c *Conn) loop() *worker.Loop { return c.pool.cluster.worker.loop }
