package tls13

import (
	"bytes"

	"longmen/tls/handshake"

	"github.com/emmansun/gmsm/smx509"
)

// maxAuthorities bounds the bytes of CA names that clients are told; beyond it they are told
// none, which leaves the choice to them.
const maxAuthorities = 16 << 10

func (s *server) sendCertificateRequest() error {
	if !s.full() || s.config.ClientAuth == ClientAuthNone {
		return nil
	}
	request := &certificateRequest{schemes: []uint16{s.profile.scheme}}
	if s.config.ClientCAs != nil {
		request.authorities = authorities(s.config.ClientCAs)
	}
	return s.send(request.marshal())
}

func authorities(roots *smx509.CertPool) [][]byte {
	names := roots.Subjects() //lint:ignore SA1019 what it leaves out is the system's, which these are not
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
	if !s.full() || s.config.ClientAuth == ClientAuthNone {
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
		if s.config.ClientAuth == ClientAuthRequire {
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

// acceptClient verifies a client's chain and enters it into the result. It does so in a
// resumption too: what the server trusts may have changed since.
func (s *server) acceptClient(chain [][]byte) error {
	certificates, err := parseChain(chain)
	if err != nil {
		return err
	}
	switch {
	case s.config.ClientCAs != nil:
		err := verifyChain(certificates, s.config.ClientCAs, "", smx509.ExtKeyUsageClientAuth, s.now)
		if err != nil {
			return err
		}
	case s.config.VerifyPeer == nil:
		return handshake.Errorf(handshake.UnknownCA, "there are no authorities to verify clients by")
	}
	if err := finalWord(s.config.VerifyPeer, certificates); err != nil {
		return err
	}
	s.result.PeerChain, s.result.PeerVerified = chain, s.config.ClientCAs != nil
	return nil
}
