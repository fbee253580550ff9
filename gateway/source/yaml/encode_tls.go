package yaml

import (
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstream "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	yaml "go.yaml.in/yaml/v4"

	"longmen/gateway/resource"
)

// listenerTLS writes the transport socket of a listener: the list of its secrets,
// if it says nothing else. It returns the application protocols that are offered.
func (e *encoder) listenerTLS(out *mapping, name string, socket *core.TransportSocket) (alpn []string) {
	if socket == nil {
		return nil
	}
	context := &tls.DownstreamTlsContext{}
	if err := socket.GetTypedConfig().UnmarshalTo(context); err != nil {
		e.fail("listener %q: %w", name, err)
		return nil
	}
	common := context.GetCommonTlsContext()
	values := e.handshaker("listener", name, common, resource.DownstreamTLSExtension)
	certs := texts(certificateNames(common))
	whole := &mapping{}
	whole.put("certs", certs)
	e.tlsSettings(whole, context, values)
	domains := &mapping{}
	for _, server := range sortedKeys(values.Messages("domains")) {
		domains.put(server, e.domain(name, values, server).node())
	}
	whole.sub("domains", domains)
	whole.value("ech", values, "ech")
	whole.value("strict_sni", values, "strict_sni")
	whole.value("plain", values, "plain")
	passthrough := &mapping{}
	for _, server := range sortedKeys(values.Names("passthrough")) {
		passthrough.put(server, text(values.Names("passthrough")[server]))
	}
	whole.sub("passthrough", passthrough)
	whole.value("crypto", values, "crypto")
	whole.word("keylog", common.GetKeyLog().GetPath())
	whole.value("handshake_timeout", values, "handshake_timeout")
	whole.value("max_handshakes", values, "max_handshakes")
	if len(whole.content) == 2 {
		out.put("tls", certs)
	} else {
		out.put("tls", whole.node())
	}
	return common.GetAlpnProtocols()
}

func (e *encoder) domain(name string, values resource.Values, server string) *mapping {
	own, out := &tls.DownstreamTlsContext{}, &mapping{}
	if err := resource.FromStruct(values.Messages("domains")[server], own); err != nil {
		e.fail("listener %q, domain %q: %w", name, server, err)
	}
	if protocols := own.GetCommonTlsContext().GetAlpnProtocols(); len(protocols) > 0 {
		out.put("protocols", texts(protocols))
	}
	e.tlsSettings(out, own, e.handshaker("listener", name, own.GetCommonTlsContext(), resource.DownstreamTLSExtension))
	return out
}

// handshaker reads what xDS has no field for.
func (e *encoder) handshaker(kind, name string, common *tls.CommonTlsContext, typeURL string) resource.Values {
	packed := common.GetCustomHandshaker().GetTypedConfig()
	if packed == nil {
		return resource.Values{}
	}
	values, err := resource.ExtendedAny(packed, typeURL)
	return e.extended(kind, name, values, err)
}

// certificateNames are the secrets that a context refers to; those of one list are
// one name.
func certificateNames(common *tls.CommonTlsContext) []string {
	var names []string
	parts := 0 // of the last name
	for _, ref := range common.GetTlsCertificateSdsSecretConfigs() {
		whole, isPart := partOf(ref.GetName(), parts)
		switch {
		case isPart && parts > 0 && whole == names[len(names)-1]:
			parts++
		case isPart && parts == 0:
			names, parts = append(names, whole), 1
		default:
			names, parts = append(names, ref.GetName()), 0
			if whole, first := partOf(ref.GetName(), 0); first {
				names[len(names)-1], parts = whole, 1
			}
		}
	}
	return names
}

func (e *encoder) tlsSettings(out *mapping, context *tls.DownstreamTlsContext, values resource.Values) {
	common := context.GetCommonTlsContext()
	tlsParams(out, common.GetTlsParams())
	validation, secret := peerValidation(common)
	if secret != "" || validation.GetTrustedCa() != nil {
		out.authorities("client_ca", validation.GetTrustedCa(), secret)
	}
	if config := validation.GetCustomValidatorConfig(); config != nil {
		e.spiffe(out, config)
	}
	e.peerTests(out, validation)
	if require := context.GetRequireClientCertificate(); require != nil {
		out.put("require", truth(require.GetValue()))
	}
	out.number("depth", validation.GetMaxVerifyDepth())
	switch keys := context.GetSessionTicketKeysType().(type) {
	case *tls.DownstreamTlsContext_DisableStatelessSessionResumption:
		out.word("tickets", map[bool]string{false: "on", true: "off"}[keys.DisableStatelessSessionResumption])
	case *tls.DownstreamTlsContext_SessionTicketKeysSdsSecretConfig:
		out.word("tickets", keys.SessionTicketKeysSdsSecretConfig.GetName())
	}
	if context.GetOcspStaplePolicy() == tls.DownstreamTlsContext_MUST_STAPLE {
		out.word("ocsp", "require")
	} else {
		out.value("ocsp", values, "ocsp")
	}
	e.earlyData(out, values)
	gm := &mapping{}
	gm.value("tlcp", values, "tlcp")
	gm.value("rfc8998", values, "rfc8998")
	out.sub("gm", gm)
}

