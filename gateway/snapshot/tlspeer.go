package snapshot

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// peerLayer is what a context says about the peer's certificate.
type peerLayer struct {
	at          resource.Path
	system      bool // the system's authorities
	insecure    bool // nothing is verified
	authorities *authorities
	spiffe      []trustDomain
	crl         *content // in place of the authorities' own
	names       []*tlsv3.SubjectAltNameMatcher
	pins        [][sha256.Size]byte
	depth       *wrapperspb.UInt32Value
	wrong       bool // a part of it could not be read, which is reported
}

// trustDomain is a SPIFFE trust domain and its authorities.
type trustDomain struct {
	name   string
	bundle *content
}

// asks tells whether there is something to verify certificates by.
func (p *peerLayer) asks() bool { return p.authorities != nil || p.spiffe != nil || p.system }

// over lays what a domain says on what its listener says. Other authorities do
// not keep the revocation lists of those before.
func (own peerLayer) over(base peerLayer) peerLayer {
	out := base
	out.at = own.at
	if own.asks() || own.insecure {
		out.system, out.insecure, out.authorities, out.spiffe, out.crl = own.system, own.insecure, own.authorities, own.spiffe, nil
	}
	if own.crl != nil {
		out.crl = own.crl
	}
	if own.names != nil {
		out.names = own.names
	}
	if own.pins != nil {
		out.pins = own.pins
	}
	if own.depth != nil {
		out.depth = own.depth
	}
	out.wrong = own.wrong || base.wrong
	return out
}

// peerLayer reads a validation context, wherever it stands.
func (c *compiler) peerLayer(at resource.Path, common *tlsv3.CommonTlsContext, key string) peerLayer {
	out := peerLayer{at: at}
	var context *tlsv3.CertificateValidationContext
	switch held := common.GetValidationContextType().(type) {
	case nil:
		return out
	case *tlsv3.CommonTlsContext_ValidationContext:
		context = held.ValidationContext
	case *tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig:
		out.authorities = c.authoritySecret(join(at, key), held.ValidationContextSdsSecretConfig)
		out.wrong = out.authorities == nil
		return out
	case *tlsv3.CommonTlsContext_CombinedValidationContext:
		combined := held.CombinedValidationContext
		c.only(at, combined, "default_validation_context", "validation_context_sds_secret_config")
		context = combined.GetDefaultValidationContext()
		out.authorities = c.authoritySecret(join(at, key), combined.GetValidationContextSdsSecretConfig())
		out.wrong = out.authorities == nil
	default:
		c.only(at, common, "tls_params", "tls_certificate_sds_secret_configs", "alpn_protocols", "custom_handshaker", "key_log")
		return out
	}
	c.only(at, context, "trusted_ca", "crl", "system_root_certs", "verify_certificate_spki", "match_typed_subject_alt_names",
		"trust_chain_verification", "custom_validator_config", "max_verify_depth")
	c.validation(at, context, key, &out)
	return out
}

func (c *compiler) validation(at resource.Path, v *tlsv3.CertificateValidationContext, key string, out *peerLayer) {
	sources := 0
	for _, there := range []bool{out.authorities != nil || out.wrong, v.GetTrustedCa() != nil, v.GetSystemRootCerts() != nil, v.GetCustomValidatorConfig() != nil} {
		if there {
			sources++
		}
	}
	if sources > 1 {
		c.fail(at, "%d sources of authorities: a Secret, trusted_ca, system_root_certs or custom_validator_config stands alone", sources)
	}
	ok := true
	if v.GetTrustedCa() != nil {
		if out.authorities, ok = c.authorities(at, key, &tlsv3.CertificateValidationContext{TrustedCa: v.GetTrustedCa()}); !ok {
			out.wrong = true
		}
	}
	if out.system = v.GetSystemRootCerts() != nil; out.system {
		c.only(at, v.GetSystemRootCerts())
	}
	if v.GetCrl() != nil {
		if out.crl, ok = c.content(join(at, "crl"), v.GetCrl()); !ok {
			out.wrong = true
		}
	}
	if config := v.GetCustomValidatorConfig(); config != nil {
		c.spiffe(join(at, "spiffe"), config.GetTypedConfig(), out)
		c.only(at, config, "name", "typed_config")
	}
	out.insecure = v.GetTrustChainVerification() == tlsv3.CertificateValidationContext_ACCEPT_UNTRUSTED
	out.names, out.depth = v.GetMatchTypedSubjectAltNames(), v.GetMaxVerifyDepth()
	for i, pin := range v.GetVerifyCertificateSpki() {
		raw, err := base64.StdEncoding.DecodeString(pin)
		if err != nil || len(raw) != sha256.Size {
			c.fail(c.listed(join(at, "pins"), i, len(v.GetVerifyCertificateSpki())), "%q is no SHA-256 in base64", pin)
			out.wrong = true
			continue
		}
		out.pins = append(out.pins, [sha256.Size]byte(raw))
	}
}

// authoritySecret finds the Secret that a context takes authorities from.
func (c *compiler) authoritySecret(at resource.Path, ref *tlsv3.SdsSecretConfig) *authorities {
	c.only(at, ref, "name", "sds_config")
	if !c.refer(at, ref.GetName(), authoritySecret) {
		return nil
	}
	return c.parts[ref.GetName()].authorities
}

// digest identifies all that a peer's certificate is verified by.
func (p *peerLayer) digest() sum {
	h := sha256.New()
	fmt.Fprintln(h, p.system, p.insecure, p.depth.GetValue(), p.depth != nil, len(p.names), len(p.pins), len(p.spiffe))
	all := []*content{p.crl}
	if p.authorities != nil {
		all = append(all, p.authorities.ca, p.authorities.crl)
	}
	for _, domain := range p.spiffe {
		fmt.Fprintln(h, domain.name)
		all = append(all, domain.bundle)
	}
	together := sumOf(all...)
	h.Write(together[:])
	for _, name := range p.names {
		raw, _ := proto.MarshalOptions{Deterministic: true}.Marshal(name)
		fmt.Fprintf(h, "%d %s", len(raw), raw)
	}
	for _, pin := range p.pins {
		h.Write(pin[:])
	}
	return sum(h.Sum(nil))
}

// spiffe reads the authorities of SPIFFE trust domains.
func (c *compiler) spiffe(at resource.Path, packed *anypb.Any, out *peerLayer) {
	var config tlsv3.SPIFFECertValidatorConfig
	if !c.unpack(at, packed, &config) {
		out.wrong = true
		return
	}
	c.only(at, &config, "trust_domains")
	for _, domain := range config.GetTrustDomains() {
		where := join(at, domain.GetName())
		c.only(where, domain, "name", "trust_bundle")
		bundle, ok := c.content(where, domain.GetTrustBundle())
		if !ok {
			out.wrong = true
			continue
		}
		out.spiffe = append(out.spiffe, trustDomain{domain.GetName(), bundle})
	}
	if len(config.GetTrustDomains()) == 0 {
		c.fail(at, "SPIFFECertValidatorConfig.trust_domains is empty")
	}
}
