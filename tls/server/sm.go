package server

import (
	"time"

	"longmen/tls/certificate"
	"longmen/tls/handshake"
	"longmen/tls/tlcp"
	"longmen/tls/tls13"
	"longmen/tls/verify"
)

// serveTLCP runs the handshake of GB/T 38636.
func (s *Settings) serveTLCP(h *Handshake, c *certificate.Certificate) (*handshake.Result, error) {
	sign, err := c.SM2Key()
	if err != nil {
		return nil, h.refuse(refused(handshake.InternalError, err))
	}
	encrypt, err := c.Encryption.SM2Key()
	if err != nil {
		return nil, h.refuse(refused(handshake.InternalError, err))
	}
	config := &tlcp.ServerConfig{
		Certificate: &tlcp.Certificate{Chain: c.PairChain(), Sign: sign, Encrypt: encrypt},
		Protocols:   s.ALPN,
		Context:     s.Context,
		Time:        func() time.Time { return h.Now },
		KeyLog:      h.KeyLog,
	}
	if s.Tickets != nil {
		config.Sessions = h.Sessions
	}
	if mode := s.clientMode(); mode != verify.None {
		config.ClientAuth = tlcp.ClientAuthOffered
		if mode == verify.Require {
			config.ClientAuth = tlcp.ClientAuthRequire
		}
		config.VerifyPeer = s.judgePair(h)
	}
	return tlcp.Server(h.Conn, config)
}

// serveRFC8998 runs the handshake of TLS 1.3 with SM.
func (s *Settings) serveRFC8998(h *Handshake, c *certificate.Certificate) (*handshake.Result, error) {
	own, err := c.Standard(h.Now)
	if err != nil {
		return nil, h.refuse(refused(handshake.InternalError, err))
	}
	if s.OCSP == OCSPOff && own.OCSPStaple != nil {
		bare := *own
		bare.OCSPStaple = nil
		own = &bare
	}
	config := &tls13.ServerConfig{
		Certificate: own,
		Protocols:   s.ALPN,
		Time:        func() time.Time { return h.Now },
		KeyLog:      h.KeyLog,
	}
	if s.Tickets != nil {
		config.Tickets = s.Tickets
	}
	if mode := s.clientMode(); mode != verify.None {
		config.ClientAuth = tls13.ClientAuthOffered
		if mode == verify.Require {
			config.ClientAuth = tls13.ClientAuthRequire
		}
		config.VerifyPeer = s.judgeSM(h)
	}
	return tls13.Server(h.Conn, config)
}
