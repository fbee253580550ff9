package yaml

import (
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	yaml "go.yaml.in/yaml/v4"

	"longmen/gateway/resource"
)

// secrets writes all secrets. Those with the names "shop[0]", "shop[1]" are one
// list.
func (e *encoder) secrets(all []*tls.Secret) *mapping {
	out := &mapping{}
	var name string
	var together []*yaml.Node
	end := func() {
		if len(together) > 0 {
			out.put(name, list(together...))
		}
		name, together = "", nil
	}
	for _, s := range all {
		whole, isPart := partOf(s.GetName(), len(together))
		switch {
		case isPart && whole == name:
			together = append(together, e.secret(s))
			continue
		case strings.HasSuffix(s.GetName(), "[0]"):
			end()
			name, together = strings.TrimSuffix(s.GetName(), "[0]"), []*yaml.Node{e.secret(s)}
			continue
		}
		end()
		out.put(s.GetName(), e.secret(s))
	}
	end()
	return out
}

// partOf reads a name such as "shop[1]", given its number.
func partOf(name string, number int) (whole string, ok bool) {
	return strings.CutSuffix(name, string(item("", number)))
}

func (e *encoder) secret(s *tls.Secret) *yaml.Node {
	out := &mapping{}
	switch held := s.GetType().(type) {
	case *tls.Secret_TlsCertificate:
		e.tlsCertificate(out, s.GetName(), held.TlsCertificate)
	case *tls.Secret_ValidationContext:
		out.source("ca", held.ValidationContext.GetTrustedCa())
		out.source("crl", held.ValidationContext.GetCrl())
	case *tls.Secret_GenericSecret:
		out.source("ticket_secret", held.GenericSecret.GetSecret())
		if keys := resource.ECHSources(held.GenericSecret); len(keys) > 0 {
			var files []string
			for _, key := range keys {
				files = append(files, sourceText(key))
			}
			out.put("ech", texts(files))
		}
	case *tls.Secret_SessionTicketKeys:
		var files []string
		for _, key := range held.SessionTicketKeys.GetKeys() {
			files = append(files, sourceText(key))
		}
		out.put("ticket_keys", texts(files))
	}
	return out.node()
}

func (e *encoder) tlsCertificate(out *mapping, name string, c *tls.TlsCertificate) {
	packed := c.GetPrivateKeyProvider().GetTypedConfig()
	if packed == nil {
		out.source("cert", c.GetCertificateChain())
		out.source("key", c.GetPrivateKey())
		out.source("ocsp", c.GetOcspStaple())
		return
	}
	if values, err := resource.ExtendedAny(packed, resource.ACMEExtension); err == nil {
		out.put("acme", acmeNode(values))
		return
	}
	values, err := resource.ExtendedAny(packed, resource.SM2Extension)
	values = e.extended("secret", name, values, err)
	pairs := &mapping{}
	pairs.put("sign", texts([]string{sourceText(c.GetCertificateChain()), sourceText(c.GetPrivateKey())}))
	pairs.put("encrypt", texts([]string{sourceText(values.Source("encrypt_certificate")), sourceText(values.Source("encrypt_private_key"))}))
	out.put("sm2", pairs.node())
}

// source writes a file's name or PEM text.
func (m *mapping) source(key string, s *core.DataSource) { m.word(key, sourceText(s)) }

func sourceText(s *core.DataSource) string {
	if s.GetInlineString() != "" {
		return s.GetInlineString()
	}
	if name := s.GetFilename(); isInline(name) {
		return "./" + name
	}
	return s.GetFilename()
}

// authorities writes a secret's name or a file, whose name has a slash.
func (m *mapping) authorities(key string, s *core.DataSource, secret string) {
	text := sourceText(s)
	if s.GetFilename() != "" && !strings.Contains(text, "/") {
		text = "./" + text
	}
	m.word(key, or(secret, text))
}
