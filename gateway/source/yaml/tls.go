package yaml

import (
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// The names that Envoy gives what is written here.
const (
	tlsName    = "envoy.transport_sockets.tls"
	spiffeName = "envoy.tls.cert_validator.spiffe"
)

// listenerTLS reads what a listener says about TLS, if it does.
func (d *decoder) listenerTLS(f fields, protocols []string, chain *listener.FilterChain) {
	v, ok := f.get("tls")
	if !ok {
		return
	}
	out := &tls.DownstreamTlsContext{CommonTlsContext: &tls.CommonTlsContext{AlpnProtocols: protocols}}
	if v.isMap() {
		d.downstream(v, out)
	} else {
		out.CommonTlsContext.TlsCertificateSdsSecretConfigs = d.certificates(d.oneOrMore(v))
		if v.isList() && len(v.node.Content) == 0 {
			d.fail(v, "must name at least one secret")
		}
	}
	chain.TransportSocket = d.transport(v, out)
}

func (d *decoder) downstream(v value, out *tls.DownstreamTlsContext) {
	f, common, extra := d.object(v, listenerTLSTable), out.CommonTlsContext, resource.Values{}
	if certs, ok := f.get("certs"); ok {
		common.TlsCertificateSdsSecretConfigs = d.certificates(d.oneOrMore(certs))
		if certs.isList() && len(certs.node.Content) == 0 {
			d.fail(certs, "must name at least one secret")
		}
	} else {
		f.missing("certs", "names of secrets with certificates")
	}
	d.tlsSettings(f, out, extra)
	if strict, ok := f.flag("strict_sni"); ok {
		extra["strict_sni"] = strict
		if strict {
			out.RequireSni = wrapperspb.Bool(true)
		}
	}
	if name, ok := f.word("ech"); ok {
		extra["ech"] = name
	}
	if plain, ok := f.flag("plain"); ok {
		extra["plain"] = plain
	}
	if v, ok := f.get("passthrough"); ok {
		d.passthrough(v, extra)
	}
	if word, ok := f.choice("crypto", "auto", "openssl", "go"); ok {
		extra["crypto"] = word
	}
	if file, ok := f.word("keylog"); ok {
		common.KeyLog = &tls.TlsKeyLog{Path: d.fileName(file)}
	}
	if wait, ok := f.span("handshake_timeout", 100*time.Millisecond); ok {
		if wait > 5*time.Minute {
			d.fail(f.written("handshake_timeout"), "%v: must be at most 5m", wait)
		}
		extra["handshake_timeout"] = wait
	}
	if n, ok := f.number("max_handshakes", 1, 1_000_000); ok {
		extra["max_handshakes"] = n
	}
	if v, ok := f.get("domains"); ok {
		d.domains(v, extra)
	}
	common.CustomHandshaker = d.handshaker(v, resource.DownstreamTLSExtension, extra)
}

// domains reads settings for some server names, each a context of its own.
func (d *decoder) domains(v value, extra resource.Values) {
	all := map[string]*structpb.Struct{}
	for _, entry := range d.entries(v) {
		if !d.serverName(entry) {
			continue
		}
		own, values := &tls.DownstreamTlsContext{CommonTlsContext: &tls.CommonTlsContext{}}, resource.Values{}
		settings := d.object(entry, domainTLSTable)
		if v, ok := settings.get("protocols"); ok {
			own.CommonTlsContext.AlpnProtocols = d.protocolList(v)
		}
		d.tlsSettings(settings, own, values)
		own.CommonTlsContext.CustomHandshaker = d.handshaker(entry, resource.DownstreamTLSExtension, values)
		message, err := resource.ToStruct(own)
		if err != nil {
			d.fail(entry, "%v", err)
			continue
		}
		all[entry.key.Value] = message
	}
	if len(all) > 0 {
		extra["domains"] = all
	}
}

func (d *decoder) passthrough(v value, extra resource.Values) {
	all := map[string]string{}
	for _, entry := range d.entries(v) {
		if cluster, ok := d.word(entry); ok && d.serverName(entry) {
			all[entry.key.Value] = cluster
		}
	}
	if len(all) > 0 {
		extra["passthrough"] = all
	}
}

// serverName checks a key that is a server name, "*." and a name, or "*".
func (d *decoder) serverName(entry value) bool {
	name := entry.key.Value
	rest := strings.TrimPrefix(name, "*.")
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	}
	switch {
	case name == "*":
	case strings.ToLower(name) != name:
		d.at(entry.key, entry.path, "did you mean "+strings.ToLower(clip(name))+"?", "%q: server names are in lower case here", clip(name))
		return false
	case rest == "" || len(rest) > 253 || strings.ContainsFunc(rest, odd) || strings.Contains(rest, "..") || rest[0] == '.' || rest[len(rest)-1] == '.':
		d.at(entry.key, entry.path, "", `%q is no server name such as "example.com", "*.example.com" or "*"`, clip(name))
		return false
	}
	return true
}

// tlsSettings reads what both a listener and a domain may say.
func (d *decoder) tlsSettings(f fields, out *tls.DownstreamTlsContext, extra resource.Values) {
	common := out.CommonTlsContext
	common.TlsParams = d.tlsParams(f)
	d.clientAuth(f, out)
	if v, ok := f.get("tickets"); ok {
		switch word, ok := d.word(v); {
		case !ok:
		case word == "on" || word == "off":
			out.SessionTicketKeysType = &tls.DownstreamTlsContext_DisableStatelessSessionResumption{DisableStatelessSessionResumption: word == "off"}
			out.DisableStatefulSessionResumption = word == "off"
		default:
			out.SessionTicketKeysType = &tls.DownstreamTlsContext_SessionTicketKeysSdsSecretConfig{SessionTicketKeysSdsSecretConfig: sds(word)}
		}
	}
	switch word, _ := f.choice("ocsp", "staple", "require", "off"); word {
	case "require":
		out.OcspStaplePolicy = tls.DownstreamTlsContext_MUST_STAPLE
	case "staple", "off":
		extra["ocsp"] = word
	}
	d.earlyData(f, extra)
	if v, ok := f.get("gm"); ok {
		gm := d.object(v, gmTable)
		for _, name := range []string{"tlcp", "rfc8998"} {
			if on, ok := gm.flag(name); ok {
				extra[name] = on
			}
		}
	}
}

// handshaker packs what xDS has no field for; nil when there is nothing.
func (d *decoder) handshaker(v value, typeURL string, extra resource.Values) *core.TypedExtensionConfig {
	packed, err := resource.ExtendAny(typeURL, extra)
	if err != nil {
		d.fail(v, "%v", err)
	}
	if packed == nil {
		return nil
	}
	return &core.TypedExtensionConfig{Name: resource.Extension, TypedConfig: packed}
}

// transport is the transport socket with a context.
func (d *decoder) transport(v value, context proto.Message) *core.TransportSocket {
	return &core.TransportSocket{Name: tlsName, ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: d.pack(v, context)}}
}
