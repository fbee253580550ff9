package server

import (
	"crypto/tls"

	"longmen/tls/handshake"
	"longmen/tls/std"
)

// ChallengeProtocol is the application protocol of TLS-ALPN-01 (RFC 8737). A
// connection with it carries nothing, and ends after its handshake.
const ChallengeProtocol = "acme-tls/1"

// Challenges gives the certificates by which an authority sees that a name is ours
// (RFC 8737 section 3); nil where nothing is to be shown for the name.
type Challenges interface {
	// Active reports whether there can be any.
	Active() bool
	// Name does not block.
	Name(name string) *tls.Certificate
	// StoredName finds what other gateways are waiting for. It reads files.
	StoredName(name string) *tls.Certificate
}

// challenged is the certificate for a client that asks for the protocol of
// challenges and no other; nil when it does not, or for nothing that is pending:
// it is a client like any other then.
func (h *Handshake) challenged() *tls.Certificate {
	name := h.Hello.ServerName
	if h.Challenges == nil || name == "" || h.Hello.TLCP() || string(h.Hello.Protocols) != "\x0a"+ChallengeProtocol || !h.Challenges.Active() {
		return nil
	}
	made := h.Challenges.Name(name)
	if made == nil {
		err := h.Offload(h.Loading, func() error { made = h.Challenges.StoredName(name); return nil })
		if err != nil {
			return nil
		}
	}
	return made
}

// serveChallenge shows a certificate to who tries whether a name is ours.
func (h *Handshake) serveChallenge(own *tls.Certificate) (*handshake.Result, error) {
	return std.Server(h.Conn, &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{ChallengeProtocol},
		SessionTicketsDisabled: true,
	}, std.Options{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own, nil }})
}
