package snapshot

import (
	"crypto/tls"
	"slices"

	"longmen/tls/certificate"
	"longmen/tls/server"
)

// suitesOfECDSA are the suites of TLS 1.2 that ECDSA and Ed25519 certificates
// serve; RSA certificates serve the others.
var suitesOfECDSA = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
}

// unusable compares settings with the certificates of the listener: what is
// asked for there, but cannot be.
func (d *downstream) unusable(l tlsLayer, s *server.Settings) {
	list := d.certs.All()
	some := func(holds func(*certificate.Certificate) bool) bool { return slices.ContainsFunc(list, holds) }
	if on, set := l.values.Bool("tlcp"); set && on && !some(func(c *certificate.Certificate) bool { return c.Encryption != nil }) {
		d.warn(join(l.at, "gm.tlcp"), "", "no secret of the listener is an SM2 pair: nobody can use TLCP")
	}
	if on, set := l.values.Bool("rfc8998"); set && on && !some(func(c *certificate.Certificate) bool { return c.Kind == certificate.SM2 }) {
		d.warn(join(l.at, "gm.rfc8998"), "", "no secret of the listener holds an SM2 certificate: nobody can use RFC 8998")
	}
	serves := func(c *certificate.Certificate) bool {
		return c.Kind != certificate.SM2 && slices.ContainsFunc(s.Suites, func(suite uint16) bool {
			return slices.Contains(suitesOfECDSA, suite) == (c.Kind != certificate.RSA)
		})
	}
	if s.MinVersion == tls.VersionTLS12 && len(l.params.GetCipherSuites()) > 0 && !some(serves) {
		d.warn(join(l.at, "suites"), "", "none of the listener's certificates is for one of these suites: nobody can use TLS 1.2")
	}
	if s.OCSP == server.OCSPRequire {
		for _, c := range list {
			if c.Kind != certificate.SM2 && len(c.OCSPServers) == 0 && c.Staple(d.now) == nil {
				d.warn(join(l.at, "ocsp"), "", "certificate %q names no OCSP responder and has no response: it is never served", c.Name)
			}
		}
	}
}
