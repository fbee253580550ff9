package yaml

import (
	"encoding/base64"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func (d *decoder) clientAuth(f fields, out *tls.DownstreamTlsContext) {
	if on, ok := f.flag("require"); ok {
		out.RequireClientCertificate = wrapperspb.Bool(on)
	}
	f.exclusive("client_ca", "spiffe")
	context, secret := &tls.CertificateValidationContext{}, ""
	if v, ok := f.get("client_ca"); ok {
		context.TrustedCa, secret = d.authorities(v)
	}
	if v, ok := f.get("spiffe"); ok {
		context.CustomValidatorConfig = d.spiffe(v)
	}
	d.validation(f, context)
	if n := f.uint32("depth", 1, 100); n != nil {
		context.MaxVerifyDepth = n
	}
	setValidation(out.CommonTlsContext, context, secret)
}

// validation reads the tests of a peer's certificate that clients and servers share.
func (d *decoder) validation(f fields, context *tls.CertificateValidationContext) {
	if v, ok := f.get("crl"); ok {
		context.Crl = d.source(v)
	}
	if v, ok := f.get("san"); ok {
		for _, entry := range d.oneOrMore(v) {
			context.MatchTypedSubjectAltNames = append(context.MatchTypedSubjectAltNames, d.san(entry))
		}
		if v.isList() && len(v.node.Content) == 0 {
			d.fail(v, "must have at least one name")
		}
	}
	if v, ok := f.get("pins"); ok {
		for _, entry := range d.oneOrMore(v) {
			if pin, ok := d.pin(entry); ok {
				context.VerifyCertificateSpki = append(context.VerifyCertificateSpki, pin)
			}
		}
		if v.isList() && len(v.node.Content) == 0 {
			d.fail(v, "must have at least one hash")
		}
	}
}

// pin reads a SHA-256 of a public key.
func (d *decoder) pin(v value) (string, bool) {
	s, ok := d.word(v)
	if !ok {
		return "", false
	}
	if raw, err := base64.StdEncoding.Strict().DecodeString(s); err != nil || len(raw) != 32 {
		d.failHint(v, "openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64",
			"%q is no SHA-256 in base64, which has 44 characters", clip(s))
		return "", false
	}
	return s, true
}

// san reads a name in a certificate.
func (d *decoder) san(v value) *tls.SubjectAltNameMatcher {
	f, out := d.object(v, sanTable), &tls.SubjectAltNameMatcher{}
	names := sanTable.names()
	there := f.exclusive(names...)
	if len(there) == 0 {
		f.missing("a name", "one of "+strings.Join(names, ", "), names...)
		return out
	}
	out.SanType = sanTypes[there[0]]
	out.Matcher = d.valueTest(f.written(there[0]), false, "present", "absent", "range", "not", "missing_as_empty").text
	return out
}

var sanTypes = map[string]tls.SubjectAltNameMatcher_SanType{
	"dns": tls.SubjectAltNameMatcher_DNS, "uri": tls.SubjectAltNameMatcher_URI,
	"email": tls.SubjectAltNameMatcher_EMAIL, "ip": tls.SubjectAltNameMatcher_IP_ADDRESS,
}

func (d *decoder) spiffe(v value) *core.TypedExtensionConfig {
	config := &tls.SPIFFECertValidatorConfig{}
	entries := d.entries(v)
	for _, entry := range entries {
		if name := entry.key.Value; name == "*" || strings.HasPrefix(name, "*.") || !d.serverName(entry) {
			d.at(entry.key, entry.path, "", "%q is no trust domain", clip(name))
			continue
		}
		config.TrustDomains = append(config.TrustDomains, &tls.SPIFFECertValidatorConfig_TrustDomain{
			Name: entry.key.Value, TrustBundle: d.source(entry),
		})
	}
	if v.isMap() && len(entries) == 0 {
		d.fail(v, "must have at least one trust domain")
	}
	return &core.TypedExtensionConfig{Name: spiffeName, TypedConfig: d.pack(v, config)}
}

// setValidation puts a validation context into the place that it has with and
// without a secret.
func setValidation(common *tls.CommonTlsContext, context *tls.CertificateValidationContext, secret string) {
	switch empty := proto.Size(context) == 0; {
	case secret == "" && empty:
	case secret == "":
		common.ValidationContextType = &tls.CommonTlsContext_ValidationContext{ValidationContext: context}
	case empty:
		common.ValidationContextType = &tls.CommonTlsContext_ValidationContextSdsSecretConfig{ValidationContextSdsSecretConfig: sds(secret)}
	default:
		common.ValidationContextType = &tls.CommonTlsContext_CombinedValidationContext{
			CombinedValidationContext: &tls.CommonTlsContext_CombinedCertificateValidationContext{
				DefaultValidationContext: context, ValidationContextSdsSecretConfig: sds(secret),
			},
		}
	}
}
