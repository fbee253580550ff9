package upstream

import (
	"errors"
	"fmt"
	"net"

	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
	"longmen/tls/client"
	"longmen/tls/handshake"
)

// secure runs the TLS handshake on a connection that was made just now.
func (c *http1Conn) secure(co *worker.Coroutine, s *stream.Stream) error {
	config, address := c.pool.cluster.config.TLS, c.pool.endpoint.Address()
	name := serverName(config, c.pool, s)
	var result *handshake.Result
	err := c.client.Handshake(co, address, func(conn net.Conn) (err error) {
		result, err = config.Run(&client.Handshake{Conn: conn, Name: name, Now: s.Loop.Wall(), ALPN: config.ALPN, Await: co.Await})
		return err
	})
	stats := &c.pool.cluster.Stats.TLS
	if err != nil {
		c.client.Flush() // the alert, before the connection is closed
		stats.Failures[failure(err)].Inc()
		if e, ok := err.(*stream.Error); ok {
			return e // of the stream: aborted, or out of time
		}
		return fmt.Errorf("TLS: %w", err)
	}
	stats.Handshakes[metrics.TLSVersionOf(result.Version, result.Suite)].Inc()
	if result.Resumed {
		stats.Resumed.Inc()
	}
	c.client.Secure(result.Session)
	result.Session, result.PeerChain, result.OCSPStaple = nil, nil, nil // the connection's; nobody's: Peer has the chain
	c.security, c.name, c.agreed = config, name, result
	return nil
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
