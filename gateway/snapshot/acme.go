package snapshot

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"os"
	"slices"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"longmen/gateway/resource"
	"longmen/tls/acme"
	"longmen/tls/certificate"
	"longmen/tls/server"
	"longmen/tls/sign"
	"longmen/tls/verify"
)

// maxOrdered bounds the certificates that a secret orders for one listener.
const maxOrdered = 10_000

// ordering is what a Secret says of certificates that are ordered by ACME, and for
// which hosts they are needed.
type ordering struct {
	at       resource.Path
	name     string // of the secret
	settings acme.Settings
	hosts    []string // nil: those of the routes
	needed   map[string]bool
	pending  map[string]bool // of these: not issued yet
}

// ordering reads how a TlsCertificate is ordered; is tells whether it is. A nil
// one is reported.
func (c *compiler) ordering(at resource.Path, name string, t *tlsv3.TlsCertificate) (out *ordering, is bool) {
	provider := t.GetPrivateKeyProvider()
	if provider.GetProviderName() != resource.Extension || !resource.IsExtension(provider.GetTypedConfig(), resource.ACMEExtension) {
		return nil, false
	}
	at = join(at, "acme")
	c.only(at, t, "private_key_provider")
	c.only(at, provider, "provider_name", "typed_config")
	values, err := resource.ExtendedAny(provider.GetTypedConfig(), resource.ACMEExtension)
	if err != nil {
		c.fail(at, "PrivateKeyProvider.typed_config: %v", err)
		return nil, true
	}
	before := len(c.problems.Errors())
	out = &ordering{at: at, name: name, needed: map[string]bool{}, pending: map[string]bool{}}
	s, o := &settings{c: c, at: at, values: values}, &out.settings
	o.Directory, o.Email, o.Storage = s.word("directory"), s.word("email"), s.word("storage")
	o.Challenge, o.Key = acme.Challenge(s.word("challenge")), acme.P256
	if word := s.word("key"); word != "" {
		o.Key = acme.Key(word)
	}
	if err := acme.CheckDirectory(o.Directory); err != nil {
		c.fail(join(at, "directory"), "%q: %v", o.Directory, err)
	}
	if o.Storage == "" {
		c.fail(join(at, "storage"), "no folder for certificates, keys and accounts is named")
	}
	if agreed, _ := values.Bool("agree"); !agreed {
		c.fail(join(at, "agree"), "no certificate is issued to who does not agree to the terms of service of the authority")
	}
	for i, host := range values.Strings("hosts") {
		host = strings.ToLower(host)
		if err := acme.CheckHost(host); err != nil {
			c.fail(c.listed(join(at, "hosts"), i, len(values.Strings("hosts"))), "%s: %v", host, err)
		}
		out.hosts = append(out.hosts, host)
	}
	c.acmeSecrets(at, values, o)
	if len(c.problems.Errors()) > before {
		return nil, true
	}
	return out, true
}

// acmeSecrets reads what stands in files.
func (c *compiler) acmeSecrets(at resource.Path, values resource.Values, o *acme.Settings) {
	if source := values.Source("ca"); source != nil {
		if text, ok := c.wholeText(join(at, "ca"), source); ok {
			o.Roots = text
			if err := acme.CheckRoots(text); err != nil {
				c.fail(join(at, "ca"), "%v", err)
			}
		}
	}
	id, _ := values.Word("external_id")
	source := values.Source("external_key")
	if (id == "") != (source == nil) {
		c.fail(join(at, "eab"), "external_id and external_key belong together")
		return
	}
	if source == nil {
		return
	}
	text, ok := c.wholeText(join(at, "eab.key"), source)
	if !ok {
		return
	}
	text = strings.TrimRight(strings.TrimSpace(text), "=")
	if mac, err := base64.RawURLEncoding.DecodeString(text); err != nil || len(mac) == 0 {
		c.fail(join(at, "eab.key"), "is no key in base64url")
		return
	}
	o.External = acme.ExternalAccount{ID: id, MAC: text}
}

// wholeText gives all of a DataSource.
func (c *compiler) wholeText(at resource.Path, s *core.DataSource) (string, bool) {
	k, ok := c.content(at, s)
	if !ok {
		return "", false
	}
	data, ok := k.bytes()
	return string(data), ok
}

