package snapshot

import (
	"maps"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// tlsLayer is what a DownstreamTlsContext says about settings that a listener and
// its domains have: the layer of a domain lies on that of its listener.
type tlsLayer struct {
	at      resource.Path
	params  *tlsv3.TlsParameters
	alpn    []string
	require *wrapperspb.BoolValue
	peer    peerLayer
	tickets ticketLayer
	ocsp    string // "staple", "require", "off" or "" for unset
	values  resource.Values
}

// ticketLayer says how sessions are resumed.
type ticketLayer struct {
	set    bool
	off    bool
	secret string // "": keys of the process
}

// layer reads a context, all but what is of a listener as a whole.
func (c *compiler) layer(at resource.Path, context *tlsv3.DownstreamTlsContext) tlsLayer {
	common := context.GetCommonTlsContext()
	out := tlsLayer{
		at: at, params: common.GetTlsParams(), alpn: common.GetAlpnProtocols(),
		require: context.GetRequireClientCertificate(),
		peer:    c.peerLayer(at, common, "client_ca"),
		values:  c.handshaker(at, common, resource.DownstreamTLSExtension),
	}
	stateful := context.GetDisableStatefulSessionResumption()
	switch keys := context.GetSessionTicketKeysType().(type) {
	case *tlsv3.DownstreamTlsContext_SessionTicketKeysSdsSecretConfig:
		c.only(join(at, "tickets"), keys.SessionTicketKeysSdsSecretConfig, "name", "sds_config")
		out.tickets = ticketLayer{set: true, secret: keys.SessionTicketKeysSdsSecretConfig.GetName()}
	case *tlsv3.DownstreamTlsContext_DisableStatelessSessionResumption:
		out.tickets = ticketLayer{set: true, off: keys.DisableStatelessSessionResumption}
	case *tlsv3.DownstreamTlsContext_SessionTicketKeys:
		c.fail(join(at, "tickets"), "DownstreamTlsContext.session_ticket_keys is not supported: name a Secret")
	}
	if stateful != out.tickets.off {
		c.fail(join(at, "tickets"), "resumption by tickets and by session ids is switched off together or not at all")
	}
	switch context.GetOcspStaplePolicy() {
	case tlsv3.DownstreamTlsContext_LENIENT_STAPLING:
		out.ocsp, _ = out.values.Word("ocsp")
	case tlsv3.DownstreamTlsContext_MUST_STAPLE:
		out.ocsp = "require"
		if word, both := out.values.Word("ocsp"); both {
			c.fail(join(at, "ocsp"), "both MUST_STAPLE and %s", word)
		}
	default:
		c.fail(join(at, "ocsp"), "%v is not supported: a response that is not good is never stapled", context.GetOcspStaplePolicy())
	}
	return out
}

// handshaker reads what xDS has no field for.
func (c *compiler) handshaker(at resource.Path, common *tlsv3.CommonTlsContext, typeURL string) resource.Values {
	config := common.GetCustomHandshaker()
	if config == nil {
		return resource.Values{}
	}
	c.only(at, config, "name", "typed_config")
	if config.GetTypedConfig() == nil {
		c.fail(at, "CommonTlsContext.custom_handshaker has no typed_config")
		return resource.Values{}
	}
	values, err := resource.ExtendedAny(config.GetTypedConfig(), typeURL)
	if err != nil {
		c.fail(at, "CommonTlsContext.custom_handshaker: %v", err)
		return resource.Values{}
	}
	return values
}

// over lays a domain's settings on those of its listener.
func (own tlsLayer) over(base tlsLayer) tlsLayer {
	out := tlsLayer{at: own.at, params: &tlsv3.TlsParameters{}, alpn: base.alpn, require: base.require, tickets: base.tickets, ocsp: base.ocsp}
	for _, params := range []*tlsv3.TlsParameters{base.params, own.params} {
		if len(params.GetCipherSuites()) > 0 {
			out.params.CipherSuites = nil
		}
		if len(params.GetEcdhCurves()) > 0 {
			out.params.EcdhCurves = nil
		}
		if params != nil {
			proto.Merge(out.params, params)
		}
	}
	if len(own.alpn) > 0 {
		out.alpn = own.alpn
	}
	if own.require != nil {
		out.require = own.require
	}
	if own.tickets.set {
		out.tickets = own.tickets
	}
	if own.ocsp != "" {
		out.ocsp = own.ocsp
	}
	out.peer = own.peer.over(base.peer)
	out.values = maps.Clone(base.values)
	maps.Copy(out.values, own.values)
	return out
}
