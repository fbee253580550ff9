package tls13

import (
	"bytes"

	"longmen/tls/handshake"

	"golang.org/x/crypto/cryptobyte"
)

// A serverHello is a ServerHello, or the HelloRetryRequest that has its form (RFC 8446 §4.1.3,
// §4.1.4).
type serverHello struct {
	retry     bool
	random    []byte // not of a retry
	sessionID []byte // the client's, echoed
	suite     uint16
	version   uint16 // of supported_versions; 0 if that is absent
	group     uint16 // of key_share; 0 if absent
	share     []byte // not of a retry
	cookie    []byte // of a retry
	psk       int    // the accepted PSK's place in the client's list; -1 for none. Not of a retry
}

// retryRandom is the random by which a HelloRetryRequest is told: SHA-256 of
// "HelloRetryRequest" (RFC 8446 §4.1.3).
func retryRandom() []byte {
	return []byte{
		0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
		0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
	}
}

func parseServerHello(message []byte) (*serverHello, error) {
	const name = "ServerHello"
	s, err := bodyOf(message, handshake.ServerHello, name)
	if err != nil {
		return nil, err
	}
	h := &serverHello{psk: -1}
	var legacyVersion uint16
	var compression uint8
	var sessionID cryptobyte.String
	if !s.ReadUint16(&legacyVersion) || !s.ReadBytes(&h.random, 32) ||
		!s.ReadUint8LengthPrefixed(&sessionID) || len(sessionID) > 32 ||
		!s.ReadUint16(&h.suite) || !s.ReadUint8(&compression) {
		return nil, malformed(name)
	}
	h.sessionID = sessionID
	h.retry = bytes.Equal(h.random, retryRandom())
	if !s.Empty() { // a server of before TLS 1.2 has no extensions, and is refused by its version
		if err := readExtensions(&s, name, h.readExtension); err != nil {
			return nil, err
		}
	}
	switch {
	case !s.Empty():
		return nil, malformed(name)
	case h.version == handshake.VersionTLS13 && legacyVersion != 0x0303:
		return nil, illegal("legacy_version is not that of TLS 1.2")
	case compression != 0:
		return nil, illegal("the server chose a compression method")
	}
	return h, nil
}

func (h *serverHello) readExtension(typ uint16, data cryptobyte.String) error {
	ok := true
	switch {
	case typ == extSupportedVersions:
		ok = data.ReadUint16(&h.version) && data.Empty()
	case typ == extKeyShare && h.retry:
		ok = data.ReadUint16(&h.group) && h.group != 0 && data.Empty()
	case typ == extKeyShare:
		ok = data.ReadUint16(&h.group) && h.group != 0
		if ok {
			h.share, ok = readBytes(data)
		}
	case typ == extCookie && h.retry:
		h.cookie, ok = readBytes(data)
	case typ == extPreSharedKey && !h.retry:
		var psk uint16
		ok = data.ReadUint16(&psk) && data.Empty()
		h.psk = int(psk)
	default:
		return handshake.Errorf(handshake.UnsupportedExtension, "extension %d in ServerHello", typ)
	}
	if !ok {
		return malformed("extension of ServerHello")
	}
	return nil
}

func (h *serverHello) marshal() ([]byte, error) {
	random := h.random
	if h.retry {
		random = retryRandom()
	}
	return newMessage(handshake.ServerHello, func(b *cryptobyte.Builder) {
		b.AddUint16(0x0303)
		b.AddBytes(random)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.sessionID) })
		b.AddUint16(h.suite)
		b.AddUint8(0)
		b.AddUint16LengthPrefixed(h.addExtensions)
	})
}

func (h *serverHello) addExtensions(b *cryptobyte.Builder) {
	addExtension(b, extSupportedVersions, func(b *cryptobyte.Builder) { b.AddUint16(h.version) })
	if h.group != 0 {
		addExtension(b, extKeyShare, func(b *cryptobyte.Builder) {
			b.AddUint16(h.group)
			if !h.retry {
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.share) })
			}
		})
	}
	if h.cookie != nil {
		addExtension(b, extCookie, func(b *cryptobyte.Builder) {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.cookie) })
		})
	}
	if h.psk >= 0 && !h.retry {
		addExtension(b, extPreSharedKey, func(b *cryptobyte.Builder) { b.AddUint16(uint16(h.psk)) })
	}
}

// An encryptedExtensions is what a server answers to extensions that no key depends on
// (RFC 8446 §4.3.1).
type encryptedExtensions struct {
	protocol string // "" if ALPN was not answered
	names    bool   // server_name was heeded; of no consequence for the client

	earlyData bool // it was accepted
}

// parseEncryptedExtensions takes answers to what hello asked. An answer to what it did not ask
// is an error (RFC 8446 §4.2).
func parseEncryptedExtensions(message []byte, hello *clientHello) (*encryptedExtensions, error) {
	const name = "EncryptedExtensions"
	s, err := bodyOf(message, handshake.EncryptedExtensions, name)
	if err != nil {
		return nil, err
	}
	e := &encryptedExtensions{}
	err = readExtensions(&s, name, func(typ uint16, data cryptobyte.String) error {
		ok := true
		switch {
		case typ == extServerName && hello.serverName != "":
			e.names, ok = true, data.Empty()
		case typ == extEarlyData && hello.earlyData:
			e.earlyData, ok = true, data.Empty()
		case typ == extSupportedGroups:
			_, ok = readList16(data) // for the client's next connection; there is one group only
		case typ == extALPN && hello.protocols != nil:
			var protocols []string
			if protocols, ok = readProtocols(data); ok {
				if len(protocols) != 1 {
					return illegal("the server chose more than one ALPN protocol")
				}
				e.protocol = protocols[0]
			}
		case typ == extKeyShare, typ == extPreSharedKey, typ == extSupportedVersions, typ == extCookie,
			typ == extSignatureAlgorithms, typ == extPSKModes, typ == extSignatureAlgorithmsCert:
			return illegal("an extension that does not belong in EncryptedExtensions")
		default:
			return handshake.Errorf(handshake.UnsupportedExtension, "extension %d in EncryptedExtensions", typ)
		}
		if !ok {
			return malformed("extension of EncryptedExtensions")
		}
		return nil
	})
	if err == nil && !s.Empty() {
		err = malformed(name)
	}
	return e, err
}

func (e *encryptedExtensions) marshal() ([]byte, error) {
	return newMessage(handshake.EncryptedExtensions, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			if e.names {
				addExtension(b, extServerName, func(*cryptobyte.Builder) {})
			}
			if e.protocol != "" {
				addExtension(b, extALPN, func(b *cryptobyte.Builder) { addProtocols(b, []string{e.protocol}) })
			}
			if e.earlyData {
				addExtension(b, extEarlyData, func(*cryptobyte.Builder) {})
			}
		})
	})
}

// downgraded reports whether the random says that a server that speaks TLS 1.3 was made to
// choose less (RFC 8446 §4.1.3).
func (h *serverHello) downgraded() bool {
	end := string(h.random[24:])
	return end == "DOWNGRD\x01" || end == "DOWNGRD\x00"
}
