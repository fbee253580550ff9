package handshake

import (
	"longmen/tls/record"
	"longmen/tls/verify"
)

// Result is a completed handshake: all that outlives it.
type Result struct {
	// Session protects the connection from here on. The first byte that the handshake did
	// not read is the first of its input.
	Session *record.Session

	Version uint16 // 0x0303 TLS 1.2, 0x0304 TLS 1.3, 0x0101 TLCP
	Suite   uint16 // as on the wire
	Group   uint16 // the key exchange's named group (RFC 8446 §4.2.7); 0 if it had none

	ServerName string // as the client asked for it; "" if it did not
	Protocol   string // chosen by ALPN; "" if none was
	Resumed    bool   // the session of an earlier connection was taken up

	// PeerChain is the peer's certificate chain in DER, leaf first; of TLCP's two leaves
	// the signing one is first and the encryption one second. Nil if the peer showed none.
	PeerChain [][]byte
	// PeerVerified reports whether PeerChain was verified against trusted roots, in this
	// handshake or in the one that it resumed.
	PeerVerified bool
	// Peer is what a policy made of PeerChain; nil without one.
	Peer *verify.Peer

	OCSPStaple  []byte // a client's: the OCSP response that the server stapled, not looked at; or nil
	ECHAccepted bool   // the ClientHello came encrypted (RFC 9849)

	// Local is the certificate that a server showed; nil for a client.
	Local *verify.Identity
	// EarlyData is what became of the client's early data. When it was accepted, Session.Early
	// is true until the handshake is complete.
	EarlyData EarlyData
	// Fingerprints are the client's; nil when the server was not asked to take them.
	Fingerprints *Fingerprints

	element *element
}

// Fingerprints tell a client's TLS implementation by its ClientHello.
type Fingerprints struct {
	JA3 string // 32 hexadecimal digits
	JA4 string // 36 characters
}

// An element is that of x-forwarded-client-cert for a connection.
type element struct {
	details verify.Details
	text    string
}

// Element is the element of x-forwarded-client-cert for the connection, whose Peer is not
// nil. It is made once for all requests with the same details; not for several goroutines.
func (r *Result) Element(d verify.Details) string {
	if r.element == nil || r.element.details != d {
		var by []string
		if own := r.Local.Peer(); own != nil {
			by = own.URIs()
		}
		r.element = &element{d, d.Element(r.Peer, by)}
	}
	return r.element.text
}

// EarlyData is what a server did with the early data of TLS 1.3 (0-RTT, RFC 8446 §4.2.10) that a
// client sent with its hello: it accepted it, or why not.
type EarlyData uint8

// What became of it.
const (
	EarlyDataNone     EarlyData = iota // none was sent
	EarlyDataAccepted                  // it is the first that the session opens
	EarlyDataOff                       // none is accepted for the name
	EarlyDataTicket                    // the session is not resumed, or its ticket is none for early data here
	EarlyDataChanged                   // protocol, certificate or settings are not those of the ticket
	EarlyDataAge                       // the hello was not made now: it was held up, or clocks differ
	EarlyDataReplay                    // the hello has come before
	EarlyDataFull                      // too many hellos came to tell whether it has
	EarlyDataRetry                     // a second hello was needed
	EarlyDataCount                     // how many there are
)

// String is a word for logs and metrics.
func (e EarlyData) String() string {
	return [...]string{"none", "accepted", "off", "ticket", "changed", "age", "replay", "full", "retry"}[e]
}
