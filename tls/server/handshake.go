package server

import (
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"longmen/tls/certificate"
	"longmen/tls/handshake"
	"longmen/tls/hello"
	"longmen/tls/ocsp"
	"longmen/tls/record"
	"longmen/tls/rfc8998"
	"longmen/tls/sign"
	"longmen/tls/tlcp"
	"longmen/tls/verify"
)

// A Handshake is one connection's, from its ClientHello on.
type Handshake struct {
	Conn  net.Conn // its next byte is the ClientHello's first; deadlines are its own
	Hello *hello.ClientHello
	Now   time.Time
	// Offload runs what burns CPU away from the caller's loop, in the key's turn,
	// and returns its error.
	Offload func(*sign.Flow, func() error) error
	// Loading is the turn of keys that are used for the first time.
	Loading *sign.Flow
	// Verifying is the turn of client certificates.
	Verifying *sign.Flow
	KeyLog    io.Writer // nil for none; see Config.KeyLog
	// Sessions are those of TLCP, which has no tickets; nil: none is resumed.
	Sessions tlcp.SessionCache

	peer *verify.Peer // the client's certificate, once it is verified
}

var (
	errNoCertificate = errors.New("no certificate covers the name")
	errNoName        = errors.New("the client names no server")
	errNoMatch       = errors.New("the client can take no certificate for the name")
	errTLCP          = errors.New("TLCP is not served for the name")
	errNoStaple      = errors.New("no certificate for the name has the OCSP response that it needs")
	errVersion       = errors.New("the client offers no version that is served")
)

// Run runs the handshake that the ClientHello begins: TLS, TLCP or TLS 1.3 with
// SM, whichever the client offers and the name's settings and certificates
// allow, SM before the others. Its error is a *handshake.Error, or that of the
// connection.
func (c *Config) Run(h *Handshake) (*handshake.Result, error) {
	name := h.Hello.ServerName
	settings := c.SettingsFor(name)
	candidates := c.Certificates.Find(name)
	if len(candidates) == 0 {
		if c.StrictSNI {
			return nil, h.refuse(handshake.UnrecognizedName, unknown(name))
		}
		candidates = c.Certificates.Default()
	}
	if candidates = settings.stapled(candidates, h.Now); len(candidates) == 0 {
		return nil, h.refuse(handshake.InternalError, errNoStaple)
	}
	offer, err := settings.offer(h.Hello)
	if err != nil {
		return nil, h.refuse(handshake.ProtocolVersion, err)
	}
	chosen := certificate.Choose(candidates, offer, h.Now)
	if chosen == nil {
		return nil, h.refuse(handshake.HandshakeFailure, errNoMatch)
	}
	if !chosen.Loaded() {
		if err := h.Offload(h.Loading, func() error { _, err := chosen.Signer(); return err }); err != nil {
			return nil, h.refuse(handshake.InternalError, err)
		}
	}
	var result *handshake.Result
	switch {
	case offer.Version == handshake.VersionTLCP:
		result, err = settings.serveTLCP(h, chosen)
	case chosen.Kind == certificate.SM2:
		result, err = settings.serveRFC8998(h, chosen)
	default:
		result, err = settings.serveTLS(h, chosen)
	}
	if err != nil {
		return nil, err
	}
	result.Peer, result.PeerVerified = h.peer, h.peer != nil && h.peer.Verified
	result.Local = c.identity(chosen)
	return result, nil
}

func unknown(name string) error {
	if name == "" {
		return errNoName
	}
	return errNoCertificate
}

// offer is what of the client's offer the settings take, for the choice of a
// certificate.
func (s *Settings) offer(h *hello.ClientHello) (*certificate.Offer, error) {
	o := &certificate.Offer{Schemes: list(h.Signatures), Groups: list(h.Groups)}
	if h.TLCP() {
		if !s.TLCP {
			return nil, errTLCP
		}
		o.Version, o.Suites = handshake.VersionTLCP, list(h.Suites)
		return o, nil
	}
	for v := s.MaxVersion; v >= s.MinVersion; v-- {
		if h.Offers(v) {
			o.Version = v
			break
		}
	}
	if o.Version == 0 {
		return nil, errVersion
	}
	for suite := range h.Suites.All() {
		if s.takes(suite) {
			o.Suites = append(o.Suites, suite)
		}
	}
	return o, nil
}

// stapled are the certificates that may be served: not those that need an OCSP
// response and have none.
func (s *Settings) stapled(candidates []*certificate.Certificate, now time.Time) []*certificate.Certificate {
	policy := ocsp.Lenient
	if s.OCSP == OCSPRequire {
		policy = ocsp.MustStaple
	}
	unusable := func(c *certificate.Certificate) bool { return !policy.Usable(c, now) }
	if !slices.ContainsFunc(candidates, unusable) {
		return candidates
	}
	return slices.DeleteFunc(slices.Clone(candidates), unusable)
}

// takes reports whether the settings allow a suite of TLS.
func (s *Settings) takes(suite uint16) bool {
	switch {
	case suite == rfc8998.SuiteSM4GCMSM3:
		return s.RFC8998
	case suite>>8 == 0x13: // TLS 1.3's are all allowed
		return true
	case s.Suites == nil:
		return record.Supported(record.VersionTLS12, suite)
	}
	return slices.Contains(s.Suites, suite)
}

func list(l hello.Uint16s) []uint16 {
	values := make([]uint16, 0, l.Len())
	for v := range l.All() {
		values = append(values, v)
	}
	return values
}

// refuse tells the client why there will be no handshake.
func (h *Handshake) refuse(a handshake.Alert, cause error) error {
	e := &handshake.Error{Alert: a, Cause: cause}
	_, err := h.Conn.Write(Alert(a, h.Hello.TLCP()))
	e.Sent = err == nil
	return e
}

// Alert is the record of a fatal alert before there are keys (RFC 8446 section
// 6; for TLCP GB/T 38636 section 6.3).
func Alert(a handshake.Alert, tlcp bool) []byte {
	const typeAlert, fatal = 21, 2
	if tlcp {
		return []byte{typeAlert, 1, 1, 0, 2, fatal, byte(a)}
	}
	return []byte{typeAlert, 3, 3, 0, 2, fatal, byte(a)}
}
