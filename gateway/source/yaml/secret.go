package yaml

import (
	"path/filepath"
	"slices"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"longmen/gateway/resource"
)

// maxPairs bounds the certificates under one name.
const maxPairs = 16

// secrets reads one entry of "secrets": a secret, or a list of certificates, each
// of which is a Secret of its own.
func (d *decoder) secrets(v value) []*tls.Secret {
	name := v.key.Value
	d.pairs[name] = 0
	if !v.isList() {
		return []*tls.Secret{d.secret(v, name)}
	}
	var list []*tls.Secret
	for i, entry := range d.items(v) {
		out := d.secret(entry, string(item(resource.Path(name), i)))
		if out.GetTlsCertificate() == nil && out.Type != nil {
			d.fail(entry, "only certificates can stand together under one name")
		}
		list = append(list, out)
	}
	switch d.pairs[name] = len(v.node.Content); {
	case len(v.node.Content) == 0:
		d.fail(v, "must name at least one certificate")
	case len(v.node.Content) > maxPairs:
		d.fail(v, "%d certificates: at most %d can stand under one name", len(v.node.Content), maxPairs)
	}
	return list
}

func (d *decoder) secret(v value, name string) *tls.Secret {
	f := d.object(v, secretTable)
	out := &tls.Secret{Name: name}
	there := f.exclusive("cert", "sm2", "acme", "ca", "ticket_secret", "ticket_keys", "ech")
	if len(there) == 0 {
		f.missing("cert", "a certificate (or sm2, acme, ca, ticket_secret, ticket_keys or ech)", "key", "sm2", "acme", "ca", "ticket_secret", "ticket_keys", "ech")
		return out
	}
	for _, extra := range [][2]string{{"key", "cert"}, {"ocsp", "cert"}, {"crl", "ca"}} {
		if odd, ok := f.get(extra[0]); ok && !slices.Contains(there, extra[1]) {
			d.at(odd.key, odd.path, "", "%s goes with %s", extra[0], extra[1])
		}
	}
	switch there[0] {
	case "cert":
		out.Type = &tls.Secret_TlsCertificate{TlsCertificate: d.certificate(f)}
	case "sm2":
		out.Type = &tls.Secret_TlsCertificate{TlsCertificate: d.sm2(f.written("sm2"))}
	case "acme":
		out.Type = &tls.Secret_TlsCertificate{TlsCertificate: d.acme(f.written("acme"))}
	case "ca":
		context := &tls.CertificateValidationContext{TrustedCa: d.source(f.written("ca"))}
		if v, ok := f.get("crl"); ok {
			context.Crl = d.source(v)
		}
		out.Type = &tls.Secret_ValidationContext{ValidationContext: context}
	case "ticket_secret":
		out.Type = &tls.Secret_GenericSecret{GenericSecret: &tls.GenericSecret{Secret: d.source(f.written("ticket_secret"))}}
	case "ticket_keys":
		keys, written := &tls.TlsSessionTicketKeys{}, f.written("ticket_keys")
		for _, entry := range d.oneOrMore(written) {
			keys.Keys = append(keys.Keys, d.source(entry))
		}
		if len(keys.Keys) == 0 {
			d.fail(written, "must name at least one file")
		}
		out.Type = &tls.Secret_SessionTicketKeys{SessionTicketKeys: keys}
	case "ech":
		keys, written := map[string]*core.DataSource{}, f.written("ech")
		for i, entry := range d.oneOrMore(written) {
			keys[resource.ECHName(i)] = d.source(entry)
		}
		if len(keys) == 0 {
			d.fail(written, "must name at least one file")
		}
		out.Type = &tls.Secret_GenericSecret{GenericSecret: &tls.GenericSecret{Secrets: keys}}
	}
	return out
}

func (d *decoder) certificate(f fields) *tls.TlsCertificate {
	out := &tls.TlsCertificate{CertificateChain: d.source(f.written("cert"))}
	if v, ok := f.get("key"); ok {
		out.PrivateKey = d.source(v)
	} else {
		f.missing("key", "the file of the certificate's private key")
	}
	if v, ok := f.get("ocsp"); ok {
		out.OcspStaple = d.source(v)
	}
	return out
}

