package hello

import "bytes"

// ClientHello is what a client offers (RFC 8446, 4.1.2; GB/T 38636-2020,
// 6.4.5.2.1, which has the form of TLS 1.2's). Its slices are parts of the message that
// Parse was given, and live as long as that. What an absent extension would hold
// is empty.
type ClientHello struct {
	Message      []byte  // the handshake message, with its header
	Version      uint16  // legacy_version: 0x0303 also in TLS 1.3; 0x0101 is TLCP
	Random       []byte  // 32 bytes
	SessionID    []byte  // at most 32 bytes
	Suites       Uint16s // at least one; may hold GREASE and signalling values
	Compressions []byte  // holds 0, null
	Extensions   Pairs   // all of them, in the client's order, each once

	// ServerName is the host name of server_name in lower case without a trailing
	// dot, which is a valid one: labels of letters, digits, hyphens and underscores.
	// It is empty without that extension, and for the literal of an IP address,
	// which may not stand there (RFC 6066, 3).
	ServerName string

	Protocols      Protocols // application_layer_protocol_negotiation
	Versions       Uint16s   // supported_versions
	Groups         Uint16s   // supported_groups
	PointFormats   []byte    // ec_point_formats
	Signatures     Uint16s   // signature_algorithms
	CertSignatures Uint16s   // signature_algorithms_cert
	KeyShares      Pairs     // key_share: groups and public keys, each group once
	PSKModes       []byte    // psk_key_exchange_modes

	PSK           bool // pre_shared_key: would resume a TLS 1.3 session
	EarlyData     bool // early_data: 0-RTT data follows the ClientHello
	ECH           bool // encrypted_client_hello, real or GREASE: ServerName is the outer one
	StatusRequest bool // status_request for OCSP: staples a response is understood
	Ticket        bool // session_ticket: understands tickets before TLS 1.3
	HasTicket     bool // session_ticket with a ticket in it
}

// TLCP says whether the hello is of GB/T 38636 and not of TLS.
func (h *ClientHello) TLCP() bool { return h.Version == versionTLCP }

// Offers says whether the client can speak that version of TLS: it is in
// supported_versions, or without that extension is not above legacy_version
// (RFC 8446, 4.2.1). TLS 1.3 is offered by that extension alone.
func (h *ClientHello) Offers(version uint16) bool {
	if len(h.Versions) > 0 {
		return h.Versions.Has(version)
	}
	return !h.TLCP() && version <= min(h.Version, 0x0303) && version >= 0x0300
}

// Parse reads a ClientHello: msg is the whole handshake message with its header,
// as Find returns it. All lengths are checked, repeated extensions refused, and
// those extensions understood that have a field in h; the rest is for those who
// know them. It allocates only the server name. The error is an *Error; h is then
// not to be used.
func (h *ClientHello) Parse(msg []byte) error {
	*h = ClientHello{Message: msg}
	if len(msg) < messageHeader {
		return errTruncated
	}
	if msg[0] != typeClientHello {
		return errMessageType
	}
	r := reader(msg[messageHeader:])
	if n := int(msg[1])<<16 + int(msg[2])<<8 + int(msg[3]); n != len(r) {
		return errTruncated
	}
	version, ok := r.take(2)
	if !ok {
		return errTruncated
	}
	h.Version = versionAt(version)
	if version[0] != 3 && h.Version != versionTLCP {
		return errVersion
	}
	return h.parseBody(r)
}

func (h *ClientHello) parseBody(r reader) (err error) {
	var ok [4]bool
	h.Random, ok[0] = r.take(32)
	h.SessionID, ok[1] = r.vector8()
	suites, good := r.vector16()
	h.Suites, ok[2] = uint16s(suites), good
	h.Compressions, ok[3] = r.vector8()
	if ok != [4]bool{true, true, true, true} || len(h.SessionID) > 32 || h.Suites == nil || len(h.Compressions) == 0 {
		return errTruncated
	}
	if bytes.IndexByte(h.Compressions, 0) < 0 {
		return errCompression
	}
	if len(r) == 0 {
		return nil // no extensions at all: before TLS 1.3, and in TLCP
	}
	extensions, good := r.vector16()
	h.Extensions = extensions
	if !good || len(r) > 0 || !h.Extensions.wellFormed() {
		return errExtensions
	}
	if h.Extensions.repeats() {
		return errRepeated
	}
	for id, body := range h.Extensions.All() {
		if h.PSK {
			return errPSKPlace // RFC 8446, 4.2.11
		}
		if err := h.extension(id, body); err != nil {
			return err
		}
	}
	if h.PSK && h.PSKModes == nil {
		return errPSKNoModes // RFC 8446, 4.2.9
	}
	return nil
}

// uint16s is the list that a vector holds, nil when it is empty or odd.
func uint16s(p []byte) Uint16s {
	if len(p) == 0 || len(p)%2 != 0 {
		return nil
	}
	return p
}

// reader is what is left to read of a message.
type reader []byte

// take is the next n bytes.
func (r *reader) take(n int) (p []byte, ok bool) {
	if n > len(*r) {
		return nil, false
	}
	p = (*r)[:n:n]
	*r = (*r)[n:]
	return p, true
}

// vector8 is the next vector with one byte of length.
func (r *reader) vector8() (p []byte, ok bool) {
	n, ok := r.take(1)
	if !ok {
		return nil, false
	}
	return r.take(int(n[0]))
}

// vector16 is the next vector with two bytes of length.
func (r *reader) vector16() (p []byte, ok bool) {
	n, ok := r.take(2)
	if !ok {
		return nil, false
	}
	return r.take(int(versionAt(n)))
}

// only8 is the vector with one byte of length that r is, and nothing but it.
func (r reader) only8() (p []byte, ok bool) {
	p, ok = r.vector8()
	return p, ok && len(r) == 0
}

// only16 is the vector with two bytes of length that r is, and nothing but it.
func (r reader) only16() (p []byte, ok bool) {
	p, ok = r.vector16()
	return p, ok && len(r) == 0
}
