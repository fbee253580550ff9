package server

import (
	"crypto/tls"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/std"
	"longmen/tls/tls13"
	"longmen/tls/verify"
)

// earlyProtocols are the application protocols with which early data is accepted: those whose
// codec tells requests that came in it (RFC 8470), and clients that name none, who speak HTTP/1.1.
var earlyProtocols = []string{"h2", "http/1.1", ""}

// early reports whether clients may send early data. crypto/tls knows that in QUIC alone: it runs
// the handshakes of those who come for the first time, and those who come back with early data, or
// with a ticket for it, are served by our own.
func (s *Settings) early() bool {
	return s.EarlyData != nil && s.MaxVersion >= tls.VersionTLS13 && s.clientMode() == verify.None
}

// returning runs the handshake of a client that comes back; nil, nil is one that does not.
func (s *Settings) returning(h *Handshake, own *tls.Certificate) (*handshake.Result, error) {
	config := s.earlyConfig(h, own)
	if !tls13.Returning(config, h.Hello.Message) {
		return nil, nil
	}
	result, err := tls13.ServerStandard(h.Conn, config)
	if err != nil {
		return nil, err
	}
	result.ServerName = h.Hello.ServerName
	return result, nil
}

// ticket makes the ticket of a client whose handshake crypto/tls runs.
func (s *Settings) ticket(h *Handshake, own *tls.Certificate) func(std.Session) (message, ticket []byte, err error) {
	return func(session std.Session) (message, ticket []byte, err error) {
		return tls13.NewTicket(s.earlyConfig(h, own), tls13.Resumption(session))
	}
}

func (s *Settings) earlyConfig(h *Handshake, own *tls.Certificate) *tls13.ServerConfig {
	config := &tls13.ServerConfig{
		Certificate: own,
		Protocols:   s.ALPN,
		Groups:      s.Groups,
		Time:        func() time.Time { return h.Now },
		KeyLog:      h.KeyLog,
	}
	if s.Tickets != nil {
		config.Tickets = s.Tickets
	}
	if h.Replays != nil {
		config.EarlyData = &tls13.EarlyData{Most: s.EarlyData.Most, Protocols: earlyProtocols, Once: h.Replays, Remember: s.EarlyData.Remember}
	}
	return config
}
