package supervisor

import (
	"net/netip"

	"longmen/gateway/connection"
	"longmen/gateway/listener"
	"longmen/gateway/protocol/http1"
	"longmen/gateway/protocol/http2"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
	"longmen/tls/handshake"
)

// port is one listener on one worker.
type port struct {
	name      string
	limits    listener.Limits
	http1     *http1.Server
	http2     *http2.Server
	tls       *listener.Terminator // nil: never had TLS
	secure    bool                 // what is accepted goes to tls
	stats     *metrics.ListenerStats
	acceptors map[bind]*listener.Acceptor
	loop      *worker.Loop
	use       *use // what streams begin with from now on
	pressed   *pressed
}

// Serve takes an accepted socket.
func (p *port) Serve(fd int, remote, local netip.AddrPort) error {
	if p.secure {
		return p.tls.Serve(fd, remote, local)
	}
	return p.http1.Serve(fd, remote, local)
}

// Take takes a connection whose handshake is done, or a plain one from a
// listener with TLS, for which result is nil.
func (p *port) Take(c *connection.Conn, remote, local netip.AddrPort, result *handshake.Result) error {
	if result != nil && result.Protocol == "h2" {
		return p.http2.Take(c, remote, local, result)
	}
	return p.http1.Take(c, remote, local, result)
}

// Splice takes a connection that is passed through to a cluster.
func (p *port) Splice(c *connection.Conn, remote, local netip.AddrPort, name, cluster string) {
	p.http1.Splice(c, remote, local, name, cluster)
}

// connections is how many are open.
func (p *port) connections() int {
	n := p.http1.Connections() + p.http2.Connections()
	if p.tls != nil {
		n += p.tls.Connections()
	}
	return n
}

// drain ends connections as they become idle.
func (p *port) drain() {
	if p.tls != nil {
		p.tls.Drain()
	}
	p.http1.Drain()
	p.http2.Drain()
}

// keepTo drains the connections to addresses that keeps does not want.
func (p *port) keepTo(keeps func(local netip.AddrPort) bool) {
	p.http1.Leave(keeps)
	p.http2.Leave(keeps)
}

// close ends every connection at once.
func (p *port) close() {
	if p.tls != nil {
		p.tls.Close()
	}
	p.http1.Close()
	p.http2.Close()
}

// ConnectionClosed is told of by the servers.
func (p *port) ConnectionClosed(remote netip.AddrPort) {
	p.limits.Leave(remote.Addr())
	p.stats.ConnectionsActive.Dec()
}
