package verify

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/emmansun/gmsm/smx509"
)

// use is what a leaf is to be for: an extended key usage.
type use struct {
	std x509.ExtKeyUsage
	sm  smx509.ExtKeyUsage
}

var (
	clientUse = use{x509.ExtKeyUsageClientAuth, smx509.ExtKeyUsageClientAuth}
	serverUse = use{x509.ExtKeyUsageServerAuth, smx509.ExtKeyUsageServerAuth}
	anyUse    = use{x509.ExtKeyUsageAny, smx509.ExtKeyUsageAny}
)

func (r Role) use() use {
	if r == Server {
		return serverUse
	}
	return clientUse
}

// chain looks for a chain from the leaf, list[0], to one of roots that is not too
// deep and in which nothing is revoked.
func (p *Policy) chain(list []*certificate, roots *Roots, u use, now time.Time) *Error {
	chains, err := u.chains(list, roots, now)
	if err != nil && p.config.AllowExpired {
		if e := chainError(err, list[0]); e.Reason == Expired {
			chains, err = u.chains(list, roots, whenValid(list[0], now))
		}
	}
	if err != nil {
		return chainError(err, list[0])
	}
	var first *Error
	for _, chain := range chains {
		failure := p.acceptable(chain, now)
		if failure == nil {
			return nil
		}
		if first == nil {
			first = failure
		}
	}
	return first
}

// whenValid is the time nearest to now at which c is valid.
func whenValid(c *certificate, now time.Time) time.Time {
	switch {
	case now.Before(c.notBefore):
		return c.notBefore
	case now.After(c.notAfter):
		return c.notAfter
	}
	return now
}

func (p *Policy) acceptable(chain []*certificate, now time.Time) *Error {
	if depth := len(chain) - 1; depth > p.config.MaxDepth {
		return &Error{TooDeep, chain[0].subject(), fmt.Errorf("%d CAs, the limit is %d", depth, p.config.MaxDepth)}
	}
	if p.config.CRLs == nil {
		return nil
	}
	for i := range len(chain) - 1 { // the trusted CA itself is not revoked but taken out of the file
		if i > 0 && p.config.CRLLeafOnly {
			break
		}
		if err := p.config.CRLs.check(chain[i], chain[i+1], now, p.config.CRLStale); err != nil {
			return err
		}
	}
	return nil
}

// chains are all chains, leaf first, that the certificates and roots make.
func (u use) chains(list []*certificate, roots *Roots, now time.Time) ([][]*certificate, error) {
	for _, c := range list {
		if c.std == nil {
			return u.chainsSM(list, roots, now)
		}
	}
	options := x509.VerifyOptions{Roots: roots.std, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{u.std}}
	for _, c := range list[1:] {
		options.Intermediates.AddCert(c.std)
	}
	found, err := list[0].std.Verify(options)
	if err != nil {
		return nil, err
	}
	chains := make([][]*certificate, len(found))
	for i, chain := range found {
		for _, c := range chain {
			chains[i] = append(chains[i], fromStandard(c))
		}
	}
	return chains, nil
}

func (u use) chainsSM(list []*certificate, roots *Roots, now time.Time) ([][]*certificate, error) {
	options := smx509.VerifyOptions{Roots: roots.sm, Intermediates: smx509.NewCertPool(), CurrentTime: now, KeyUsages: []smx509.ExtKeyUsage{u.sm}}
	leaf, err := list[0].asSM()
	if err != nil {
		return nil, err
	}
	for _, c := range list[1:] {
		intermediate, err := c.asSM()
		if err != nil {
			return nil, err
		}
		options.Intermediates.AddCert(intermediate)
	}
	found, err := leaf.Verify(options)
	if err != nil {
		return nil, err
	}
	chains := make([][]*certificate, len(found))
	for i, chain := range found {
		for _, c := range chain {
			chains[i] = append(chains[i], fromSM(c))
		}
	}
	return chains, nil
}