func tlsParams(out *mapping, params *tls.TlsParameters) {
	versions := map[tls.TlsParameters_TlsProtocol]string{tls.TlsParameters_TLSv1_2: "1.2", tls.TlsParameters_TLSv1_3: "1.3"}
	out.word("min", versions[params.GetTlsMinimumProtocolVersion()])
	out.word("max", versions[params.GetTlsMaximumProtocolVersion()])
	if suites := params.GetCipherSuites(); len(suites) > 0 {
		out.put("suites", texts(suites))
	}
	if curves := params.GetEcdhCurves(); len(curves) > 0 {
		out.put("curves", texts(curves))
	}
}

// peerValidation gives what is said about a peer's certificate, and the secret
// with the authorities.
func peerValidation(common *tls.CommonTlsContext) (*tls.CertificateValidationContext, string) {
	switch held := common.GetValidationContextType().(type) {
	case *tls.CommonTlsContext_ValidationContext:
		return held.ValidationContext, ""
	case *tls.CommonTlsContext_ValidationContextSdsSecretConfig:
		return nil, held.ValidationContextSdsSecretConfig.GetName()
	case *tls.CommonTlsContext_CombinedValidationContext:
		combined := held.CombinedValidationContext
		return combined.GetDefaultValidationContext(), combined.GetValidationContextSdsSecretConfig().GetName()
	}
	return nil, ""
}

func (e *encoder) spiffe(out *mapping, config *core.TypedExtensionConfig) {
	validator, domains := &tls.SPIFFECertValidatorConfig{}, &mapping{}
	if err := config.GetTypedConfig().UnmarshalTo(validator); err != nil {
		e.fail("%s: %w", config.GetName(), err)
	}
	for _, domain := range validator.GetTrustDomains() {
		domains.source(domain.GetName(), domain.GetTrustBundle())
	}
	out.sub("spiffe", domains)
}

// peerTests writes the tests that clients and servers share.
func (e *encoder) peerTests(out *mapping, validation *tls.CertificateValidationContext) {
	out.source("crl", validation.GetCrl())
	var names []*yaml.Node
	for _, san := range validation.GetMatchTypedSubjectAltNames() {
		entry := &mapping{}
		for word, kind := range sanTypes {
			if kind == san.GetSanType() {
				entry.put(word, sanNode(san.GetMatcher()))
			}
		}
		names = append(names, entry.node())
	}
	if len(names) > 0 {
		out.put("san", list(names...))
	}
	if pins := validation.GetVerifyCertificateSpki(); len(pins) > 0 {
		out.put("pins", texts(pins))
	}
}

// sanNode writes a test of a name as a value match.
func sanNode(m *matcher.StringMatcher) *yaml.Node {
	test := &mapping{}
	stringTest(test, m)
	return valueNode(test, false, false)
}

func (e *encoder) clusterTLS(out *mapping, c *cluster.Cluster, options *upstream.HttpProtocolOptions) {
	if c.GetTransportSocket() == nil {
		return
	}
	context := &tls.UpstreamTlsContext{}
	if err := c.GetTransportSocket().GetTypedConfig().UnmarshalTo(context); err != nil {
		e.fail("cluster %q: %w", c.GetName(), err)
		return
	}
	common, whole := context.GetCommonTlsContext(), &mapping{}
	values := e.handshaker("cluster", c.GetName(), common, resource.UpstreamTLSExtension)
	validation, secret := peerValidation(common)
	if secret != "" || validation.GetTrustedCa() != nil {
		whole.authorities("ca", validation.GetTrustedCa(), secret)
	}
	if options.GetUpstreamHttpProtocolOptions().GetAutoSni() {
		whole.word("sni", "request")
	} else {
		whole.word("sni", context.GetSni())
	}
	e.peerTests(whole, validation)
	if validation.GetTrustChainVerification() == tls.CertificateValidationContext_ACCEPT_UNTRUSTED {
		whole.put("insecure", truth(true))
	}
	for _, name := range certificateNames(common) {
		whole.word("cert", name)
	}
	tlsParams(whole, common.GetTlsParams())
	if protocols := common.GetAlpnProtocols(); len(protocols) > 0 {
		whole.put("alpn", texts(protocols))
	}
	whole.number("sessions", context.GetMaxSessionKeys())
	whole.value("protocol", values, "protocol")
	if len(whole.content) == 0 {
		out.put("tls", truth(true))
		return
	}
	out.put("tls", whole.node())
}
