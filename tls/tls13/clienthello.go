package tls13

import (
	"bytes"
	"slices"
	"strings"

	"longmen/tls/handshake"

	"golang.org/x/crypto/cryptobyte"
)

// A clientHello is the ClientHello (RFC 8446 §4.1.2): of its extensions those that this
// package answers. Lists are nil where the extension is absent.
type clientHello struct {
	raw []byte // the whole message

	random      []byte
	sessionID   []byte // legacy_session_id, echoed by the server
	suites      []uint16
	serverName  string // lower case; "" if absent
	protocols   []string
	versions    []uint16
	groups      []uint16
	schemes     []uint16
	certSchemes []uint16
	hasShares   bool // key_share is there, perhaps with no share
	shares      []keyShare
	cookie      []byte
	staple      bool // an OCSP response is asked for
	earlyData   bool
	pskModes    []byte
	psks        []offeredPSK
	bindersAt   int // where in raw the list of binders begins, its length included; 0 without psks
}

// A keyShare is one entry of key_share (RFC 8446 §4.2.8).
type keyShare struct {
	group uint16
	key   []byte
}

// An offeredPSK is one identity of pre_shared_key and its binder (RFC 8446 §4.2.11).
type offeredPSK struct {
	identity      []byte
	obfuscatedAge uint32
	binder        []byte
}

// pskDHE is psk_dhe_ke, the one key exchange mode for PSKs here (RFC 8446 §4.2.9).
const pskDHE = 1

func parseClientHello(message []byte) (*clientHello, error) {
	const name = "ClientHello"
	s, err := bodyOf(message, handshake.ClientHello, name)
	if err != nil {
		return nil, err
	}
	h := &clientHello{raw: message}
	var version uint16 // legacy_version: supported_versions says what counts
	var sessionID, suites, compression cryptobyte.String
	if !s.ReadUint16(&version) || !s.ReadBytes(&h.random, 32) ||
		!s.ReadUint8LengthPrefixed(&sessionID) || len(sessionID) > 32 ||
		!s.ReadUint16LengthPrefixed(&suites) || !s.ReadUint8LengthPrefixed(&compression) {
		return nil, malformed(name)
	}
	h.sessionID = sessionID
	var ok bool
	if h.suites, ok = readUint16s(nil, suites, true); !ok {
		return nil, malformed(name)
	}
	if s.Empty() {
		return h, nil // a hello of before TLS 1.3
	}
	last := uint16(0)
	err = readExtensions(&s, name, func(typ uint16, data cryptobyte.String) error {
		if last == extPreSharedKey {
			return illegal("pre_shared_key is not the last extension")
		}
		last = typ
		return h.readExtension(typ, data)
	})
	switch {
	case err != nil:
		return nil, err
	case !s.Empty():
		return nil, malformed(name)
	case slices.Contains(h.versions, handshake.VersionTLS13) && !bytes.Equal(compression, []byte{0}):
		return nil, illegal("legacy_compression_methods are not the null method alone")
	}
	return h, nil
}

func (h *clientHello) readExtension(typ uint16, data cryptobyte.String) error {
	ok := true
	switch typ {
	case extServerName:
		h.serverName, ok = readServerName(data)
	case extStatusRequest:
		h.staple, ok = readStatusRequest(data)
	case extALPN:
		h.protocols, ok = readProtocols(data)
	case extSupportedVersions:
		h.versions, ok = readList8(data)
	case extSupportedGroups:
		h.groups, ok = readList16(data)
	case extSignatureAlgorithms:
		h.schemes, ok = readList16(data)
	case extSignatureAlgorithmsCert:
		h.certSchemes, ok = readList16(data)
	case extCookie:
		h.cookie, ok = readBytes(data)
	case extEarlyData:
		h.earlyData, ok = true, data.Empty()
	case extPSKModes:
		var modes cryptobyte.String
		ok = data.ReadUint8LengthPrefixed(&modes) && data.Empty() && !modes.Empty()
		h.pskModes = modes
	case extKeyShare:
		return h.readKeyShares(data)
	case extPreSharedKey:
		return h.readPSKs(data)
	}
	if !ok {
		return malformed("extension of ClientHello")
	}
	return nil
}

func (h *clientHello) readKeyShares(data cryptobyte.String) error {
	var list cryptobyte.String
	if !data.ReadUint16LengthPrefixed(&list) || !data.Empty() {
		return malformed("key_share")
	}
	h.hasShares = true
	for !list.Empty() {
		var one keyShare
		var key cryptobyte.String
		if !list.ReadUint16(&one.group) || !list.ReadUint16LengthPrefixed(&key) || key.Empty() {
			return malformed("key_share")
		}
		if len(h.shares) == maxExtensions {
			return malformed("key_share")
		}
		if h.share(one.group) != nil {
			return illegal("two key shares for one group")
		}
		one.key = key
		h.shares = append(h.shares, one)
	}
	return nil
}

