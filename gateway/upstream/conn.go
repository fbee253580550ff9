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

// Conn is what one try has of an endpoint: the codec's half of its request, on
// a connection that is the try's alone (HTTP/1).
type Conn struct {
	stream.Exchange
	h1      *http1Conn // what Conn is a part of
	pool    *pool
	timer   worker.Timer
	agreed  *handshake.Result
	limit   metrics.UpstreamTimeout // that of AwaitHead
	counted bool                    // in Endpoint.Active
	pooled  bool                    // its connection carried a stream before the present one
}

var errAwaitTimeout = errors.New("the endpoint did not answer in time")

// Endpoint is where the connection goes.
func (c *Conn) Endpoint() *cluster.Endpoint { return c.pool.endpoint }

// Agreed is what the connection's TLS handshake came to; nil when it is plain.
func (c *Conn) Agreed() *handshake.Result { return c.agreed }

// Pooled reports whether the connection carried streams before: the endpoint
// may have closed it just now.
func (c *Conn) Pooled() bool { return c.pooled }

// Tunnel makes the connection, over which nothing was sent for the present
// stream, a tunnel.
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
func (c *Conn) Release() { c.h1.release() }

// headLate ends a wait for a response head.
func (c *Conn) headLate() {
	c.pool.cluster.Stats.Timeouts[c.limit].Inc()
	c.Fail(&stream.Error{Side: stream.Upstream, Phase: stream.PhaseResponseHead, Flag: stream.UpstreamTimeout, Status: 504, Sent: true, Cause: errAwaitTimeout})
}

func (c *Conn) loop() *worker.Loop { return c.pool.cluster.worker.loop }
