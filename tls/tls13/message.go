package tls13

import (
	"slices"

	"longmen/tls/handshake"

	"golang.org/x/crypto/cryptobyte"
)

// Types of extensions (RFC 8446 §4.2).
const (
	extServerName              = 0
	extStatusRequest           = 5
	extSupportedGroups         = 10
	extSignatureAlgorithms     = 13
	extALPN                    = 16
	extPreSharedKey            = 41
	extEarlyData               = 42
	extSupportedVersions       = 43
	extCookie                  = 44
	extPSKModes                = 45
	extCertificateAuthorities  = 47
	extSignatureAlgorithmsCert = 50
	extKeyShare                = 51
)

// maxExtensions bounds the extensions of one block, and so the work of looking for doubles.
const maxExtensions = 128

// malformed is the error of a message that cannot be parsed.
func malformed(what string) error {
	return handshake.Errorf(handshake.DecodeError, "malformed %s", what)
}

// illegal is the error of a message that can be parsed and must not be.
func illegal(what string) error {
	return handshake.Errorf(handshake.IllegalParameter, "%s", what)
}

// bodyOf gives what follows the header of a message that has to be of type typ.
func bodyOf(message []byte, typ handshake.MessageType, name string) (cryptobyte.String, error) {
	s := cryptobyte.String(message)
	var got uint8
	var body cryptobyte.String
	if !s.ReadUint8(&got) || !s.ReadUint24LengthPrefixed(&body) || !s.Empty() {
		return nil, malformed(name)
	}
	if handshake.MessageType(got) != typ {
		return nil, handshake.Errorf(handshake.UnexpectedMessage, "message of type %d in the place of %s", got, name)
	}
	return body, nil
}

// newMessage writes a message; its body fills in what follows the header.
func newMessage(typ handshake.MessageType, body func(*cryptobyte.Builder)) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddUint8(uint8(typ))
	b.AddUint24LengthPrefixed(body)
	message, err := b.Bytes()
	if err != nil {
		return nil, handshake.Errorf(handshake.InternalError, "a message of type %d: %w", typ, err)
	}
	return message, nil
}

// readExtensions gives each extension of a block to each, in order. A second one of a type is
// illegal (RFC 8446 §4.2).
func readExtensions(s *cryptobyte.String, name string, each func(typ uint16, data cryptobyte.String) error) error {
	var block cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&block) {
		return malformed(name)
	}
	var seen []uint16
	for !block.Empty() {
		var typ uint16
		var data cryptobyte.String
		if !block.ReadUint16(&typ) || !block.ReadUint16LengthPrefixed(&data) || len(seen) == maxExtensions {
			return malformed(name)
		}
		if slices.Contains(seen, typ) {
			return illegal("an extension is twice in the " + name)
		}
		seen = append(seen, typ)
		if err := each(typ, data); err != nil {
			return err
		}
	}
	return nil
}

// addExtension writes one extension.
func addExtension(b *cryptobyte.Builder, typ uint16, data func(*cryptobyte.Builder)) {
	b.AddUint16(typ)
	b.AddUint16LengthPrefixed(data)
}

// readUint16s reads a list of at least one 16-bit value, which is all that is left of s.
func readUint16s(s cryptobyte.String, list cryptobyte.String, ok bool) ([]uint16, bool) {
	if !ok || !s.Empty() || list.Empty() || len(list)%2 != 0 {
		return nil, false
	}
	values := make([]uint16, 0, len(list)/2)
	for !list.Empty() {
		var v uint16
		list.ReadUint16(&v)
		values = append(values, v)
	}
	return values, true
}

// readList16 is readUint16s of a list with a length of two bytes.
func readList16(s cryptobyte.String) ([]uint16, bool) {
	var list cryptobyte.String
	ok := s.ReadUint16LengthPrefixed(&list)
	return readUint16s(s, list, ok)
}

// readList8 is readUint16s of a list with a length of one byte.
func readList8(s cryptobyte.String) ([]uint16, bool) {
	var list cryptobyte.String
	ok := s.ReadUint8LengthPrefixed(&list)
	return readUint16s(s, list, ok)
}

func addUint16s(b *cryptobyte.Builder, values []uint16) {
	for _, v := range values {
		b.AddUint16(v)
	}
}

// readBytes reads a vector with a length of two bytes, which is all that is left of s and
// at least one byte.
func readBytes(s cryptobyte.String) ([]byte, bool) {
	var vector cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&vector) || !s.Empty() || vector.Empty() {
		return nil, false
	}
	return vector, true
}
