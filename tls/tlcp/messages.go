package tlcp

import (
	"golang.org/x/crypto/cryptobyte"

	"longmen/tls/handshake"
)

const (
	maxCertificates = 10 // of one side, both leaves included
	maxSignature    = 80 // bytes; an SM2 signature in DER has at most 72
	maxCiphertext   = 512
	pointLen        = 65 // an uncompressed point of SM2's curve
	ecdsaSign       = 64 // the ClientCertificateType of SM2 (GB/T 38636 §6.4.5.5)
)

// marshalCertificates is a Certificate message: the signing leaf, the encryption leaf, then
// what leads to the root (GB/T 38636 §6.4.5.3). No certificate at all is a client's "none".
func marshalCertificates(chain [][]byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	message(b, handshake.Certificate, func(b *cryptobyte.Builder) {
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, der := range chain {
				b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(der) })
			}
		})
	})
	return b.Bytes()
}

// parseCertificates gives the DER of each certificate, as parts of body.
func parseCertificates(body []byte) (chain [][]byte, err error) {
	s := cryptobyte.String(body)
	var list cryptobyte.String
	if !s.ReadUint24LengthPrefixed(&list) || !s.Empty() {
		return nil, decodeError("Certificate")
	}
	for !list.Empty() {
		var der cryptobyte.String
		if !list.ReadUint24LengthPrefixed(&der) || der.Empty() {
			return nil, decodeError("Certificate")
		}
		if len(chain) == maxCertificates {
			return nil, handshake.Errorf(handshake.BadCertificate, "more than %d certificates", maxCertificates)
		}
		chain = append(chain, der)
	}
	return chain, nil
}

// certificateRequest names the authorities whose certificates the server takes, any if
// there are none (GB/T 38636 §6.4.5.5).
type certificateRequest struct {
	types       []byte
	authorities [][]byte // distinguished names in DER
}

func (r *certificateRequest) marshal() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	message(b, handshake.CertificateRequest, func(b *cryptobyte.Builder) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(r.types) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, name := range r.authorities {
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(name) })
			}
		})
	})
	return b.Bytes()
}

func parseCertificateRequest(body []byte) (*certificateRequest, error) {
	s := cryptobyte.String(body)
	r := new(certificateRequest)
	var types, names cryptobyte.String
	if !s.ReadUint8LengthPrefixed(&types) || types.Empty() || !s.ReadUint16LengthPrefixed(&names) || !s.Empty() {
		return nil, decodeError("CertificateRequest")
	}
	r.types = types
	for !names.Empty() {
		var name cryptobyte.String
		if !names.ReadUint16LengthPrefixed(&name) || name.Empty() {
			return nil, decodeError("CertificateRequest")
		}
		r.authorities = append(r.authorities, name)
	}
	return r, nil
}

// marshalVector is a message whose body is one opaque<1..2^16-1>: ECC's ServerKeyExchange
// and ClientKeyExchange, and CertificateVerify.
func marshalVector(typ handshake.MessageType, data []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	message(b, typ, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(data) })
	})
	return b.Bytes()
}

// parseVector reads such a body of at most limit bytes.
func parseVector(body []byte, limit int, in string) ([]byte, error) {
	s := cryptobyte.String(body)
	var data cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&data) || !s.Empty() || data.Empty() || len(data) > limit {
		return nil, decodeError(in)
	}
	return data, nil
}

// agreementParams are the ServerECDHEParams or ClientECDHEParams of an ephemeral point
// (GB/T 38636 §6.4.5.4, RFC 8422 §5.4).
func agreementParams(point []byte) []byte {
	params := []byte{3 /* named_curve */, 0, curveSM2, byte(len(point))}
	return append(params, point...)
}

// readAgreementParams gives the point of such parameters and their bytes. The standard
// tells both sides to pass over the curve.
func readAgreementParams(s *cryptobyte.String) (params, point []byte, ok bool) {
	all := *s
	var data cryptobyte.String
	if !s.Skip(3) || !s.ReadUint8LengthPrefixed(&data) || len(data) != pointLen {
		return nil, nil, false
	}
	return all[:len(all)-len(*s)], data, true
}

func marshalServerAgreement(params, signature []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	message(b, handshake.ServerKeyExchange, func(b *cryptobyte.Builder) {
		b.AddBytes(params)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(signature) })
	})
	return b.Bytes()
}

func parseServerAgreement(body []byte) (params, point, signature []byte, err error) {
	s := cryptobyte.String(body)
	params, point, ok := readAgreementParams(&s)
	var data cryptobyte.String
	if !ok || !s.ReadUint16LengthPrefixed(&data) || !s.Empty() || data.Empty() || len(data) > maxSignature {
		return nil, nil, nil, decodeError("ServerKeyExchange")
	}
	return params, point, data, nil
}

// marshalClientAgreement leaves out the length that the standard's presentation language
// puts before the parameters: the implementations in the field do so.
func marshalClientAgreement(params []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	message(b, handshake.ClientKeyExchange, func(b *cryptobyte.Builder) { b.AddBytes(params) })
	return b.Bytes()
}

// parseClientAgreement takes the parameters with that length and without.
func parseClientAgreement(body []byte) (point []byte, err error) {
	s := cryptobyte.String(body)
	const paramsLen = 4 + pointLen
	if len(body) == 2+paramsLen {
		var inner cryptobyte.String
		if !s.ReadUint16LengthPrefixed(&inner) || !s.Empty() {
			return nil, decodeError("ClientKeyExchange")
		}
		s = inner
	}
	_, point, ok := readAgreementParams(&s)
	if !ok || !s.Empty() {
		return nil, decodeError("ClientKeyExchange")
	}
	return point, nil
}
