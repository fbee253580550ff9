package upstream

import (
	"errors"
	"fmt"
	"net/netip"

	"longmen/gateway/cluster"
	"longmen/gateway/connection"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/tls/client"
	"longmen/tls/handshake"
)

// secure runs the TLS handshake on a connection that was made just now.
func (d *dial) secure(remote netip.AddrPort) error {
	result, err := d.security.Run(&client.Handshake{
		Conn: &connection.Wire{Conn: &d.Conn, Wait: d.wait, Remote: remote},
		Name: d.name, Now: d.Loop().Wall(), ALPN: d.alpn, Await: d.co.Await,
	})
	if d.failed != nil { // meanwhile
		err = d.failed
	}
	stats := &d.pool.cluster.Stats.TLS
	if err != nil {
		d.Flush() // the alert, before the connection is closed
		stats.Failures[failure(err)].Inc()
		if e, ok := err.(*stream.Error); ok {
			return e // aborted, or out of time
		}
		return fmt.Errorf("TLS: %w", err)
	}
	stats.Handshakes[metrics.TLSVersionOf(result.Version, result.Suite)].Inc()
	if result.Resumed {
		stats.Resumed.Inc()
	}
	d.Secure(result.Session)
	result.Session, result.PeerChain, result.OCSPStaple = nil, nil, nil // the connection's; nobody's: Peer has the chain
	d.agreed = result
	if d.only2 && result.Protocol != "h2" {
		return errNotHTTP2
	}
	return nil
}

// http1ALPN are the application protocols to offer for a connection that does not
// speak HTTP/2, for the stream alone.
func (c *Cluster) http1ALPN(s *stream.Stream) []string {
	switch {
	case c.config.TLS == nil:
		return nil
	case c.config.Protocol == cluster.HTTP1:
		return c.config.TLS.ALPN
	case s.Request.WantsTunnel():
		return nil // what goes through it says what it is
	}
	return []string{"http/1.1"}
}

// failure is what a failed handshake counts as.
func failure(err error) metrics.UpstreamTLSFailure {
	e, ok := errors.AsType[*handshake.Error](err)
	switch {
	case !ok:
		return metrics.UpstreamTLSClosed
	case e.Received:
		return metrics.UpstreamTLSAlert
	}
	return metrics.UpstreamTLSRefused
}

// serverName is the name that an endpoint's server is asked for by.
func serverName(config *client.Config, p *pool, s *stream.Stream) string {
	if config == nil {
		return ""
	}
	e := p.endpoint
	return config.NameFor(e.Hostname(), e.Address().Addr(), s.Request.Host)
}
