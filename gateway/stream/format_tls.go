package stream

import (
	"encoding/hex"
	"math/big"
	"net/netip"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/verify"
)

// appendTLS appends the value of an operator that tells of TLS.
func appendTLS(dst []byte, op operator, s *Stream) (_ []byte, ok bool) {
	if op >= opUpstreamTLSVersion {
		return appendUpstreamTLS(dst, op, s.Record.UpstreamTLS)
	}
	r := s.TLS
	switch {
	case op == opServerName && s.Request.Spliced:
		return appendSome(dst, s.Request.Authority)
	case r == nil:
		return dst, false
	}
	switch op {
	case opServerName:
		return appendText(dst, r.ServerName)
	case opTLSVersion:
		return appendText(dst, handshake.VersionName(r.Version))
	case opTLSCipher:
		return appendText(dst, handshake.SuiteName(r.Suite))
	case opTLSEarlyData:
		if s.Early != nil {
			return append(dst, '1'), true
		}
	case opJA3:
		if r.Fingerprints != nil {
			return appendText(dst, r.Fingerprints.JA3)
		}
	case opJA4:
		if r.Fingerprints != nil {
			return appendText(dst, r.Fingerprints.JA4)
		}
	case opOwnSubject:
		return appendPeer(dst, opPeerSubject, r.Local.Peer())
	case opOwnURIs:
		return appendPeer(dst, opPeerURIs, r.Local.Peer())
	case opOwnDNS:
		return appendPeer(dst, opPeerDNS, r.Local.Peer())
	case opOwnIPs:
		return appendPeer(dst, opPeerIPs, r.Local.Peer())
	case opOwnEmails:
		return appendPeer(dst, opPeerEmails, r.Local.Peer())
	default:
		return appendPeer(dst, op, r.Peer)
	}
	return dst, false
}

func appendUpstreamTLS(dst []byte, op operator, r *handshake.Result) (_ []byte, ok bool) {
	if r == nil {
		return dst, false
	}
	switch op {
	case opUpstreamTLSVersion:
		return appendText(dst, handshake.VersionName(r.Version))
	case opUpstreamTLSCipher:
		return appendText(dst, handshake.SuiteName(r.Suite))
	}
	return appendPeer(dst, op-opUpstreamSubject+opPeerSubject, r.Peer) // in the same order
}

// appendPeer appends what a certificate tells. op is one of opPeer.
func appendPeer(dst []byte, op operator, p *verify.Peer) (_ []byte, ok bool) {
	if p == nil {
		return dst, false
	}
	switch op {
	case opPeerSubject:
		return appendText(dst, p.Subject)
	case opPeerIssuer:
		return appendText(dst, p.Issuer)
	case opPeerSerial:
		return appendSerial(dst, p.Serial)
	case opPeerFingerprint:
		return hex.AppendEncode(dst, p.Hash[:]), true
	case opPeerURIs:
		return appendNames(dst, p.URIs())
	case opPeerDNS:
		return appendNames(dst, p.DNSNames())
	case opPeerIPs:
		return appendAddrs(dst, p.Addresses())
	case opPeerEmails:
		return appendNames(dst, p.Emails())
	case opPeerCert:
		if len(p.Chain) > 0 {
			return verify.AppendPEM(dst, p.Chain[0]), true
		}
	}
	return dst, false
}

// appendValidity appends the beginning or the end of a certificate's life.
func (p *piece) appendValidity(dst []byte, s *Stream) (_ []byte, ok bool) {
	r := s.TLS
	if p.op >= opUpstreamTLSVersion {
		r = s.Record.UpstreamTLS
	}
	if r == nil || r.Peer == nil {
		return dst, false
	}
	var at time.Time
	switch p.op {
	case opPeerStart, opUpstreamStart:
		at = r.Peer.NotBefore
	default:
		at = r.Peer.NotAfter
	}
	return appendTime(dst, at.UTC(), p.text), true
}

// appendSerial appends a serial number in lower-case hexadecimal, two digits a
// byte.
func appendSerial(dst []byte, serial *big.Int) ([]byte, bool) {
	var room [64]byte // RFC 5280 section 4.1.2.2 allows 20
	n := 0
	if serial != nil {
		n = (serial.BitLen() + 7) / 8
	}
	if serial == nil || n > len(room) {
		return dst, false
	}
	return hex.AppendEncode(dst, serial.FillBytes(room[:max(n, 1)])), true
}

func appendNames(dst []byte, names []string) ([]byte, bool) {
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, name...)
	}
	return dst, len(names) > 0
}

func appendAddrs(dst []byte, addrs []netip.Addr) ([]byte, bool) {
	for i, a := range addrs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = a.AppendTo(dst)
	}
	return dst, len(addrs) > 0
}
