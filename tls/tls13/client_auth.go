package tls13

import (
	"bytes"
	"slices"

	"longmen/tls/handshake"

	"github.com/emmansun/gmsm/smx509"
)

// receiveCertificate takes the server's request for a certificate, if there is one, its own
// certificate, and the proof that it has the key.
func (c *client) receiveCertificate() error {
	if c.resumed {
		return nil
	}
	message, err := c.conn.Read()
	if err != nil {
		return err
	}
	if message.Type() == handshake.CertificateRequest {
		if c.request, err = parseCertificateRequest(bytes.Clone(message)); err != nil {
			return err
		}
		c.transcript.add(message)
		if message, err = c.conn.Read(); err != nil {
			return err
		}
	}
	message = bytes.Clone(message) // the chain is part of it
	shown, err := parseCertificate(message)
	switch {
	case err != nil:
		return err
	case len(shown.context) != 0:
		return illegal("a server's Certificate with a context")
	case len(shown.chain) == 0:
		return handshake.Errorf(handshake.DecodeError, "the server has no certificate")
	}
	c.transcript.add(message)
	c.result.OCSPStaple = shown.staple
	return c.receiveCertificateVerify(shown.chain)
}

func (c *client) receiveCertificateVerify(chain [][]byte) error {
	// The chain first: what is wrong with it says more than a signature that is not checked.
	if err := c.verifyServer(chain); err != nil {
		return err
	}
	message, err := c.conn.Expect(handshake.CertificateVerify)
	if err != nil {
		return err
	}
	if err := checkProof(c.profile, message, chain, serverSignature, c.transcript.sum()); err != nil {
		return err
	}
	c.transcript.add(message)
	c.result.PeerChain, c.result.PeerVerified = chain, !c.config.Insecure
	return nil
}

func (c *client) verifyServer(chain [][]byte) error {
	certificates, err := parseChain(chain)
	if err != nil {
		return err
	}
	if !c.config.Insecure {
		err = verifyChain(certificates, c.config.Roots, c.config.verifyName(), smx509.ExtKeyUsageServerAuth, c.now)
		if err != nil {
			return err
		}
	}
	return finalWord(c.config.VerifyPeer, certificates)
}

// willProve reports whether there is a certificate to answer the server's request with.
func (c *client) willProve() bool {
	return c.request != nil && c.config.Certificate != nil && slices.Contains(c.request.schemes, c.profile.scheme)
}

func (c *client) sendCertificate() error {
	if c.request == nil {
		return nil
	}
	own := &certificateMessage{}
	if c.willProve() {
		own.chain = c.config.Certificate.Certificate
	}
	return c.send(own.marshal())
}

func (c *client) sendCertificateVerify() error {
	if !c.willProve() {
		return nil
	}
	return c.send(prove(c.profile, c.random, c.config.Certificate, clientSignature, c.transcript.sum()))
}
