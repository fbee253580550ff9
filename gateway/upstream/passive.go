package upstream

import (
	"errors"

	"golang.org/x/sys/unix"

	"longmen/gateway/cluster/outlier"
)

// Monitor is where the outcome of the try is to be reported; nil: nobody wants to know it.
func (c *Conn) Monitor() *outlier.Monitor { return c.pool.watcher() }

// watcher is the worker's Monitor of the endpoint.
func (p *pool) watcher() *outlier.Monitor {
	d := p.cluster.shared.Outliers()
	if !p.monitor.Of(d) {
		p.monitor = nil
		if d != nil {
			p.monitor = d.Monitor(p.endpoint.Outlier())
		}
	}
	return p.monitor
}

// unreachable tells those who judge the endpoint that a connection to it could not
// be made, unless the reason is on our side.
func (p *pool) unreachable(cause error) {
	now := p.cluster.worker.loop.Wall()
	if ours(cause) {
		p.endpoint.ReportConnectFailure(now)
		return
	}
	p.noConnection()
	p.cluster.shared.ConnectFailed(p.endpoint, now)
	p.watcher().ConnectFailed(refused(cause))
}

// refused reports whether there was nobody to connect to, or no way there.
func refused(err error) bool {
	return is(err, unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENETDOWN)
}

// ours reports whether a connection failed for want of something that the gateway's machine
// is to have, which says nothing of the endpoint.
func ours(err error) bool {
	return is(err, unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EADDRNOTAVAIL, unix.EADDRINUSE, unix.EPERM, unix.EACCES)
}

func is(err error, numbers ...unix.Errno) bool {
	for _, number := range numbers {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}
