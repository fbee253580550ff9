package ocsp

import (
	"time"

	"longmen/tls/certificate"
)

// Policy says whether a certificate is served without a valid staple: Envoy's
// ocsp_staple_policy. A certificate with the must-staple extension (RFC 7633)
// never is, since its clients would refuse it.
type Policy uint8

const (
	Lenient    Policy = iota // yes
	Strict                   // if it has none, not if the one that it has expired
	MustStaple               // no
)

// Usable says whether c may be served at now.
func (p Policy) Usable(c *certificate.Certificate, now time.Time) bool {
	switch {
	case c.Staple(now) != nil:
		return true
	case c.MustStaple || p == MustStaple:
		return false
	case p == Strict:
		return c.Staple(time.Time{}) == nil // at no time: there is none at all
	}
	return true
}
