package tlcp

import (
	"strings"

	"golang.org/x/crypto/cryptobyte"

	"longmen/tls/handshake"
)

// The extensions of hellos that this package reads or writes. All others are ignored.
const (
	extensionServerName      uint16 = 0
	extensionSupportedGroups uint16 = 10
	extensionALPN            uint16 = 16
	extensionRenegotiation   uint16 = 0xff01
)

// renegotiationSCSV among the suites asks for the renegotiation extension (RFC 5746 §3.3).
const renegotiationSCSV uint16 = 0x00ff

const (
	maxExtensions = 64
	maxProtocols  = 64
	maxHostName   = 255
	maxSessionID  = 32
)

// A clientHello as this package needs it (GB/T 38636 §6.4.5.2.1).
type clientHello struct {
	version       uint16
	random        []byte
	sessionID     []byte
	suites        []uint16
	compressions  []byte
	serverName    string
	protocols     []string
	groups        []uint16
	renegotiation bool // the client wants to hear that nothing is renegotiated
}

// A serverHello as this package needs it (GB/T 38636 §6.4.5.2.2).
type serverHello struct {
	version       uint16
	random        []byte
	sessionID     []byte
	suite         uint16
	compression   byte
	protocol      string
	nameTaken     bool // server_name was of use
	renegotiation bool
}

func decodeError(what string) error {
	return handshake.Errorf(handshake.DecodeError, "malformed %s", what)
}

func (h *clientHello) marshal() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	message(b, handshake.ClientHello, func(b *cryptobyte.Builder) {
		b.AddUint16(h.version)
		b.AddBytes(h.random)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.sessionID) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { addUint16s(b, h.suites) })
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.compressions) })
		if h.serverName == "" && len(h.protocols) == 0 && len(h.groups) == 0 {
			return // the hello of peers that know no extensions
		}
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			if h.serverName != "" {
				extension(b, extensionServerName, func(b *cryptobyte.Builder) {
					b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
						b.AddUint8(0) // host_name
						b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(h.serverName)) })
					})
				})
			}
			if len(h.groups) > 0 {
				extension(b, extensionSupportedGroups, func(b *cryptobyte.Builder) {
					b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { addUint16s(b, h.groups) })
				})
			}
			if len(h.protocols) > 0 {
				extension(b, extensionALPN, func(b *cryptobyte.Builder) { addProtocols(b, h.protocols) })
			}
		})
	})
	return b.Bytes()
}

func (h *serverHello) marshal() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	message(b, handshake.ServerHello, func(b *cryptobyte.Builder) {
		b.AddUint16(h.version)
		b.AddBytes(h.random)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.sessionID) })
		b.AddUint16(h.suite)
		b.AddUint8(h.compression)
		if !h.renegotiation && !h.nameTaken && h.protocol == "" {
			return
		}
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			if h.nameTaken {
				extension(b, extensionServerName, func(*cryptobyte.Builder) {})
			}
			if h.renegotiation {
				extension(b, extensionRenegotiation, func(b *cryptobyte.Builder) { b.AddUint8(0) })
			}
			if h.protocol != "" {
				extension(b, extensionALPN, func(b *cryptobyte.Builder) { addProtocols(b, []string{h.protocol}) })
			}
		})
	})
	return b.Bytes()
}

