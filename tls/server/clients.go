package server

import (
	"crypto/tls"
	"errors"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/handshake"
	"longmen/tls/verify"
)

// clientMode says whether clients are asked for certificates.
func (s *Settings) clientMode() verify.Mode {
	if s.Clients == nil {
		return verify.None
	}
	return s.Clients.Mode()
}

// judge decides whether the certificates that a client showed are accepted, in
// a full handshake as in one that resumes a session. That takes signatures to be
// checked, away from the loop.
func (s *Settings) judge(h *Handshake, chain [][]byte) error {
	return s.accept(h, chain, s.Clients.Verify)
}

func (s *Settings) accept(h *Handshake, chain [][]byte, verified func([][]byte, string, time.Time) (*verify.Peer, error)) error {
	var peer *verify.Peer
	err := h.Offload(h.Verifying, func() (err error) {
		peer, err = verified(chain, "", h.Now)
		return err
	})
	if err != nil {
		if e, ok := errors.AsType[*verify.Error](err); ok {
			alert := handshake.Alert(e.Alert())
			if alert == handshake.CertificateRequired && !h.Hello.Offers(tls.VersionTLS13) {
				alert = handshake.HandshakeFailure // which versions before TLS 1.3 say
			}
			return &handshake.Error{Alert: alert, Cause: err}
		}
		return err
	}
	h.peer = peer
	return nil
}

// judgeSM is judge for RFC 8998, judgePair for TLCP.
func (s *Settings) judgeSM(h *Handshake) func([]*smx509.Certificate) error {
	return func(list []*smx509.Certificate) error { return s.accept(h, encoded(list), s.Clients.Verify) }
}

func (s *Settings) judgePair(h *Handshake) func([]*smx509.Certificate) error {
	return func(list []*smx509.Certificate) error { return s.accept(h, encoded(list), s.Clients.VerifyPair) }
}

func encoded(list []*smx509.Certificate) [][]byte {
	chain := make([][]byte, len(list))
	for i, c := range list {
		chain[i] = c.Raw
	}
	return chain
}
