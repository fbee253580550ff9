package yaml

import (
	"net/netip"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"longmen/gateway/resource"
)

// maxSessions bounds the sessions that are kept to resume.
const maxSessions = 1 << 16

// clusterTLS reads what a cluster says about TLS. What it says about names may be
// a part of the HTTP options, which are returned.
func (d *decoder) clusterTLS(f fields, out *cluster.Cluster) *core.UpstreamHttpProtocolOptions {
	v, ok := f.get("tls")
	if !ok {
		return nil
	}
	context := &tls.UpstreamTlsContext{CommonTlsContext: &tls.CommonTlsContext{}}
	t := fields{d: d, self: v}
	if v.isMap() {
		t = d.object(v, clusterTLSTable)
	} else if on, ok := d.boolean(v); ok && !on {
		d.failHint(v, "leave it out", "tls: false says nothing")
	}
	common, extra := context.CommonTlsContext, resource.Values{}
	common.TlsParams = d.tlsParams(t)
	insecure, named := d.serverAuth(t, common)
	options := d.sni(t, context, insecure || named)
	if v, ok := t.get("cert"); ok {
		common.TlsCertificateSdsSecretConfigs = d.certificates([]value{v})
	}
	if v, ok := t.get("alpn"); ok {
		for _, entry := range d.oneOrMore(v) {
			if word, ok := d.protocol(entry); ok {
				common.AlpnProtocols = append(common.AlpnProtocols, word)
			}
		}
	}
	context.MaxSessionKeys = t.uint32("sessions", 0, maxSessions)
	if word, ok := t.choice("protocol", "tls", "tlcp", "rfc8998"); ok {
		extra["protocol"] = word
	}
	common.CustomHandshaker = d.handshaker(v, resource.UpstreamTLSExtension, extra)
	out.TransportSocket = d.transport(v, context)
	return options
}

// serverAuth reads how a server's certificate is verified, and tells whether not
// at all, and whether by names that are written.
func (d *decoder) serverAuth(f fields, common *tls.CommonTlsContext) (insecure, named bool) {
	context, secret := &tls.CertificateValidationContext{}, ""
	if insecure, _ = f.flag("insecure"); insecure {
		for _, name := range []string{"ca", "crl", "san", "pins"} {
			if odd, ok := f.get(name); ok {
				d.at(odd.key, odd.path, "", "has no effect: insecure verifies nothing")
			}
		}
		context.TrustChainVerification = tls.CertificateValidationContext_ACCEPT_UNTRUSTED
		setValidation(common, context, "")
		return true, false
	}
	switch v, ok := f.get("ca"); {
	case !ok || v.scalar() && v.node.Value == "system":
		context.SystemRootCerts = &tls.CertificateValidationContext_SystemRootCerts{}
	default:
		context.TrustedCa, secret = d.authorities(v)
	}
	d.validation(f, context)
	setValidation(common, context, secret)
	return false, len(context.MatchTypedSubjectAltNames) > 0
}

// sni reads where the server name comes from. It is verified, unless something
// else is in its place.
func (d *decoder) sni(f fields, context *tls.UpstreamTlsContext, otherwise bool) *core.UpstreamHttpProtocolOptions {
	name := "endpoint"
	if v, ok := f.get("sni"); ok {
		if name, ok = d.word(v); !ok {
			return nil
		}
		if _, err := netip.ParseAddr(name); err == nil {
			d.failHint(v, "leave sni out: the endpoint's address is verified", "an IP address is no server name (RFC 6066 section 3)")
			return nil
		}
		if !isHostName(name) {
			d.fail(v, "%q is no server name", clip(name))
			return nil
		}
	}
	switch name {
	case "request":
		return &core.UpstreamHttpProtocolOptions{AutoSni: true, AutoSanValidation: !otherwise}
	case "endpoint":
		context.AutoHostSni = true
	default:
		context.Sni = name
	}
	context.AutoSniSanValidation = !otherwise
	return nil
}
