package snapshot

import (
	"crypto/tls"
	"strings"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"longmen/gateway/resource"
	"longmen/tls/ech"
	"longmen/tls/server"
)

// echKeys reads the keys of Encrypted Client Hello (RFC 9849) of a secret, or takes those of
// before.
func (c *compiler) echKeys(at resource.Path, name string, out *secret, held *tlsv3.GenericSecret) {
	at = join(at, "ech")
	sources := resource.ECHSources(held)
	if len(sources) < len(held.GetSecrets()) {
		c.fail(at, "GenericSecret.secrets: the names of ECH keys are %s, %s and so on", resource.ECHName(0), resource.ECHName(1))
		return
	}
	var texts []*content
	for i, source := range sources {
		if k, ok := c.content(c.listed(at, i, len(sources)), source); ok {
			texts = append(texts, k)
		}
	}
	if len(texts) < len(sources) {
		return
	}
	out.sum = sumOf(texts...)
	if old := c.previous.secrets[name]; old != nil && old.hash == out.hash && old.sum == out.sum && old.ech != nil {
		out.kind, out.ech = echSecret, old.ech
		return
	}
	var keys []*ech.Key
	for _, k := range texts {
		text, ok := k.bytes()
		if !ok {
			return
		}
		of, err := ech.Parse(text)
		k.forget()
		if err != nil {
			c.fail(k.at, "%s", k.about(err))
			return
		}
		keys = append(keys, of...)
	}
	made, err := ech.NewKeys(keys)
	if err != nil {
		c.fail(at, "%v", err)
		return
	}
	out.kind, out.ech = echSecret, made
}

// encrypted finds the keys of a listener.
func (d *downstream) encrypted(name string) *ech.Keys {
	at := join(d.at, "ech")
	if name == "" || !d.refer(at, name, echSecret) {
		return nil
	}
	d.digest.add(d.next.secrets[name].sum)
	return d.next.secrets[name].ech
}

// judgeECH reports what clients with ECH will not like.
func (d *downstream) judgeECH(config *server.Config) {
	if config.ECH == nil || config.Default == nil {
		return
	}
	at := join(d.at, "ech")
	if config.Default.MaxVersion < tls.VersionTLS13 {
		d.failHint(join(d.at, "max"), "ech needs TLS 1.3", "clients that use ECH cannot come in")
	}
	for _, name := range config.Domains.All() {
		if own, _ := config.Domains.Find(name); own.MaxVersion < tls.VersionTLS13 {
			d.warn(join(join(join(d.at, "domains"), name), "max"), "", "clients that use ECH cannot come in: it needs TLS 1.3")
		}
	}
	if config.Certificates == nil || d.partial[d.name] {
		return
	}
	told := map[string]bool{}
	for _, key := range config.ECH.List() {
		name := strings.ToLower(key.PublicName)
		if told[name] || config.Certificates.Covers(name) || config.Pending[name] {
			continue
		}
		told[name] = true
		d.warn(at, "", "no certificate covers %s, the public name of a key: clients with an old key cannot be told the new one", name)
	}
}
