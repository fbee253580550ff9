// Package tlcp is the handshake of TLCP, the transport layer cryptography protocol of
// GB/T 38636-2020 (record version 0x0101), on either side: Server and Client. It has the
// suites with SM2 keys, SM4 and SM3; certificates in pairs, one to sign and one to encrypt;
// client certificates; sessions taken up by their id; and server_name, ALPN and
// supported_groups in the hellos, as GM/T 0024-2023 writes them down.
//
// What it does not have: the suites of SM9 (IBC, IBSDH) and RSA, session tickets,
// renegotiation.
//
// This code is our own and has not been audited by a third party.
//
// The package holds no state, starts no goroutine and keeps nothing after a handshake but
// what is in the handshake.Result and, if one is given, in the SessionCache.
package tlcp

import (
	"crypto/rand"
	"io"

	"longmen/tls/handshake"
)

// The cipher suites (GB/T 38636 §6.4.5.2.1). ECC encrypts the premaster secret to the server's
// encryption certificate; ECDHE is SM2's key agreement, has forward secrecy and needs two
// certificates of the client also.
const (
	ECDHE_SM4_CBC_SM3 uint16 = 0xe011
	ECDHE_SM4_GCM_SM3 uint16 = 0xe051
	ECC_SM4_CBC_SM3   uint16 = 0xe013
	ECC_SM4_GCM_SM3   uint16 = 0xe053
)

// Suites are all suites in the order of preference. ECC comes before ECDHE because clients
// offer ECDHE by default also when they have no certificates, with which it must fail.
func Suites() []uint16 {
	return []uint16{ECC_SM4_GCM_SM3, ECC_SM4_CBC_SM3, ECDHE_SM4_GCM_SM3, ECDHE_SM4_CBC_SM3}
}

// SuiteName is the standard's name of a suite, "" if this package has none of that number.
func SuiteName(suite uint16) string {
	switch suite {
	case ECDHE_SM4_CBC_SM3:
		return "ECDHE_SM4_CBC_SM3"
	case ECDHE_SM4_GCM_SM3:
		return "ECDHE_SM4_GCM_SM3"
	case ECC_SM4_CBC_SM3:
		return "ECC_SM4_CBC_SM3"
	case ECC_SM4_GCM_SM3:
		return "ECC_SM4_GCM_SM3"
	}
	return ""
}

// agrees reports whether the suite's key exchange is SM2's key agreement.
func agrees(suite uint16) bool { return suite == ECDHE_SM4_CBC_SM3 || suite == ECDHE_SM4_GCM_SM3 }

const (
	version     = handshake.VersionTLCP
	curveSM2    = 41 // the named group of SM2's curve (RFC 8998 §3.1, GM/T 0024-2023 A.4)
	randomLen   = 32
	finishedLen = 12
	secretLen   = 48 // the premaster and the master secret
)

// random gives n bytes of r, or of the system's generator.
func random(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(source(r), b)
	return b, err
}

func source(r io.Reader) io.Reader {
	if r == nil {
		return rand.Reader
	}
	return r
}