// share is the client's part for group; nil if it sent none.
func (h *clientHello) share(group uint16) []byte {
	for _, one := range h.shares {
		if one.group == group {
			return one.key
		}
	}
	return nil
}

func (h *clientHello) readPSKs(data cryptobyte.String) error {
	var identities, binders cryptobyte.String
	if !data.ReadUint16LengthPrefixed(&identities) || identities.Empty() {
		return malformed("pre_shared_key")
	}
	h.bindersAt = len(h.raw) - len(data) // the extension is the last thing in the message
	if !data.ReadUint16LengthPrefixed(&binders) || binders.Empty() || !data.Empty() {
		return malformed("pre_shared_key")
	}
	for !identities.Empty() {
		var one offeredPSK
		var identity, binder cryptobyte.String
		if !identities.ReadUint16LengthPrefixed(&identity) || identity.Empty() || !identities.ReadUint32(&one.obfuscatedAge) {
			return malformed("pre_shared_key")
		}
		if binders.Empty() {
			return illegal("fewer binders than PSK identities")
		}
		if !binders.ReadUint8LengthPrefixed(&binder) || len(binder) < 32 {
			return malformed("pre_shared_key")
		}
		one.identity, one.binder = identity, binder
		h.psks = append(h.psks, one)
	}
	if !binders.Empty() {
		return illegal("more binders than PSK identities")
	}
	return nil
}

// sameBut reports what of second, the hello after a retry, differs from h that must not
// (RFC 8446 §4.1.2). Shares, early data, cookie, PSKs and padding may.
func (h *clientHello) sameBut(second *clientHello) error {
	switch {
	case !bytes.Equal(h.random, second.random), !bytes.Equal(h.sessionID, second.sessionID),
		!slices.Equal(h.suites, second.suites), h.serverName != second.serverName,
		!slices.Equal(h.protocols, second.protocols), !slices.Equal(h.versions, second.versions),
		!slices.Equal(h.groups, second.groups), !slices.Equal(h.schemes, second.schemes),
		!slices.Equal(h.certSchemes, second.certSchemes), h.staple != second.staple,
		!bytes.Equal(h.pskModes, second.pskModes):
		return illegal("the second ClientHello differs from the first")
	}
	return nil
}

// readServerName reads server_name: one host name (RFC 6066 §3).
func readServerName(data cryptobyte.String) (string, bool) {
	var list, host cryptobyte.String
	var typ uint8
	if !data.ReadUint16LengthPrefixed(&list) || !data.Empty() ||
		!list.ReadUint8(&typ) || typ != 0 || !list.ReadUint16LengthPrefixed(&host) || !list.Empty() ||
		host.Empty() || len(host) > 255 {
		return "", false
	}
	for _, c := range host {
		if c <= ' ' || c >= 0x7F {
			return "", false
		}
	}
	return strings.ToLower(string(host)), true
}

// readStatusRequest reads status_request and reports whether it asks for OCSP (RFC 6066 §8).
func readStatusRequest(data cryptobyte.String) (ocsp, ok bool) {
	var typ uint8
	if !data.ReadUint8(&typ) {
		return false, false
	}
	if typ != 1 {
		return false, true // a type of status that this package does not know, and its request
	}
	var responders, extensions cryptobyte.String
	ok = data.ReadUint16LengthPrefixed(&responders) && data.ReadUint16LengthPrefixed(&extensions) && data.Empty()
	return ok, ok
}

// readProtocols reads a list of ALPN protocol names (RFC 7301 §3.1).
func readProtocols(data cryptobyte.String) ([]string, bool) {
	var list cryptobyte.String
	if !data.ReadUint16LengthPrefixed(&list) || !data.Empty() || list.Empty() {
		return nil, false
	}
	var protocols []string
	for !list.Empty() {
		var name cryptobyte.String
		if !list.ReadUint8LengthPrefixed(&name) || name.Empty() {
			return nil, false
		}
		protocols = append(protocols, string(name))
	}
	return protocols, true
}

// requireTLS13 reports what of h a TLS 1.3 server must insist on whatever it chooses
// (RFC 8446 §9.2).
func (h *clientHello) requireTLS13() error {
	missing := func(name string) error {
		return handshake.Errorf(handshake.MissingExtension, "ClientHello has no %s", name)
	}
	switch {
	case !slices.Contains(h.versions, handshake.VersionTLS13):
		return handshake.Errorf(handshake.ProtocolVersion, "the client does not offer TLS 1.3")
	case h.groups == nil:
		return missing("supported_groups")
	case !h.hasShares:
		return missing("key_share")
	case h.schemes == nil && h.psks == nil:
		return missing("signature_algorithms")
	case h.psks != nil && h.pskModes == nil:
		return missing("psk_key_exchange_modes")
	}
	return nil
}
