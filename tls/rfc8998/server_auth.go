package rfc8998

import (
	"bytes"
	"crypto/tls"

	"longmen/tls/handshake"

	"github.com/emmansun/gmsm/smx509"
)

// maxAuthorities bounds the bytes of CA names that clients are told; beyond it they are told
// none, which leaves the choice to them.
const maxAuthorities = 16 << 10

func (s *server) sendCertificateRequest() error {
	if !s.full() || s.config.ClientAuth == tls.NoClientCert {
		return nil
	}
	request := &certificateRequest{schemes: []uint16{s.profile.scheme}}
	if s.config.ClientRoots != nil {
		request.authorities = authorities(s.config.ClientRoots)
	}
	return s.send(request.marshal())
}

func authorities(roots *smx509.CertPool) [][]byte {
	names := roots.Subjects()
	size := 0
	for _, name := range names {
		size += 2 + len(name)
	}
	if size > maxAuthorities {
		return nil
	}
	return names
}

// receiveCertificate takes the client's answer to a CertificateRequest: its chain and the
// proof that it has the key, or that it has none.
func (s *server) receiveCertificate() error {
	if !s.full() || s.config.ClientAuth == tls.NoClientCert {
		return nil
	}
	message, err := s.conn.Expect(handshake.Certificate)
	if err != nil {
		return err
	}
	message = bytes.Clone(message) // the chain is part of it
	shown, err := parseCertificate(message)
	if err != nil {
		return err
	}
	if len(shown.context) != 0 {
		return illegal("a certificate for a request that was not made")
	}
	if shown.staple != nil {
		return handshake.Errorf(handshake.UnsupportedExtension, "an OCSP response that was not asked for")
	}
	s.transcript.add(message)
	if len(shown.chain) == 0 {
		if s.config.ClientAuth == tls.RequireAnyClientCert || s.config.ClientAuth == tls.RequireAndVerifyClientCert {
			return handshake.Errorf(handshake.CertificateRequired, "the client has no certificate")
		}
		return nil
	}
	return s.receiveCertificateVerify(shown.chain)
}

func (s *server) receiveCertificateVerify(chain [][]byte) error {
	message, err := s.conn.Expect(handshake.CertificateVerify)
	if err != nil {
		return err
	}
	if err := checkProof(s.profile, message, chain, clientSignature, s.transcript.sum()); err != nil {
		return err
	}
	s.transcript.add(message)
	return s.acceptClient(chain)
}

// acceptClient verifies a client's chain, if it has to be, and enters it into the result. It
// does so in a resumption too: what the server trusts may have changed since.
func (s *server) acceptClient(chain [][]byte) error {
	if len(chain) != 0 && s.config.ClientAuth >= tls.VerifyClientCertIfGiven {
		if err := s.verifyClient(chain); err != nil {
			return err
		}
		s.result.PeerVerified = true
	}
	s.result.PeerChain = chain
	return nil
}

func (s *server) verifyClient(chain [][]byte) error {
	if s.config.VerifyClient != nil {
		return chainError(s.config.VerifyClient(chain))
	}
	return verifyChain(chain, s.config.ClientRoots, "", smx509.ExtKeyUsageClientAuth, s.now)
}
