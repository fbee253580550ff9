package snapshot

import (
	"strings"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"longmen/gateway/resource"
	"longmen/tls/verify"
)

// A policy is how peers are verified, made once for all that verify by the same.
type policy struct {
	verify *verify.Policy
	roots  *verify.Roots // nil with trust domains, and when nothing is verified
}

// policyKey identifies a policy.
type policyKey struct {
	peer sum
	mode verify.Mode
	role verify.Role
}

// peerPolicy compiles what a peer's certificate is verified by, or takes it from the
// snapshot before. Nil is reported.
func (c *compiler) peerPolicy(p *peerLayer, mode verify.Mode, role verify.Role) *policy {
	key := policyKey{p.digest(), mode, role}
	if known := c.next.policies[key]; known != nil {
		return known
	}
	made := c.previous.policies[key]
	if made == nil {
		made = c.newPolicy(p, mode, role)
	}
	if made != nil {
		c.next.policies[key] = made
	}
	return made
}

func (c *compiler) newPolicy(p *peerLayer, mode verify.Mode, role verify.Role) *policy {
	before := len(c.problems.Errors())
	config := verify.Config{Mode: mode, Role: role, Keys: p.pins}
	out := &policy{}
	switch {
	case p.authorities != nil:
		out.roots = c.roots(p.authorities.ca)
		config.CRLs = c.crls(p.authorities.crl)
	case p.system:
		roots, err := verify.SystemRoots()
		if err != nil {
			c.fail(p.at, "the system's authorities cannot be read: %v", err)
		}
		out.roots = roots
	}
	config.Roots = out.roots
	for _, domain := range p.spiffe {
		config.TrustDomains = append(config.TrustDomains, verify.TrustDomain{Name: domain.name, Roots: c.roots(domain.bundle)})
	}
	if p.crl != nil {
		config.CRLs = c.crls(p.crl)
	}
	if n := c.number(join(p.at, "depth"), p.depth, 1, 100, 100); n > 0 {
		config.MaxDepth = n
	}
	for i, name := range p.names {
		if match, ok := c.nameMatch(c.listed(join(p.at, "san"), i, len(p.names)), name); ok {
			config.Names = append(config.Names, match)
		}
	}
	if len(c.problems.Errors()) > before {
		return nil
	}
	var err error
	if out.verify, err = verify.New(config); err != nil {
		c.fail(p.at, "%v", err)
		return nil
	}
	return out
}

func (c *compiler) roots(k *content) *verify.Roots {
	text, ok := k.bytes()
	if !ok {
		return nil
	}
	roots, err := verify.ParseRoots(text)
	if err != nil {
		c.fail(k.at, "%s", k.about(err))
		return nil
	}
	return roots
}

func (c *compiler) crls(k *content) *verify.CRLs {
	if k == nil {
		return nil
	}
	text, ok := k.bytes()
	if !ok {
		return nil
	}
	lists, err := verify.ParseCRLs(text)
	if err != nil {
		c.fail(k.at, "%s", k.about(err))
		return nil
	}
	return lists
}

// about is an error with the file that it is about.
func (k *content) about(err error) string {
	if k.from == "" {
		return err.Error()
	}
	return k.from + ": " + err.Error()
}

var nameKinds = map[tlsv3.SubjectAltNameMatcher_SanType]verify.NameKind{
	tlsv3.SubjectAltNameMatcher_DNS: verify.DNS, tlsv3.SubjectAltNameMatcher_URI: verify.URI,
	tlsv3.SubjectAltNameMatcher_EMAIL: verify.Email, tlsv3.SubjectAltNameMatcher_IP_ADDRESS: verify.IP,
}

// nameMatch reads a test of the names in a certificate.
func (c *compiler) nameMatch(at resource.Path, m *tlsv3.SubjectAltNameMatcher) (out verify.NameMatch, ok bool) {
	c.only(at, m, "san_type", "matcher")
	if out.Kind, ok = nameKinds[m.GetSanType()]; !ok {
		c.fail(at, "SubjectAltNameMatcher.san_type: %v is not supported by this version yet", m.GetSanType())
		return out, false
	}
	if m.GetMatcher() == nil {
		c.fail(at, "SubjectAltNameMatcher.matcher is missing")
		return out, false
	}
	c.only(at, m.GetMatcher(), "exact", "prefix", "suffix", "contains", "safe_regex", "ignore_case")
	out.IgnoreCase = m.GetMatcher().GetIgnoreCase()
	switch p := m.GetMatcher().GetMatchPattern().(type) {
	case *matcher.StringMatcher_Exact:
		out.Comparison, out.Value = verify.Exact, p.Exact
	case *matcher.StringMatcher_Prefix:
		out.Comparison, out.Value = verify.Prefix, p.Prefix
	case *matcher.StringMatcher_Suffix:
		out.Comparison, out.Value = verify.Suffix, p.Suffix
	case *matcher.StringMatcher_Contains:
		out.Comparison, out.Value = verify.Contains, p.Contains
	case *matcher.StringMatcher_SafeRegex:
		c.only(at, p.SafeRegex, "google_re2", "regex")
		out.Comparison, out.Value = verify.Regex, p.SafeRegex.GetRegex()
	}
	if _, err := verify.New(verify.Config{Names: []verify.NameMatch{out}}); err != nil {
		c.fail(at, "%s", strings.TrimPrefix(err.Error(), "expected subject alternative name: "))
		return out, false
	}
	return out, true
}
