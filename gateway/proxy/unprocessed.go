package proxy

import (
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// maxResends is how often a request that endpoints said they did not process is
// sent again without an attempt being counted.
const maxResends = 3

// unprocessed reports whether the endpoint surely did not process the request
// (RFC 9113 section 8.7): it refused the stream, or closed the connection for new
// ones while the request was on its way.
func (x *exchange) unprocessed(e *stream.Error) bool {
	return e != nil && !e.Sent && e.Side == stream.Upstream && e.Flag != stream.UpstreamProtocolError &&
		x.conn != nil && x.conn.Shared() && x.conn.Cancelled() == nil && !x.spent && x.resends < maxResends
}

// resend gives up a try that was not processed, for another one: on another
// connection where it was the connection that ended, else at another endpoint if
// there is one.
func (x *exchange) resend(co *worker.Coroutine) {
	ending := x.conn.Ending()
	x.drop(co, 0)
	x.resends++
	if ending || !x.cluster.HasOther(x.want(), x.tried) {
		x.tried = x.tried[:0]
	}
}
