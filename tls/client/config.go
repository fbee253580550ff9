// Package client runs the TLS handshakes of upstream connections.
package client

import (
	"crypto/tls"

	"longmen/tls/certificate"
	"longmen/tls/verify"
)

// Config is how a cluster's connections speak TLS. Nothing in it changes once
// it is made.
type Config struct {
	// Protocol is what is spoken.
	Protocol Protocol
	// Name says where the server name comes from.
	Name NameSource
	// ServerName is sent (SNI) and verified, when Name is NameFixed.
	ServerName string
	// Insecure verifies nothing: neither the chain nor the name.
	Insecure bool

	// Verify judges the server's certificate; nil with Insecure only.
	Verify *verify.Policy
	// Roots are the authorities that Verify wants it to come from; nil when it goes
	// by pins or trust domains alone.
	Roots *verify.Roots
	// AnyName leaves the server's name out of that, as Verify asks for other names.
	AnyName bool
	// Certificate is shown to servers that ask for one; nil for none.
	Certificate *certificate.Certificate

	// MinVersion and MaxVersion are tls.VersionTLS12 or tls.VersionTLS13; they
	// concern ProtocolTLS only.
	MinVersion, MaxVersion uint16
	// Suites of TLS 1.2; AEAD with ECDHE only.
	Suites []uint16
	// Groups for the key exchange, whose order crypto/tls does not heed.
	Groups []tls.CurveID
	// ALPN are the application protocols (RFC 7301) where the protocol of the cluster
	// does not say it; nil sends none.
	ALPN []string

	// Sessions is how many sessions are kept for resumption; 0 turns it off.
	Sessions int

	standard standard
	sm       sm
}

// Protocol is a kind of TLS.
type Protocol uint8

// The protocols.
const (
	ProtocolTLS     Protocol = iota // TLS 1.2 and 1.3
	ProtocolTLCP                    // GB/T 38636
	ProtocolRFC8998                 // TLS 1.3 with TLS_SM4_GCM_SM3 alone
)

// NameSource says which name is sent (SNI, RFC 6066 section 3) and verified.
type NameSource uint8

// The sources.
const (
	// NameEndpoint takes the endpoint's hostname, else the DNS name that it was
	// found by, else its IP address, which is verified but never sent.
	NameEndpoint NameSource = iota
	// NameFixed takes Config.ServerName.
	NameFixed
	// NameRequest takes the host of the request; a connection serves requests of
	// one host only.
	NameRequest
)