// parseClientHello reads a ClientHello's body, of which the result keeps parts.
func parseClientHello(body []byte) (*clientHello, error) {
	malformed := decodeError("ClientHello")
	s := cryptobyte.String(body)
	h := new(clientHello)
	var sessionID, suites, compressions cryptobyte.String
	if !s.ReadUint16(&h.version) || !s.ReadBytes(&h.random, randomLen) ||
		!s.ReadUint8LengthPrefixed(&sessionID) || len(sessionID) > maxSessionID ||
		!s.ReadUint16LengthPrefixed(&suites) || len(suites) == 0 ||
		!s.ReadUint8LengthPrefixed(&compressions) || len(compressions) == 0 {
		return nil, malformed
	}
	h.sessionID, h.compressions = sessionID, compressions
	var ok bool
	if h.suites, ok = uint16s(suites); !ok {
		return nil, malformed
	}
	for _, suite := range h.suites {
		h.renegotiation = h.renegotiation || suite == renegotiationSCSV
	}
	err := parseExtensions(s, "ClientHello", func(typ uint16, data cryptobyte.String) (ok bool) {
		switch typ {
		case extensionServerName:
			h.serverName, ok = readServerName(data)
		case extensionALPN:
			h.protocols, ok = readProtocols(data)
		case extensionSupportedGroups:
			var list cryptobyte.String
			if ok = data.ReadUint16LengthPrefixed(&list) && data.Empty() && len(list) > 0; ok {
				h.groups, ok = uint16s(list)
			}
		case extensionRenegotiation:
			ok = len(data) == 1 && data[0] == 0 // a first handshake renegotiates nothing
			h.renegotiation = true
		default:
			ok = true
		}
		return ok
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// parseServerHello reads a ServerHello's body, of which the result keeps parts.
func parseServerHello(body []byte) (*serverHello, error) {
	s := cryptobyte.String(body)
	h := new(serverHello)
	var sessionID cryptobyte.String
	if !s.ReadUint16(&h.version) || !s.ReadBytes(&h.random, randomLen) ||
		!s.ReadUint8LengthPrefixed(&sessionID) || len(sessionID) > maxSessionID ||
		!s.ReadUint16(&h.suite) || !s.ReadUint8(&h.compression) {
		return nil, decodeError("ServerHello")
	}
	h.sessionID = sessionID
	err := parseExtensions(s, "ServerHello", func(typ uint16, data cryptobyte.String) bool {
		switch typ {
		case extensionServerName:
			h.nameTaken = true
			return data.Empty()
		case extensionRenegotiation:
			h.renegotiation = true
			return len(data) == 1 && data[0] == 0
		case extensionALPN:
			protocols, ok := readProtocols(data)
			if !ok || len(protocols) != 1 {
				return false
			}
			h.protocol = protocols[0]
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// parseExtensions hands each extension at the end of a hello to take, which reports whether
// it could read it. A hello may have no extensions at all, and none of them twice.
func parseExtensions(s cryptobyte.String, in string, take func(typ uint16, data cryptobyte.String) bool) error {
	if s.Empty() {
		return nil
	}
	var list cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&list) || !s.Empty() {
		return decodeError("extensions of " + in)
	}
	var seen [maxExtensions]uint16
	for count := 0; !list.Empty(); count++ {
		var typ uint16
		var data cryptobyte.String
		if !list.ReadUint16(&typ) || !list.ReadUint16LengthPrefixed(&data) {
			return decodeError("extensions of " + in)
		}
		if count == maxExtensions {
			return handshake.Errorf(handshake.DecodeError, "more than %d extensions", maxExtensions)
		}
		for _, earlier := range seen[:count] {
			if earlier == typ {
				return handshake.Errorf(handshake.IllegalParameter, "extension %d twice", typ)
			}
		}
		seen[count] = typ
		if !take(typ, data) {
			return handshake.Errorf(handshake.DecodeError, "malformed extension %d of %s", typ, in)
		}
	}
	return nil
}

// readServerName gives the first host name of a server_name extension (RFC 6066 §3).
func readServerName(data cryptobyte.String) (name string, ok bool) {
	var list cryptobyte.String
	if !data.ReadUint16LengthPrefixed(&list) || !data.Empty() || list.Empty() {
		return "", false
	}
	for !list.Empty() {
		var typ uint8
		var host cryptobyte.String
		if !list.ReadUint8(&typ) || !list.ReadUint16LengthPrefixed(&host) || host.Empty() {
			return "", false
		}
		if typ != 0 || name != "" {
			continue
		}
		if len(host) > maxHostName {
			return "", false
		}
		for _, c := range host {
			if c <= ' ' || c >= 0x7f {
				return "", false
			}
		}
		name = strings.TrimSuffix(strings.ToLower(string(host)), ".")
	}
	return name, true
}

// readProtocols gives the names of an ALPN extension (RFC 7301 §3.1).
func readProtocols(data cryptobyte.String) (protocols []string, ok bool) {
	var list cryptobyte.String
	if !data.ReadUint16LengthPrefixed(&list) || !data.Empty() || list.Empty() {
		return nil, false
	}
	for !list.Empty() {
		var name cryptobyte.String
		if !list.ReadUint8LengthPrefixed(&name) || name.Empty() || len(protocols) == maxProtocols {
			return nil, false
		}
		protocols = append(protocols, string(name))
	}
	return protocols, true
}

func addProtocols(b *cryptobyte.Builder, protocols []string) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, name := range protocols {
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
		}
	})
}

func addUint16s(b *cryptobyte.Builder, values []uint16) {
	for _, v := range values {
		b.AddUint16(v)
	}
}

func uint16s(s cryptobyte.String) (values []uint16, ok bool) {
	values = make([]uint16, 0, len(s)/2)
	for !s.Empty() {
		var v uint16
		if !s.ReadUint16(&v) {
			return nil, false
		}
		values = append(values, v)
	}
	return values, true
}

func extension(b *cryptobyte.Builder, typ uint16, data cryptobyte.BuilderContinuation) {
	b.AddUint16(typ)
	b.AddUint16LengthPrefixed(data)
}

func message(b *cryptobyte.Builder, typ handshake.MessageType, body cryptobyte.BuilderContinuation) {
	b.AddUint8(uint8(typ))
	b.AddUint24LengthPrefixed(body)
}
