package server

import (
	"errors"

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
// a full handshake as in one that resumes a session.
func (s *Settings) judge(h *Handshake, chain [][]byte) error {
	peer, err := s.Clients.Verify(chain, "", h.Now)
	if err != nil {
		if e, ok := errors.AsType[*verify.Error](err); ok {
			return &handshake.Error{Alert: handshake.Alert(e.Alert()), Cause: err}
		}
		return err
	}
	h.peer = peer
	return nil
}

// judgeSM is judge for the handshakes of SM.
func (s *Settings) judgeSM(h *Handshake) func([]*smx509.Certificate) error {
	return func(list []*smx509.Certificate) error {
		chain := make([][]byte, len(list))
		for i, c := range list {
			chain[i] = c.Raw
		}
		return s.judge(h, chain)
	}
}
