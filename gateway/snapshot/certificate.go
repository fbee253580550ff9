package snapshot

import (
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"longmen/gateway/resource"
	"longmen/tls/certificate"
	"longmen/tls/ocsp"
	"longmen/tls/openssl"
	"longmen/tls/sign"
	"longmen/tls/verify"
)

// expiresSoon is from when on the end of a certificate is worth a warning: what
// renews certificates by itself does so earlier.
const expiresSoon = 14 * 24 * time.Hour

// pair is what a certificate is made of. All but cert and key may be nil.
type pair struct {
	at                      resource.Path
	cert, key               *content
	encryptCert, encryptKey *content // of an SM2 pair
	ocsp                    *content
	ordered                 bool // by ACME: renewed by itself
}

// pair finds the contents of a TlsCertificate.
func (c *compiler) pair(at resource.Path, name string, t *tlsv3.TlsCertificate) (*pair, bool) {
	c.only(at, t, "certificate_chain", "private_key", "private_key_provider", "ocsp_staple")
	out, good := &pair{at: at}, true
	take := func(part string, s *core.DataSource) *content {
		k, ok := c.content(join(at, part), s)
		good = good && ok
		return k
	}
	provider := t.GetPrivateKeyProvider()
	if provider == nil {
		out.cert, out.key = take("cert", t.GetCertificateChain()), take("key", t.GetPrivateKey())
		if good && out.cert.from != "" && out.cert.from == out.key.from {
			out.key.reading = out.cert.reading // one file with both is read once
		}
		if t.GetOcspStaple() != nil {
			out.ocsp = take("ocsp", t.GetOcspStaple())
		}
		return out, good
	}
	c.only(at, provider, "provider_name", "typed_config")
	if provider.GetProviderName() != resource.Extension {
		c.fail(at, "PrivateKeyProvider.provider_name: %q is not supported by this version yet", provider.GetProviderName())
		return nil, false
	}
	if t.GetOcspStaple() != nil {
		c.fail(at, "TlsCertificate.ocsp_staple of an SM2 pair is not supported: TLCP has no OCSP")
	}
	values, err := resource.ExtendedAny(provider.GetTypedConfig(), resource.SM2Extension)
	if err != nil {
		c.fail(at, "PrivateKeyProvider.typed_config: %v", err)
		return nil, false
	}
	out.cert, out.key = take("sm2.sign[0]", t.GetCertificateChain()), take("sm2.sign[1]", t.GetPrivateKey())
	out.encryptCert = take("sm2.encrypt[0]", values.Source("encrypt_certificate"))
	out.encryptKey = take("sm2.encrypt[1]", values.Source("encrypt_private_key"))
	return out, good
}

// certificate gives the certificate of a secret with its key held as the policy
// says: the one of before, if nothing about it has changed. role is what it shows
// the gateway to be. Nil is reported.
func (c *compiler) certificate(name string, policy sign.Policy, role verify.Role) *certificate.Certificate {
	s := c.find(name)
	made, known := s.heldBy(policy)
	if !known {
		if old := c.previous.secrets[name]; old != nil && old.hash == s.hash && old.sum == s.sum {
			made, _ = old.heldBy(policy)
		}
		if made == nil {
			made = c.parse(c.parts[name].pair, name, policy)
		}
		s.certificates = append(s.certificates, held{policy, made})
	}
	if made != nil {
		c.judge(c.parts[name].pair, made, role)
	}
	return made
}

// parse makes a certificate of its contents.
func (c *compiler) parse(p *pair, name string, policy sign.Policy) *certificate.Certificate {
	whole, _, _ := strings.Cut(name, "\x00") // one of those that a secret orders
	source := certificate.Source{Name: whole}
	read := func(cert, key *content) (out certificate.Pair, ok bool) {
		certText, ok := cert.bytes()
		keyText, both := key.bytes()
		return certificate.Pair{Cert: certText, Key: keyText, CertFrom: cert.from, KeyFrom: key.from}, ok && both
	}
	defer func() {
		for _, k := range []*content{p.cert, p.key, p.encryptCert, p.encryptKey} {
			k.forget()
		}
	}()
	var ok bool
	if source.Pair, ok = read(p.cert, p.key); !ok {
		return nil
	}
	if p.encryptCert != nil {
		encrypt, ok := read(p.encryptCert, p.encryptKey)
		if !ok {
			return nil
		}
		source.Encrypt = &encrypt
	}
	parser := c.parsers[policy]
	if parser == nil {
		parser = &certificate.Parser{Policy: policy, Token: openssl.Token{Refused: c.next.refusedPINs}}
		c.parsers[policy] = parser
	}
	made, err := parser.Parse(source)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			c.fail(p.placeOf(line), "%s", strings.TrimSuffix(line, "\n"))
		}
		return nil
	}
	c.staple(p, made)
	return made
}

// staple puts the OCSP response of a file to a certificate. One that is no good
// is not sent: the certificate is served without.
func (c *compiler) staple(p *pair, made *certificate.Certificate) {
	if p.ocsp == nil {
		return
	}
	der, ok := p.ocsp.bytes()
	if !ok {
		return
	}
	response, err := ocsp.Parse(der, made.Chain, c.now)
	if err != nil {
		c.warn(p.ocsp.at, "", "%s: the OCSP response is not stapled: %v", p.ocsp.from, err)
		return
	}
	made.SetStaple(&certificate.Staple{DER: response.DER, Expires: response.NextUpdate})
}

// placeOf finds the part that a message is about, by what it begins with.
func (p *pair) placeOf(message string) resource.Path {
	for _, k := range []*content{p.key, p.encryptCert, p.encryptKey} {
		if k != nil && k.from != "" && strings.HasPrefix(message, k.from+":") {
			return k.at
		}
	}
	if strings.HasPrefix(message, "the key of secret") {
		return p.key.at
	}
	return p.cert.at
}

// judge tells what peers will not like about a certificate. It is served all the
// same: one of many must not keep the others from being served.
func (c *compiler) judge(p *pair, made *certificate.Certificate, role verify.Role) {
	as := judged{made, role}
	if c.judged[as] {
		return
	}
	c.judged[as] = true
	soon := expiresSoon
	if p.ordered {
		soon = min(soon, made.NotAfter.Sub(made.NotBefore)/6) // short lives are renewed late
	}
	for _, problem := range made.Problems(c.now, soon) {
		if role == verify.Client && strings.Contains(problem.Text, "does not allow servers") {
			continue // it need not
		}
		c.warn(p.placeOf(problem.Text), "", "%s", problem.Text)
	}
}

// judged is a certificate that was judged as what it shows the gateway to be.
type judged struct {
	made *certificate.Certificate
	role verify.Role
}