// ordered are the certificates of an ordering that a listener needs and that have
// been issued; those that have not become config.Pending. static are the
// listener's other certificates: what these cover is not ordered.
func (d *downstream) ordered(o *ordering, static *certificate.Table, policy sign.Policy, config *server.Config) []*certificate.Certificate {
	hosts := o.hosts
	if hosts == nil {
		for _, host := range d.routedHosts() {
			if _, spliced := config.Passthrough.Find(host); !spliced && !static.Covers(host) {
				hosts = append(hosts, host)
			}
		}
	}
	if len(hosts) > maxOrdered {
		d.fail(o.at, "%d hosts: at most %d certificates are ordered for a listener; name fewer in hosts", len(hosts), maxOrdered)
		return nil
	}
	var list []*certificate.Certificate
	for _, host := range hosts {
		o.needed[host] = true
		made, sum := d.issued(o, host, policy)
		if made == nil {
			o.pending[host] = true
			if config.Pending == nil {
				config.Pending = map[string]bool{}
			}
			config.Pending[host] = true
		} else {
			list = append(list, made)
		}
		d.digest.add(sum)
		d.digest.add(sha256.Sum256([]byte(host)))
	}
	return list
}

// routedHosts are the names in the listener's routes for which certificates can
// be ordered, in order.
func (d *downstream) routedHosts() []string {
	var hosts []string
	seen := map[string]bool{}
	for _, l := range d.set.Listeners {
		if l.GetName() != d.name {
			continue
		}
		m := peekManager(l)
		table := m.GetRouteConfig()
		if m.GetRds() != nil {
			i := slices.IndexFunc(d.set.Routes, func(t *route.RouteConfiguration) bool { return t.GetName() == m.GetRds().GetRouteConfigName() })
			if i >= 0 {
				table = d.set.Routes[i]
			}
		}
		for _, host := range table.GetVirtualHosts() {
			for _, domain := range host.GetDomains() {
				name, ok := serverNameOf(domain)
				// A single label is a name of an own network, which no authority knows.
				if ok && acme.CheckHost(name) == nil && strings.Contains(name, ".") && !seen[name] {
					seen[name] = true
					hosts = append(hosts, name)
				}
			}
		}
	}
	return hosts
}

// issued gives the certificate of a host that was ordered, nil when there is none
// yet, and what identifies its contents. One that cannot be read does not keep
// the one of before from being served: it may be about to be written.
func (c *compiler) issued(o *ordering, host string, policy sign.Policy) (*certificate.Certificate, sum) {
	key := o.name + "\x00" + host
	before := len(c.problems)
	made := c.stored(key, o, host, policy)
	for i := range c.problems[before:] {
		c.problems[before+i].Warning = true
	}
	if made != nil {
		return made, c.next.secrets[key].sum
	}
	delete(c.next.secrets, key)
	if old := c.previous.secrets[key]; old != nil {
		if made, _ := old.heldBy(policy); made != nil {
			c.next.secrets[key] = old
			return made, old.sum
		}
	}
	return nil, sum{}
}

// stored reads the certificate of a host from the storage.
func (c *compiler) stored(key string, o *ordering, host string, policy sign.Policy) *certificate.Certificate {
	certFile, keyFile := o.settings.Files(host)
	for _, name := range []string{certFile, keyFile} {
		if _, err := os.Stat(name); os.IsNotExist(err) {
			return nil
		}
	}
	file := func(name string) *core.DataSource {
		return &core.DataSource{Specifier: &core.DataSource_Filename{Filename: name}}
	}
	cert, ok := c.content(o.at, file(certFile))
	private, both := c.content(o.at, file(keyFile))
	if !ok || !both {
		return nil
	}
	if c.next.secrets[key] == nil {
		c.parts[key] = secretParts{pair: &pair{at: o.at, cert: cert, key: private, ordered: true}}
		c.next.secrets[key] = &secret{sum: sumOf(cert, private), kind: certificateSecret}
	}
	return c.certificate(key, policy, verify.Server)
}

// orders are the certificates that are to be ordered, and kept.
func (c *compiler) orders() []acme.Order {
	const named = 3
	var all []acme.Order
	for _, s := range c.set.Secrets {
		o := c.parts[s.GetName()].ordering
		if o == nil || len(o.needed) == 0 {
			continue
		}
		all = append(all, acme.Order{Settings: o.settings, Hosts: slices.Sorted(maps.Keys(o.needed))})
		if pending := slices.Sorted(maps.Keys(o.pending)); len(pending) > 0 {
			text := strings.Join(pending[:min(named, len(pending))], ", ")
			if len(pending) > named {
				c.warn(o.at, "", "no certificate has been issued yet for %s and %d more: refused until then", text, len(pending)-named)
			} else {
				c.warn(o.at, "", "no certificate has been issued yet for %s: refused until then", text)
			}
		}
	}
	return all
}
