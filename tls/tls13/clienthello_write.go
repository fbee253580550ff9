package tls13

import (
	"longmen/tls/handshake"

	"golang.org/x/crypto/cryptobyte"
)

// marshal writes h. Binders are written as they are: they are made over the message without
// them, see client.bind.
func (h *clientHello) marshal() ([]byte, error) {
	message, err := newMessage(handshake.ClientHello, func(b *cryptobyte.Builder) {
		b.AddUint16(0x0303)
		b.AddBytes(h.random)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.sessionID) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { addUint16s(b, h.suites) })
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint8(0) })
		b.AddUint16LengthPrefixed(h.addExtensions)
	})
	if err != nil {
		return nil, err
	}
	if len(h.psks) == 1 {
		h.bindersAt = len(message) - 3 - len(h.psks[0].binder)
	}
	h.raw = message
	return message, nil
}

func (h *clientHello) addExtensions(b *cryptobyte.Builder) {
	if h.serverName != "" {
		addExtension(b, extServerName, func(b *cryptobyte.Builder) {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
				b.AddUint8(0)
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(h.serverName)) })
			})
		})
	}
	if h.staple {
		addExtension(b, extStatusRequest, func(b *cryptobyte.Builder) {
			b.AddUint8(1) // ocsp
			b.AddUint16(0)
			b.AddUint16(0)
		})
	}
	addExtension(b, extSupportedGroups, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { addUint16s(b, h.groups) })
	})
	addExtension(b, extSignatureAlgorithms, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { addUint16s(b, h.schemes) })
	})
	if h.protocols != nil {
		addExtension(b, extALPN, func(b *cryptobyte.Builder) { addProtocols(b, h.protocols) })
	}
	addExtension(b, extSupportedVersions, func(b *cryptobyte.Builder) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { addUint16s(b, h.versions) })
	})
	if h.cookie != nil {
		addExtension(b, extCookie, func(b *cryptobyte.Builder) {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.cookie) })
		})
	}
	if h.pskModes != nil {
		addExtension(b, extPSKModes, func(b *cryptobyte.Builder) {
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.pskModes) })
		})
	}
	addExtension(b, extKeyShare, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, one := range h.shares {
				b.AddUint16(one.group)
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(one.key) })
			}
		})
	})
	if h.earlyData {
		addExtension(b, extEarlyData, func(*cryptobyte.Builder) {})
	}
	if h.psks != nil {
		addExtension(b, extPreSharedKey, h.addPSKs) // the last one
	}
}

func (h *clientHello) addPSKs(b *cryptobyte.Builder) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, one := range h.psks {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(one.identity) })
			b.AddUint32(one.obfuscatedAge)
		}
	})
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, one := range h.psks {
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(one.binder) })
		}
	})
}

// truncated is the message up to the list of binders: what the binders cover.
func (h *clientHello) truncated() []byte { return h.raw[:h.bindersAt] }

func addProtocols(b *cryptobyte.Builder, protocols []string) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, name := range protocols {
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
		}
	})
}
