package snapshot

import (
	"maps"
	"slices"
	"strings"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"longmen/gateway/resource"
	"longmen/tls/certificate"
	"longmen/tls/server"
	"longmen/tls/sign"
	"longmen/tls/verify"
)

// maxUncovered bounds the hosts of a listener that are named for want of a certificate.
const maxUncovered = 20

// uncovered finds hosts of listeners with TLS that no certificate is for, and
// settings for names that are never served.
func (c *compiler) uncovered() {
	tables := map[string]*route.RouteConfiguration{}
	for _, t := range c.set.Routes {
		tables[t.GetName()] = t
	}
	for i, l := range c.set.Listeners {
		config := c.next.Listeners[i].TLS
		if config == nil || c.partial[l.GetName()] {
			continue
		}
		at := join("listeners", l.GetName())
		c.uncoveredDomains(join(at, "tls"), config)
		switch m := peekManager(l); {
		case m.GetRouteConfig() != nil:
			c.uncoveredHosts(at, l, config, join(at, "routes"), m.GetRouteConfig())
		case m.GetRds() != nil:
			name := m.GetRds().GetRouteConfigName()
			c.uncoveredHosts(at, l, config, join("routes", name), tables[name])
		}
	}
}

func (c *compiler) uncoveredHosts(at resource.Path, l *listener.Listener, config *server.Config, table resource.Path, t *route.RouteConfiguration) {
	spare := spareNames(config.Certificates, t)
	count := 0
	for i, host := range t.GetVirtualHosts() {
		for j, domain := range host.GetDomains() {
			name, ok := serverNameOf(domain)
			if _, spliced := config.Passthrough.Find(name); !ok || spliced || config.Certificates.Covers(name) || config.Pending[name] {
				continue
			}
			if count++; count > maxUncovered {
				continue
			}
			hosts := join(item(table, i), "hosts")
			c.noCertificate(at, l, spare, name, c.listed(hosts, j, len(host.GetDomains())))
		}
	}
	if count > maxUncovered {
		c.warn(join(at, "tls"), "", "no certificate covers %d more hosts", count-maxUncovered)
	}
}

// serverNameOf is the name, or "*." and a name, that clients of a virtual host's
// domain send; none for patterns that a certificate cannot have.
func serverNameOf(domain string) (string, bool) {
	if colon := strings.LastIndexByte(domain, ':'); colon >= 0 && !strings.HasSuffix(domain, "]") {
		domain = domain[:colon]
	}
	rest := strings.TrimPrefix(domain, "*.")
	return strings.ToLower(domain), rest != "" && !strings.Contains(rest, "*")
}

// noCertificate reports a host that no certificate covers, at the certificate that
// was probably meant to.
func (c *compiler) noCertificate(at resource.Path, l *listener.Listener, spare map[string]*certificate.Certificate, host string, hostAt resource.Path) {
	about := join(at, "tls")
	line := c.line(hostAt, about)
	var socket tlsv3.DownstreamTlsContext
	if transportSocket(l).GetTypedConfig().UnmarshalTo(&socket) != nil {
		return // compiled before
	}
	refs := socket.GetCommonTlsContext().GetTlsCertificateSdsSecretConfigs()
	if name, ok := resource.Nearest(host, slices.Sorted(maps.Keys(spare))); ok {
		near := spare[name]
		for i, ref := range refs {
			if ref.GetName() != near.Name {
				continue
			}
			p := c.set.Origins.Problem(about, c.certificatePaths(about, refs)[i], "certificate %q (%s) is for %s; no certificate covers %s (%s)",
				near.Name, near.From, name, host, line)
			p.Warning = true
			c.report(p)
			return
		}
	}
	c.warn(about, "", "no certificate covers %s (%s)", host, line)
}

// spareNames are names of certificates that are no host of a table, some of them
// when there are many: one of these may have been meant for a host that has none.
func spareNames(t *certificate.Table, hosts *route.RouteConfiguration) map[string]*certificate.Certificate {
	const most = 1000
	served := map[string]bool{}
	for _, host := range hosts.GetVirtualHosts() {
		for _, domain := range host.GetDomains() {
			name, _ := serverNameOf(domain)
			served[name] = true
		}
	}
	spare := map[string]*certificate.Certificate{}
	for _, made := range t.All() {
		for _, name := range made.DNSNames {
			if !served[name] && !strings.HasPrefix(name, "*.") && len(spare) < most {
				spare[name] = made
			}
		}
	}
	return spare
}

// uncoveredDomains reports settings for names that no certificate is for: with a
// strict server name they are never used.
func (c *compiler) uncoveredDomains(at resource.Path, config *server.Config) {
	for _, name := range config.Domains.All() {
		if name == "*" || config.Certificates.Covers(name) || config.Pending[name] || strings.HasPrefix(name, "*.") && c.below(config.Certificates, name[1:]) {
			continue
		}
		c.warn(join(join(at, "domains"), name), "", "no certificate covers %s", name)
	}
	for _, name := range config.Passthrough.All() {
		if name != "*" && config.Certificates.Covers(name) {
			c.warn(join(join(at, "passthrough"), name), "", "its certificate is not used: connections for %s pass through", name)
		}
	}
}

// below tells whether a certificate has a name with a suffix such as ".example.com".
func (c *compiler) below(t *certificate.Table, suffix string) bool {
	for _, made := range t.All() {
		for _, name := range made.DNSNames {
			if strings.HasSuffix(name, suffix) {
				return true
			}
		}
	}
	return false
}

// unusedSecrets reports secrets that nothing refers to. Their certificates are
// checked all the same: they are written to be used.
func (c *compiler) unusedSecrets() {
	for _, s := range c.set.Secrets {
		whole, _, _ := strings.Cut(s.GetName(), "[")
		held := c.find(s.GetName())
		if c.usedSecrets[whole] {
			continue
		}
		if held.kind == certificateSecret {
			c.certificate(s.GetName(), sign.Auto, verify.Server)
		}
		c.warn(c.secretNames[whole], "", "no listener or cluster uses this secret")
	}
}

// passthroughs are the clusters that a listener hands connections to as they are, by server name.
func passthroughs(l *listener.Listener) map[string]string {
	var context tlsv3.DownstreamTlsContext
	config := transportSocket(l).GetTypedConfig()
	if !config.MessageIs(&context) || config.UnmarshalTo(&context) != nil {
		return nil
	}
	handshaker := context.GetCommonTlsContext().GetCustomHandshaker().GetTypedConfig()
	if handshaker == nil {
		return nil
	}
	values, err := resource.ExtendedAny(handshaker, resource.DownstreamTLSExtension)
	if err != nil {
		return nil // reported where it is compiled
	}
	return values.Names("passthrough")
}
