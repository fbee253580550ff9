package server

import (
	"longmen/tls/certificate"
	"longmen/tls/verify"
)

// identity is what connections that are served with the certificate tell of it.
func (c *Config) identity(served *certificate.Certificate) *verify.Identity {
	if known, ok := c.identities.Load(served); ok {
		return known.(*verify.Identity)
	}
	own, _ := c.identities.LoadOrStore(served, verify.NewIdentity(served.Chain[0]))
	return own.(*verify.Identity)
}
