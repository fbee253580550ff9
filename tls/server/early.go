package server

import (
	"crypto/tls"
	"time"

	"longmen/tls/certificate"
	"longmen/tls/handshake"
	"longmen/tls/tls13"
	"longmen/tls/verify"
)

// earlyProtocols are the application protocols with which early data is accepted: those whose
// codec tells requests that came in it (RFC 8470), and clients that name none, who speak HTTP/1.1.
var earlyProtocols = []string{"http/1.1", ""}

// early reports whether a handshake is our own, since crypto/tls knows early data in QUIC alone
// and gives out no tickets for it.
func (s *Settings) early(r request) bool {
	return s.EarlyData != nil && r.tls13 && s.MaxVersion >= tls.VersionTLS13 && s.clientMode() == verify.None
}

// serveEarly runs the handshake of a client that may send early data, now or when it comes back.
func (s *Settings) serveEarly(h *Handshake, chosen *certificate.Certificate) (*handshake.Result, error) {
	own, err := s.standardCertificate(h, chosen)
	if err != nil {
		return nil, h.refuse(refused(handshake.InternalError, err))
	}
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
	result, err := tls13.ServerStandard(h.Conn, config)
	if err != nil {
		return nil, err
	}
	result.ServerName = h.Hello.ServerName
	return result, nil
}
