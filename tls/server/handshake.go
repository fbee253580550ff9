package server

import (
	"crypto/tls"
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
	"longmen/tls/replay"
	"longmen/tls/sign"
	"longmen/tls/tlcp"
	"longmen/tls/tls13"
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
	// Burn is Offload for what takes less than half a millisecond: the caller's loop
	// may do it.
	Burn func(*sign.Flow, func() error) error
	// Loading is the turn of keys that are used for the first time.
	Loading *sign.Flow
	// KeyMissing is told of a key that could not be loaded, by the name of its certificate's
	// secret, each time it was tried; nil for nobody.
	KeyMissing func(name string, err error)
	// Verifying is the turn of client certificates.
	Verifying *sign.Flow
	KeyLog    io.Writer // nil for none; see Config.KeyLog
	// Challenges answers those who try whether a name is ours; nil for none.
	Challenges Challenges
	// Sessions are those of TLCP, which has no tickets; nil: none is resumed.
	Sessions tlcp.SessionCache
	// Replays remembers what early data was accepted with; nil: none is.
	Replays *replay.Register

	peer *verify.Peer // the client's certificate, once it is verified
}

var (
	errNoCertificate = errors.New("no certificate covers the name")
	errPending       = errors.New("no certificate for the name has been issued yet")
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
	if challenge := h.challenged(); challenge != nil {
		return h.serveChallenge(challenge)
	}
	if keys := c.openers(h.Hello); keys != nil {
		return c.serveEncrypted(h, keys)
	}
	asked := askedBy(h.Hello)
	settings, chosen, err := c.choose(h, asked)
	if err != nil {
		return nil, h.refuse(err)
	}
	var result *handshake.Result
	switch {
	case asked.tlcp:
		result, err = settings.serveTLCP(h, chosen)
	case chosen.Kind == certificate.SM2:
		result, err = settings.serveRFC8998(h, chosen)
	default:
		result, err = c.serveTLS(h, settings, chosen)
	}
	if err != nil {
		return nil, err
	}
	return c.told(h, result, chosen), nil
}

// choose finds the settings of a name and the certificate that it is served with, whose key
// is loaded. Its error is a *handshake.Error that nobody was told yet.
func (c *Config) choose(h *Handshake, r request) (*Settings, *certificate.Certificate, error) {
	settings := c.SettingsFor(r.name)
	candidates := c.Certificates.Find(r.name)
	if len(candidates) == 0 {
		switch {
		case c.Pending[r.name]:
			return nil, nil, refused(handshake.UnrecognizedName, errPending)
		case c.StrictSNI:
			return nil, nil, refused(handshake.UnrecognizedName, unknown(r.name))
		}
		if candidates = c.Certificates.Default(); len(candidates) == 0 {
			return nil, nil, refused(handshake.UnrecognizedName, errPending)
		}
	}
	if candidates = settings.stapled(candidates, h.Now); len(candidates) == 0 {
		return nil, nil, refused(handshake.InternalError, errNoStaple)
	}
	offer, err := settings.offer(r)
	if err != nil {
		return nil, nil, refused(handshake.ProtocolVersion, err)
	}
	chosen := certificate.Choose(candidates, offer, h.Now)
	if chosen == nil {
		return nil, nil, refused(handshake.HandshakeFailure, errNoMatch)
	}
	for left := len(candidates); !chosen.Loaded() && left > 0; left-- {
		loading := chosen
		if err := h.Offload(h.Loading, func() error { _, _ = loading.Signer(); return nil }); err != nil {
			return nil, nil, refused(handshake.InternalError, err)
		}
		if err := loading.Failed(); err != nil && h.KeyMissing != nil {
			h.KeyMissing(loading.Name, err)
		}
		chosen = certificate.Choose(candidates, offer, h.Now) // another, if the key is not to be had
	}
	if err := chosen.Failed(); err != nil {
		return nil, nil, refused(handshake.InternalError, err)
	}
	return settings, chosen, nil
}

// told completes what a handshake's result tells.
func (c *Config) told(h *Handshake, result *handshake.Result, chosen *certificate.Certificate) *handshake.Result {
	result.Peer, result.PeerVerified = h.peer, h.peer != nil && h.peer.Verified
	result.Local = c.identity(chosen)
	return result
}

func unknown(name string) error {
	if name == "" {
		return errNoName
	}
	return errNoCertificate
}

// A request is what of a ClientHello the settings and the certificate are chosen by.
type request struct {
	name                    string // "": the client names no server
	tlcp, tls12, tls13      bool   // what it can speak
	suites, schemes, groups []uint16
}

func askedBy(h *hello.ClientHello) request {
	return request{
		name: h.ServerName, tlcp: h.TLCP(), tls12: h.Offers(tls.VersionTLS12), tls13: h.Offers(tls.VersionTLS13),
		suites: list(h.Suites), schemes: list(h.Signatures), groups: list(h.Groups),
	}
}

// offer is what of a request the settings take, for the choice of a certificate.
func (s *Settings) offer(r request) (*certificate.Offer, error) {
	o := &certificate.Offer{Suites: r.suites, Schemes: r.schemes, Groups: r.groups}
	switch {
	case r.tlcp && !s.TLCP:
		return nil, errTLCP
	case r.tlcp:
		o.Version = handshake.VersionTLCP
		return o, nil
	case r.tls13 && s.MaxVersion >= tls.VersionTLS13:
		o.Version = tls.VersionTLS13
	case r.tls12 && s.MinVersion <= tls.VersionTLS12:
		o.Version = tls.VersionTLS12
	default:
		return nil, errVersion
	}
	o.Suites = slices.DeleteFunc(o.Suites, func(suite uint16) bool { return !s.takes(suite) })
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
	case suite == tls13.SuiteSM4GCMSM3:
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

// refused is a refusal that the client is not told yet.
func refused(a handshake.Alert, cause error) error {
	return &handshake.Error{Alert: a, Cause: cause}
}

// refuse tells the client why there will be no handshake.
func (h *Handshake) refuse(err error) error {
	e, ok := errors.AsType[*handshake.Error](err)
	if !ok {
		return err
	}
	_, failed := h.Conn.Write(Alert(e.Alert, h.Hello.TLCP()))
	e.Sent = failed == nil
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
