package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"longmen/gateway/resource"
	"longmen/tls/certificate"
	"longmen/tls/openssl"
	"longmen/tls/server"
	"longmen/tls/sign"
	"longmen/tls/verify"
)

// Defaults of TLS.
const (
	defaultHandshakeTimeout = 10 * time.Second
	defaultMaxHandshakes    = 1024
)

// listenerTLS compiles the transport socket of a listener. It returns with it a
// hash of all that it is made of, the contents of files too; nil is plain, or
// reported.
func (c *compiler) listenerTLS(at resource.Path, name string, spoken Protocols, socket *core.TransportSocket) (*server.Config, uint64) {
	if socket == nil {
		return nil, 0
	}
	at = join(at, "tls")
	var context tlsv3.DownstreamTlsContext
	c.only(at, socket, "name", "typed_config")
	if socket.GetTypedConfig() == nil {
		c.fail(at, "TransportSocket.typed_config is missing")
		return nil, 0
	}
	if !c.unpack(at, socket.GetTypedConfig(), &context) {
		return nil, 0
	}
	before := len(c.problems.Errors())
	d := downstream{compiler: c, at: at, name: name, spoken: spoken, digest: newDigest(&context)}
	config := d.config(&context)
	if len(c.problems.Errors()) > before {
		return nil, 0
	}
	total := d.digest.sum()
	for _, old := range c.previous.Listeners {
		if old.Name == name && old.TLS != nil && old.TLSHash == total && old.TLS.Certificates == config.Certificates {
			return old.TLS, total
		}
	}
	return config, total
}

// downstream compiles the TLS of one listener.
type downstream struct {
	*compiler
	at     resource.Path
	name   string // of the listener
	spoken Protocols
	digest *digest
	certs  *certificate.Table
	waits  bool // for certificates that ACME orders
}

func (d *downstream) config(context *tlsv3.DownstreamTlsContext) *server.Config {
	at, common := d.at, context.GetCommonTlsContext()
	d.only(at, context, "common_tls_context", "require_client_certificate", "require_sni", "session_ticket_keys",
		"session_ticket_keys_sds_secret_config", "disable_stateless_session_resumption", "disable_stateful_session_resumption", "ocsp_staple_policy")
	d.only(at, common, "tls_params", "tls_certificate_sds_secret_configs", "validation_context", "validation_context_sds_secret_config",
		"combined_validation_context", "alpn_protocols", "custom_handshaker", "key_log")
	base := d.layer(at, context)
	d.alpn(join(join("listeners", d.name), "protocols"), base.alpn, d.spoken, "")
	out := &server.Config{HandshakeTimeout: defaultHandshakeTimeout, MaxHandshakes: defaultMaxHandshakes}
	s := &settings{c: d.compiler, at: at, values: base.values}
	s.boolean("strict_sni", &out.StrictSNI)
	s.boolean("plain", &out.Plain)
	s.duration("handshake_timeout", 100*time.Millisecond, &out.HandshakeTimeout)
	s.count("max_handshakes", 1, 1_000_000, &out.MaxHandshakes)
	if context.GetRequireSni().GetValue() && !out.StrictSNI {
		d.fail(join(at, "strict_sni"), "DownstreamTlsContext.require_sni is not supported without the extension's strict_sni")
	}
	if log := common.GetKeyLog(); log != nil {
		d.only(join(at, "keylog"), log, "path")
		out.KeyLog = log.GetPath()
	}
	policy := sign.Auto
	if word := s.word("crypto"); word != "" {
		policy, _ = sign.ParsePolicy(word) // the extension's words are the policy's
		if policy == sign.OpenSSL && !openssl.Available() {
			d.failHint(join(at, "crypto"), "write crypto: auto, or build with cgo and OpenSSL's headers", "this build has no OpenSSL")
		}
	}
	for name, target := range base.values.Names("passthrough") {
		out.Passthrough.Set(name, target)
	}
	out.Certificates = d.certificates(common, policy, out)
	d.certs, d.waits = out.Certificates, len(out.Pending) > 0
	out.Default = d.settings("", base)
	d.domains(base, out)
	out.ECH = d.encrypted(s.word("ech"))
	d.judgeECH(out)
	d.judgeEarly(out)
	return out
}

// certificates finds the certificates of a listener; config has its passthrough.
func (d *downstream) certificates(common *tlsv3.CommonTlsContext, policy sign.Policy, config *server.Config) *certificate.Table {
	refs := common.GetTlsCertificateSdsSecretConfigs()
	if len(refs) == 0 {
		d.fail(join(d.at, "certs"), "no certificate: CommonTlsContext.tls_certificate_sds_secret_configs is empty")
		return nil
	}
	found := make([][]*certificate.Certificate, len(refs)) // by reference
	orders := make([]*ordering, len(refs))
	places := d.certificatePaths(d.at, refs)
	for i, ref := range refs {
		d.only(places[i], ref, "name", "sds_config")
		if o := d.parts[ref.GetName()].ordering; o != nil {
			orders[i] = o
			d.refer(places[i], ref.GetName(), acmeSecret)
			continue
		}
		if !d.refer(places[i], ref.GetName(), certificateSecret) {
			d.partial[d.name] = true
			continue
		}
		if made := d.certificate(ref.GetName(), policy, verify.Server); made != nil {
			found[i] = []*certificate.Certificate{made}
			d.digest.add(d.next.secrets[ref.GetName()].sum)
		} else {
			d.partial[d.name] = true
		}
	}
	list := slices.Concat(found...)
	static := certificate.NewTable(list)
	for i, o := range orders {
		if o != nil {
			found[i] = d.ordered(o, static, policy, config)
		}
	}
	list = slices.Concat(found...)
	for _, old := range d.previous.Listeners {
		if old.TLS != nil && old.Name == d.name && slices.Equal(old.TLS.Certificates.All(), list) {
			return old.TLS.Certificates
		}
	}
	return certificate.NewTable(list)
}