// sm2 reads a pair of SM2 certificates: the first one is what xDS has room for.
func (d *decoder) sm2(v value) *tls.TlsCertificate {
	f := d.object(v, sm2Table)
	var sources [4]*core.DataSource
	for i, name := range []string{"sign", "encrypt"} {
		v, ok := f.get(name)
		if !ok {
			f.missing(name, "[certificate, key]")
			continue
		}
		pair := d.items(v)
		if v.isList() && len(v.node.Content) != 2 {
			d.fail(v, "must be a certificate and its key: [%s.crt, %s.key]", name, name)
			continue
		}
		for j, entry := range pair {
			sources[2*i+j] = d.source(entry)
		}
	}
	out := &tls.TlsCertificate{CertificateChain: sources[0], PrivateKey: sources[1]}
	if sources[2] == nil || sources[3] == nil {
		return out // reported
	}
	packed, err := resource.ExtendAny(resource.SM2Extension, resource.Values{"encrypt_certificate": sources[2], "encrypt_private_key": sources[3]})
	if err != nil {
		d.fail(v, "%v", err)
	}
	out.PrivateKeyProvider = &tls.PrivateKeyProvider{
		ProviderName: resource.Extension,
		ConfigType:   &tls.PrivateKeyProvider_TypedConfig{TypedConfig: packed},
	}
	return out
}

// source reads the name of a file, or what could stand in it: PEM text, a PKCS#11
// URI, or what a dump has in a key's place.
func (d *decoder) source(v value) *core.DataSource {
	s, ok := d.text(v)
	if !ok {
		return nil
	}
	if isInline(s) {
		odd := func(r rune) bool { return r < ' ' && r != '\n' || r > '~' }
		if strings.ContainsFunc(s, odd) {
			d.fail(v, "PEM text holds printable ASCII only")
			return nil
		}
		return &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: s}}
	}
	if s, ok = d.word(v); !ok {
		return nil
	}
	return &core.DataSource{Specifier: &core.DataSource_Filename{Filename: d.fileName(s)}}
}

func isInline(s string) bool {
	return strings.Contains(s, "-----BEGIN ") || strings.HasPrefix(s, "pkcs11:") || s == resource.Redacted
}

// fileName is the name of a file as the process opens it: what is written is
// relative to the folder of gateway.yaml.
func (d *decoder) fileName(s string) string {
	if filepath.IsAbs(s) || d.file == "" {
		return filepath.Clean(s)
	}
	return filepath.Join(filepath.Dir(d.file), s)
}

// authorities reads where the authorities of peers are: the name of a secret, or
// a file. A file has a dot or a slash in its name, unless a secret has that very
// name.
func (d *decoder) authorities(v value) (source *core.DataSource, secret string) {
	s, ok := d.text(v)
	if !ok {
		return nil, ""
	}
	if _, named := d.pairs[s]; !named && (isInline(s) || strings.ContainsAny(s, "./")) {
		return d.source(v), ""
	}
	secret, _ = d.word(v)
	return nil, secret
}

// certificates reads names of secrets. A name of several certificates refers to
// each of them.
func (d *decoder) certificates(list []value) []*tls.SdsSecretConfig {
	var out []*tls.SdsSecretConfig
	for _, entry := range list {
		name, ok := d.word(entry)
		if !ok {
			continue
		}
		if d.pairs[name] == 0 {
			out = append(out, sds(name))
		}
		for i := range d.pairs[name] {
			out = append(out, sds(string(item(resource.Path(name), i))))
		}
	}
	return out
}

// sds refers to a secret by name.
func sds(name string) *tls.SdsSecretConfig {
	return &tls.SdsSecretConfig{Name: name, SdsConfig: &core.ConfigSource{
		ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
		ResourceApiVersion:    core.ApiVersion_V3,
	}}
}
