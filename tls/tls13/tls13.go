// Package tls13 is TLS 1.3 (RFC 8446) for what crypto/tls has no handshake for: the algorithms of
// RFC 8998 (the one suite TLS_SM4_GCM_SM3, key exchange on curveSM2, certificates of SM2 and
// signatures sm2sig_sm3), and servers that take early data (0-RTT) over TCP.
//
// Server, ServerStandard and Client each run one handshake over a handshake.Conn and end in a
// handshake.Result, whose record.Session protects the connection from then on. Each reads as
// a straight line, message after message in the order of RFC 8446 §2; the messages
// themselves are in one file a group, and are parsed and written without I/O.
//
// Early data is refused, which every client must be ready for, unless ServerConfig.EarlyData says
// otherwise; Client sends none. Resumption is by PSK with a new key exchange (psk_dhe_ke) only,
// from tickets that hold all of the session, so that servers keep nothing.
//
// This code is our own and has not been audited by a third party.
package tls13

import (
	"slices"

	"longmen/tls/handshake"
)

// The values of RFC 8998 §2 in a hello.
const (
	SuiteSM4GCMSM3 uint16 = 0x00C6 // TLS_SM4_GCM_SM3
	GroupCurveSM2  uint16 = 0x0029 // curveSM2
	SchemeSM2SM3   uint16 = 0x0708 // sm2sig_sm3
)

// Offered reports whether hello offers all that this package's handshake needs: TLS 1.3, the
// suite, the group (with a share or without: then the client is asked to retry) and the
// signature scheme. hello is a ClientHello message with its 4-byte header, without record
// headers. One that RFC 8446 does not allow is not offered.
func Offered(hello []byte) bool {
	h, err := parseClientHello(hello)
	if err != nil {
		return false
	}
	p := shangMi()
	return slices.Contains(h.versions, handshake.VersionTLS13) && slices.Contains(h.suites, p.suite) &&
		slices.Contains(h.groups, p.group) && slices.Contains(h.schemes, p.scheme)
}
