package tls13

import (
	"longmen/tls/handshake"

	"golang.org/x/crypto/cryptobyte"
)

// maxChain bounds the certificates of one Certificate message.
const maxChain = 16

// A certificateMessage is a Certificate (RFC 8446 §4.4.2). An empty chain is a client's way of
// saying that it has none.
type certificateMessage struct {
	context []byte   // certificate_request_context, echoed by a client
	chain   [][]byte // DER, leaf first
	staple  []byte   // the leaf's OCSP response; nil if there is none
}

func parseCertificate(message []byte) (*certificateMessage, error) {
	const name = "Certificate"
	s, err := bodyOf(message, handshake.Certificate, name)
	if err != nil {
		return nil, err
	}
	c := &certificateMessage{}
	var context, list cryptobyte.String
	if !s.ReadUint8LengthPrefixed(&context) || !s.ReadUint24LengthPrefixed(&list) || !s.Empty() {
		return nil, malformed(name)
	}
	c.context = context
	for !list.Empty() {
		var der cryptobyte.String
		if !list.ReadUint24LengthPrefixed(&der) || der.Empty() {
			return nil, malformed(name)
		}
		if len(c.chain) == maxChain {
			return nil, handshake.Errorf(handshake.BadCertificate, "a chain of more than %d certificates", maxChain)
		}
		leaf := len(c.chain) == 0
		err := readExtensions(&list, name, func(typ uint16, data cryptobyte.String) error {
			if typ != extStatusRequest {
				return handshake.Errorf(handshake.UnsupportedExtension, "extension %d in Certificate", typ)
			}
			staple, ok := readStaple(data)
			if !ok {
				return malformed("OCSP response")
			}
			if leaf {
				c.staple = staple
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		c.chain = append(c.chain, der)
	}
	return c, nil
}

// readStaple reads a CertificateStatus (RFC 6066 §8).
func readStaple(data cryptobyte.String) ([]byte, bool) {
	var typ uint8
	var staple cryptobyte.String
	ok := data.ReadUint8(&typ) && typ == 1 && data.ReadUint24LengthPrefixed(&staple) && data.Empty() && !staple.Empty()
	return staple, ok
}

func (c *certificateMessage) marshal() ([]byte, error) {
	return newMessage(handshake.Certificate, func(b *cryptobyte.Builder) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(c.context) })
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
			for i, der := range c.chain {
				b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(der) })
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
					if i == 0 && len(c.staple) != 0 {
						addExtension(b, extStatusRequest, c.addStaple)
					}
				})
			}
		})
	})
}

func (c *certificateMessage) addStaple(b *cryptobyte.Builder) {
	b.AddUint8(1)
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(c.staple) })
}

// A certificateRequest is a CertificateRequest (RFC 8446 §4.3.2).
type certificateRequest struct {
	context     []byte // empty within a handshake
	schemes     []uint16
	authorities [][]byte // DER of the names that may have issued the client's certificate
}

func parseCertificateRequest(message []byte) (*certificateRequest, error) {
	const name = "CertificateRequest"
	s, err := bodyOf(message, handshake.CertificateRequest, name)
	if err != nil {
		return nil, err
	}
	r := &certificateRequest{}
	var context cryptobyte.String
	if !s.ReadUint8LengthPrefixed(&context) {
		return nil, malformed(name)
	}
	r.context = context
	err = readExtensions(&s, name, func(typ uint16, data cryptobyte.String) error {
		ok := true
		switch typ { // the ones that are not known are to be ignored here (RFC 8446 §4.3.2)
		case extSignatureAlgorithms:
			r.schemes, ok = readList16(data)
		case extCertificateAuthorities:
			r.authorities, ok = readAuthorities(data)
		}
		if !ok {
			return malformed("extension of CertificateRequest")
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case !s.Empty():
		return nil, malformed(name)
	case len(r.context) != 0:
		return nil, illegal("a CertificateRequest with a context within the handshake")
	case r.schemes == nil:
		return nil, handshake.Errorf(handshake.MissingExtension, "CertificateRequest has no signature_algorithms")
	}
	return r, nil
}

func readAuthorities(data cryptobyte.String) ([][]byte, bool) {
	var list cryptobyte.String
	if !data.ReadUint16LengthPrefixed(&list) || !data.Empty() || list.Empty() {
		return nil, false
	}
	var names [][]byte
	for !list.Empty() {
		var name cryptobyte.String
		if !list.ReadUint16LengthPrefixed(&name) || name.Empty() {
			return nil, false
		}
		names = append(names, name)
	}
	return names, true
}

func (r *certificateRequest) marshal() ([]byte, error) {
	return newMessage(handshake.CertificateRequest, func(b *cryptobyte.Builder) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(r.context) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			addExtension(b, extSignatureAlgorithms, func(b *cryptobyte.Builder) {
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { addUint16s(b, r.schemes) })
			})
			if len(r.authorities) != 0 {
				addExtension(b, extCertificateAuthorities, r.addAuthorities)
			}
		})
	})
}

func (r *certificateRequest) addAuthorities(b *cryptobyte.Builder) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, name := range r.authorities {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(name) })
		}
	})
}

// A certificateVerify is a CertificateVerify (RFC 8446 §4.4.3).
type certificateVerify struct {
	scheme    uint16
	signature []byte
}

func parseCertificateVerify(message []byte) (*certificateVerify, error) {
	const name = "CertificateVerify"
	s, err := bodyOf(message, handshake.CertificateVerify, name)
	if err != nil {
		return nil, err
	}
	v := &certificateVerify{}
	var signature cryptobyte.String
	if !s.ReadUint16(&v.scheme) || !s.ReadUint16LengthPrefixed(&signature) || !s.Empty() {
		return nil, malformed(name)
	}
	v.signature = signature
	return v, nil
}

func (v *certificateVerify) marshal() ([]byte, error) {
	return newMessage(handshake.CertificateVerify, func(b *cryptobyte.Builder) {
		b.AddUint16(v.scheme)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(v.signature) })
	})
}

// Contexts of the two sides' signatures.
const (
	serverSignature = "TLS 1.3, server CertificateVerify"
	clientSignature = "TLS 1.3, client CertificateVerify"
)

// signedContent is what a CertificateVerify signs: a context that no other protocol has, and
// the transcript up to the signer's Certificate.
func signedContent(context string, transcript []byte) []byte {
	content := make([]byte, 64, 64+len(context)+1+len(transcript))
	for i := range content {
		content[i] = ' '
	}
	content = append(content, context...)
	content = append(content, 0)
	return append(content, transcript...)
}
