package snapshot

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
	"longmen/tls/certificate"
	"longmen/tls/client"
	"longmen/tls/sign"
	"longmen/tls/verify"
)

// defaultSessions is how many sessions a cluster keeps to resume.
const defaultSessions = 64

// clientTLS is a cluster's TLS and a hash of all that it is made of.
type clientTLS struct {
	hash   uint64
	config *client.Config
}

// clusterTLS compiles the transport socket of a cluster; names is what its HTTP
// options say about server names.
func (c *compiler) clusterTLS(at resource.Path, cl *clusterv3.Cluster, names *core.UpstreamHttpProtocolOptions, out *cluster.Config) {
	at = join(at, "tls")
	socket := cl.GetTransportSocket()
	if socket == nil {
		if names != nil {
			c.fail(at, "HttpProtocolOptions.upstream_http_protocol_options without TLS")
		}
		return
	}
	c.only(at, socket, "name", "typed_config")
	var context tlsv3.UpstreamTlsContext
	if socket.GetTypedConfig() == nil {
		c.fail(at, "TransportSocket.typed_config is missing")
		return
	}
	if !c.unpack(at, socket.GetTypedConfig(), &context) {
		return
	}
	before := len(c.problems.Errors())
	u := upstream{compiler: c, at: at, digest: newDigest(&context), protocol: out.Protocol}
	config := u.config(&context, names)
	if len(c.problems.Errors()) > before {
		return
	}
	made := clientTLS{combine(combine(u.digest.sum(), hash(names)), uint64(out.Protocol)), config}
	if old := c.previous.clusterTLS[cl.GetName()]; old.hash == made.hash && old.config != nil && old.config.Certificate == config.Certificate {
		made = old // connections that were made with it are kept
	}
	c.next.clusterTLS[cl.GetName()] = made
	out.TLS, out.Hash = made.config, combine(out.Hash, made.hash)
}

// upstream compiles the TLS of one cluster.
type upstream struct {
	*compiler
	at       resource.Path
	digest   *digest
	protocol cluster.Protocol // that is spoken in it
}

func (u *upstream) config(context *tlsv3.UpstreamTlsContext, names *core.UpstreamHttpProtocolOptions) *client.Config {
	at, common := u.at, context.GetCommonTlsContext()
	u.only(at, context, "common_tls_context", "sni", "auto_host_sni", "auto_sni_san_validation", "max_session_keys")
	u.only(at, common, "tls_params", "tls_certificate_sds_secret_configs", "validation_context", "validation_context_sds_secret_config",
		"combined_validation_context", "alpn_protocols", "custom_handshaker")
	params := u.params(at, common.GetTlsParams())
	out := &client.Config{
		MinVersion: params.min, MaxVersion: params.max, Suites: params.suites, Groups: params.groups,
		ALPN:     u.upstreamALPN(join(at, "alpn"), common.GetAlpnProtocols(), u.protocol),
		Sessions: u.number(join(at, "sessions"), context.GetMaxSessionKeys(), 0, 1<<16, defaultSessions),
	}
	switch word, _ := u.handshaker(at, common, resource.UpstreamTLSExtension).Word("protocol"); word {
	case "tlcp":
		out.Protocol = client.ProtocolTLCP
	case "rfc8998":
		out.Protocol = client.ProtocolRFC8998
	}
	if out.Protocol != client.ProtocolTLS && common.GetTlsParams() != nil {
		u.fail(at, "versions, suites and groups are of TLS: the protocol chosen here has its own")
	}
	out.Certificate = u.ownCertificate(common, out.Protocol)
	peer := u.peerLayer(at, common, "ca")
	u.serverName(context, names, &peer, out)
	u.serverAuth(&peer, out)
	return out
}

// ownCertificate finds the certificate that the server may ask for.
func (u *upstream) ownCertificate(common *tlsv3.CommonTlsContext, protocol client.Protocol) *certificate.Certificate {
	refs, at := common.GetTlsCertificateSdsSecretConfigs(), join(u.at, "cert")
	if len(refs) == 0 {
		return nil
	}
	if len(refs) > 1 {
		u.fail(at, "%d certificates: exactly one is supported by this version", len(refs))
		return nil
	}
	u.only(at, refs[0], "name", "sds_config")
	name := refs[0].GetName()
	if !u.refer(at, name, certificateSecret) {
		return nil
	}
	made := u.certificate(name, sign.Auto, verify.Client)
	if made == nil {
		return nil
	}
	u.digest.add(u.next.secrets[name].sum)
	sm2 := made.Kind == certificate.SM2
	switch {
	case protocol == client.ProtocolTLS && sm2:
		u.failHint(at, "write protocol: tlcp or protocol: rfc8998", "certificate %q is of SM2, which TLS cannot show", name)
	case protocol != client.ProtocolTLS && !sm2:
		u.fail(at, "certificate %q is of %s; this protocol needs SM2", name, made.Kind)
	case protocol == client.ProtocolTLCP && made.Encryption == nil:
		u.failHint(at, "write sm2: {sign: ..., encrypt: ...}", "certificate %q is no pair: TLCP needs one for encryption too", name)
	case !made.ForClient:
		u.warn(at, "", "%s: its extended key usage does not allow clients: servers refuse it", made.From)
	}
	return made
}

// serverName says which name is sent and verified.
func (u *upstream) serverName(context *tlsv3.UpstreamTlsContext, names *core.UpstreamHttpProtocolOptions, peer *peerLayer, out *client.Config) {
	at := join(u.at, "sni")
	u.only(at, names, "auto_sni", "auto_san_validation")
	sources := 0
	if context.GetAutoHostSni() {
		sources++
	}
	if context.GetSni() != "" {
		out.Name, out.ServerName = client.NameFixed, context.GetSni()
		sources++
	}
	if names.GetAutoSni() {
		out.Name = client.NameRequest
		sources++
	}
	if sources > 1 {
		u.fail(at, "sni, auto_host_sni and auto_sni stand together; only one may")
	}
	if len(out.ServerName) > 255 {
		u.fail(at, "UpstreamTlsContext.sni is longer than 255 bytes")
	}
	if (context.GetAutoSniSanValidation() || names.GetAutoSanValidation()) && (len(peer.names) > 0 || peer.insecure) {
		u.fail(at, "the server name is to be verified, but other names stand in its place, or nothing is verified")
	}
	if names.GetAutoSanValidation() && !names.GetAutoSni() {
		u.fail(at, "UpstreamHttpProtocolOptions.auto_san_validation without auto_sni")
	}
}

// serverAuth says how the server's certificate is verified: always, unless it is
// said that it is not.
func (u *upstream) serverAuth(peer *peerLayer, out *client.Config) {
	if peer.wrong {
		return
	}
	if peer.insecure {
		for part, there := range map[string]bool{"ca": peer.asks(), "crl": peer.crl != nil, "san": peer.names != nil, "pins": peer.pins != nil, "depth": peer.depth != nil} {
			if there {
				u.fail(join(u.at, part), "has no effect: nothing is verified")
			}
		}
		u.warn(join(u.at, "insecure"), "", "nothing is verified: whoever answers in the server's place is believed")
		out.Insecure = true
		return
	}
	if !peer.asks() {
		peer.system = true
	}
	if peer.system && out.Protocol != client.ProtocolTLS {
		u.failHint(join(u.at, "ca"), "write ca", "the system has no authorities for SM2")
		return
	}
	u.digest.add(peer.digest())
	made := u.peerPolicy(peer, verify.Require, verify.Server)
	if made == nil {
		return
	}
	out.Verify, out.Roots, out.AnyName = made.verify, made.roots, len(peer.names) > 0
}
