package snapshot

import (
	"crypto/tls"
	"maps"
	"slices"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"longmen/gateway/resource"
)

// The suites of TLS 1.2 by their names, those of xDS first: AEAD with ECDHE only.
var suites = map[string]uint16{
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,

	"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256":       tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256":         tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384":       tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384":         tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// The groups of the key exchange by their names.
var groups = map[string]tls.CurveID{
	"X25519MLKEM768": tls.X25519MLKEM768, "X25519": tls.X25519,
	"P-256": tls.CurveP256, "P-384": tls.CurveP384, "P-521": tls.CurveP521,
}

// tlsParams are versions, suites and groups with their defaults.
type tlsParams struct {
	min, max uint16
	suites   []uint16
	groups   []tls.CurveID
}

// params reads TlsParameters.
func (c *compiler) params(at resource.Path, p *tlsv3.TlsParameters) tlsParams {
	c.only(at, p, "tls_minimum_protocol_version", "tls_maximum_protocol_version", "cipher_suites", "ecdh_curves")
	out := tlsParams{
		min: c.tlsVersion(join(at, "min"), p.GetTlsMinimumProtocolVersion(), tls.VersionTLS12),
		max: c.tlsVersion(join(at, "max"), p.GetTlsMaximumProtocolVersion(), tls.VersionTLS13),
		suites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		groups: []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
	}
	if out.min > out.max {
		c.fail(join(at, "min"), "the least version, 1.3, is above the greatest, 1.2")
	}
	if len(p.GetCipherSuites()) > 0 {
		out.suites = nil
	}
	for i, name := range p.GetCipherSuites() {
		id, known := suites[name]
		if !known {
			c.failHint(item(join(at, "suites"), i), didYouMean(name, slices.Sorted(maps.Keys(suites))),
				"%q is no suite of TLS 1.2 that is spoken: those with ECDHE and AEAD are", name)
		} else if slices.Contains(out.suites, id) {
			c.fail(item(join(at, "suites"), i), "%s stands here twice", name)
		}
		out.suites = append(out.suites, id)
	}
	if len(p.GetEcdhCurves()) > 0 {
		out.groups = nil
	}
	for i, name := range p.GetEcdhCurves() {
		id, known := groups[name]
		if !known {
			c.failHint(item(join(at, "curves"), i), didYouMean(name, slices.Sorted(maps.Keys(groups))), "%q is no group that is spoken", name)
		} else if slices.Contains(out.groups, id) {
			c.fail(item(join(at, "curves"), i), "%s stands here twice", name)
		}
		out.groups = append(out.groups, id)
	}
	if len(p.GetCipherSuites()) > 0 && out.min == tls.VersionTLS13 {
		c.warn(join(at, "suites"), "", "has no effect: these are suites of TLS 1.2, and the least version is 1.3")
	}
	if out.min == tls.VersionTLS12 && len(out.groups) == 1 && out.groups[0] == tls.X25519MLKEM768 {
		c.fail(join(at, "curves"), "X25519MLKEM768 is of TLS 1.3 alone: TLS 1.2, which min allows, needs another group")
	}
	return out
}

func (c *compiler) tlsVersion(at resource.Path, v tlsv3.TlsParameters_TlsProtocol, fallback uint16) uint16 {
	switch v {
	case tlsv3.TlsParameters_TLS_AUTO:
	case tlsv3.TlsParameters_TLSv1_2:
		return tls.VersionTLS12
	case tlsv3.TlsParameters_TLSv1_3:
		return tls.VersionTLS13
	default:
		c.fail(at, "%v is not spoken: RFC 8996 forbids it", v)
	}
	return fallback
}
