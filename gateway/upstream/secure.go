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
func (d *dial) secure(config *client.Config, remote netip.AddrPort, alpn []string) error {
	result, err := config.Run(&client.Handshake{
		Conn: &connection.Wire{Conn: &d.Conn, Wait: d.wait, Remote: remote},
		Name: d.name, Now: d.Loop().Wall(), ALPN: alpn, Await: d.co.Await,
	})
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
	d.security, d.agreed = config, result
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

// fits reports whether an idle connection may carry the stream: a server that
// was asked for by another name may not be the one that is meant.
func (c *http1Conn) fits(s *stream.Stream) bool {
	config := c.pool.cluster.config.TLS
	switch {
	case config == nil || config.Name != client.NameRequest:
		return true
	case len(s.Request.Host) > 0:
		return c.name == string(s.Request.Host) // as NameFor has it, without an allocation
	}
	return c.name == serverName(config, c.pool, s)
}