// certificatePaths are the places where references to secrets stand: references
// to the parts of one list of certificates are one name.
func (c *compiler) certificatePaths(at resource.Path, refs []*tlsv3.SdsSecretConfig) []resource.Path {
	list := join(at, "certs")
	if _, written := c.set.Origins.At(list); !written {
		list = at // tls: [shop, api]
	}
	paths := make([]resource.Path, len(refs))
	index, last := -1, ""
	for i, ref := range refs {
		whole, part, isPart := strings.Cut(ref.GetName(), "[")
		if !isPart || whole != last || part == "0]" {
			index++
		}
		last = ""
		if isPart {
			last = whole
		}
		paths[i] = item(list, index)
		if _, single := c.set.Origins.At(paths[i]); !single && index == 0 {
			paths[i] = list // certs: shop
		}
	}
	return paths
}

// domains compiles the settings of domains, each laid on the listener's.
func (d *downstream) domains(base tlsLayer, out *server.Config) {
	all := base.values.Messages("domains")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		at := join(join(d.at, "domains"), name)
		var context tlsv3.DownstreamTlsContext
		if err := resource.FromStruct(all[name], &context); err != nil {
			d.fail(at, "%v", err)
			continue
		}
		common := context.GetCommonTlsContext()
		d.only(at, &context, "common_tls_context", "require_client_certificate", "session_ticket_keys",
			"session_ticket_keys_sds_secret_config", "disable_stateless_session_resumption", "disable_stateful_session_resumption", "ocsp_staple_policy")
		d.only(at, common, "tls_params", "validation_context", "validation_context_sds_secret_config",
			"combined_validation_context", "alpn_protocols", "custom_handshaker")
		own := d.layer(at, &context)
		for _, key := range []string{"strict_sni", "plain", "ech", "passthrough", "domains", "crypto", "handshake_timeout", "max_handshakes"} {
			if _, set := own.values[key]; set {
				d.fail(join(at, key), "is of the listener as a whole")
			}
		}
		d.alpn(join(at, "protocols"), own.alpn, d.spoken, "write it in the listener's protocols too")
		out.Domains.Set(name, d.settings(name, own.over(base)))
	}
}

// settings compiles the settings of the listener (domain "") or one of its domains.
func (d *downstream) settings(domain string, l tlsLayer) *server.Settings {
	params := d.params(l.at, l.params)
	out := &server.Settings{
		MinVersion: params.min, MaxVersion: params.max, Suites: params.suites, Groups: params.groups,
		ALPN: l.alpn,
		TLCP: true, RFC8998: true,
	}
	s := &settings{c: d.compiler, at: join(l.at, "gm"), values: l.values}
	s.boolean("tlcp", &out.TLCP)
	s.boolean("rfc8998", &out.RFC8998)
	switch l.ocsp {
	case "require":
		out.OCSP = server.OCSPRequire
	case "off":
		out.OCSP = server.OCSPOff
	}
	d.clientAuth(l, out)
	if !d.partial[d.name] && d.certs != nil && !d.waits {
		d.unusable(l, out)
	}
	d.tickets(domain, l, out)
	d.earlyData(l, out)
	return out
}

// tickets finds the keys of session tickets. Each domain has a context of its own,
// which changes with all that its clients are verified by: a session that began
// under other rules is not resumed.
func (d *downstream) tickets(domain string, l tlsLayer, out *server.Settings) {
	if l.tickets.off {
		return
	}
	source := d.ownTickets()
	if name := l.tickets.secret; name != "" {
		if !d.refer(join(l.at, "tickets"), name, ticketSecret) {
			return
		}
		source = d.next.secrets[name].tickets
		d.digest.add(d.next.secrets[name].sum)
	}
	peer := l.peer.digest()
	out.Context = fmt.Sprintf("listener %s\x00%s\x00%x %v", d.name, domain, peer, l.require.GetValue())
	out.Tickets = source.Context(out.Context)
}

// clientAuth says whether clients must show certificates, and what these must be.
func (d *downstream) clientAuth(l tlsLayer, out *server.Settings) {
	p := &l.peer
	d.digest.add(p.digest())
	switch {
	case p.wrong:
		return
	case p.insecure:
		d.fail(join(l.at, "client_ca"), "CertificateValidationContext.trust_chain_verification: ACCEPT_UNTRUSTED is not supported for clients")
	case !p.asks():
		if l.require.GetValue() {
			d.failHint(join(l.at, "require"), "write client_ca", "no authority of client certificates is named: no client could come in")
		}
		for part, there := range map[string]bool{"crl": p.crl != nil, "san": p.names != nil, "pins": p.pins != nil, "depth": p.depth != nil} {
			if there {
				d.failHint(join(l.at, part), "write client_ca", "no authority of client certificates is named: clients are not asked for one")
			}
		}
		return
	case l.require == nil:
		d.warn(join(l.at, "client_ca"), "write require: true, or require: false if that is meant", "clients without a certificate are served too")
	}
	mode := verify.Request
	if l.require.GetValue() {
		mode = verify.Require
	}
	if made := d.peerPolicy(p, mode, verify.Client); made != nil {
		out.Clients, out.ClientRoots = made.verify, made.roots
	}
}
