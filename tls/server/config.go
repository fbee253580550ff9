// Package server runs the TLS handshakes of a listener: it finds the settings
// and the certificates of the name that a client asks for, and whether it
// speaks TLS, TLCP (GB/T 38636) or TLS 1.3 with SM (RFC 8998).
package server

import (
	"crypto/tls"
	"sync"
	"time"

	"longmen/tls/certificate"
	"longmen/tls/ech"
	"longmen/tls/ticket"
	"longmen/tls/verify"
)

// Config is how a listener speaks TLS. Nothing in it changes once it is made:
// other files or settings make another Config, which the handshakes that begin
// after that use.
type Config struct {
	// Certificates by server name; none only while all are Pending.
	Certificates *certificate.Table
	// Default are the settings of every name that Domains has none for.
	Default *Settings
	// Domains are settings of their own for some server names.
	Domains Names[*Settings]

	// ECH are the keys of Encrypted Client Hello (RFC 9849); nil for none.
	ECH *ech.Keys

	// Pending are names whose certificates have been ordered and are not there yet,
	// in lower case: they are refused with unrecognized_name where no other
	// certificate covers them.
	Pending map[string]bool

	// StrictSNI refuses a name that no certificate covers (and a client that
	// sends none) with the alert unrecognized_name; else the first certificate
	// is served.
	StrictSNI bool
	// Plain serves plain HTTP on the same port, told apart by the first byte.
	Plain bool
	// Passthrough names the clusters that connections for some server names are
	// spliced to, without termination.
	Passthrough Names[string]

	// HandshakeTimeout bounds the time from the accepted connection to the end of
	// its handshake; more than 0.
	HandshakeTimeout time.Duration
	// MaxHandshakes bounds the handshakes under way at once over all workers; at
	// least 1.
	MaxHandshakes int

	// KeyLog is a file that gets the secrets of every connection, in the format
	// of NSS; "" for none. Whoever can read it can read all traffic.
	KeyLog string

	identities sync.Map // by *certificate.Certificate: *verify.Identity
}

// SettingsFor gives the settings for a server name; "" is a client that sent none.
func (c *Config) SettingsFor(name string) *Settings {
	if own, ok := c.Domains.Find(name); ok {
		return own
	}
	return c.Default
}

// Settings are what may differ between the names of one listener.
type Settings struct {
	// MinVersion and MaxVersion are tls.VersionTLS12 or tls.VersionTLS13. They do
	// not concern TLCP.
	MinVersion, MaxVersion uint16
	// Suites of TLS 1.2, whose order crypto/tls does not heed; AEAD with ECDHE only. Those of
	// TLS 1.3 are not to be chosen.
	Suites []uint16
	// Groups for the key exchange, whose order crypto/tls does not heed.
	Groups []tls.CurveID
	// ALPN are the application protocols (RFC 7301), in order of preference.
	ALPN []string

	// Clients verifies client certificates, and says whether clients must show
	// one; nil: they are not asked for any.
	Clients *verify.Policy
	// ClientRoots are the authorities whose names are told to clients; nil for none.
	ClientRoots *verify.Roots

	// Tickets are the keys of session tickets; nil turns resumption off. What
	// must not share sessions (another client CA) has keys of another context.
	Tickets *ticket.Keys
	// Context names that context, for the sessions of TLCP.
	Context string

	OCSP OCSPPolicy

	// EarlyData is 0-RTT (RFC 8446 section 2.3); nil for none. With it, the handshakes of
	// clients that come back are our own. It cannot be with Clients or ECH.
	EarlyData *EarlyData

	// TLCP accepts GB/T 38636, RFC8998 the suite TLS_SM4_GCM_SM3, both only when a
	// certificate for them covers the name.
	TLCP, RFC8998 bool

	standard standard
}

// EarlyData says how much clients may send before a handshake is complete.
type EarlyData struct {
	// Most is how many bytes, on one connection. With 0, none are accepted, and clients that
	// have tickets from before are served without.
	Most uint32
	// Remember is how many handshakes with early data are remembered, of all listeners that
	// take any together, to tell one that is sent again. When there are more at once, the
	// early data of those is not accepted.
	Remember int
}

// OCSPPolicy says what the absence of an OCSP response does (RFC 6066 section 8).
type OCSPPolicy uint8

// The policies.
const (
	// OCSPStaple staples the response when there is a good one. A certificate
	// with must-staple (RFC 7633) is not served without.
	OCSPStaple  OCSPPolicy = iota
	OCSPOff                // nothing is fetched or stapled
	OCSPRequire            // no certificate is served without a response
)
