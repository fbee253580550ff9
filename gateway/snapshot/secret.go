package snapshot

import (
	"crypto/sha256"
	"errors"
	"strings"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"longmen/gateway/resource"
	"longmen/tls/certificate"
	"longmen/tls/ech"
	"longmen/tls/sign"
	"longmen/tls/ticket"
)

// secret is a compiled Secret and what it was made of.
type secret struct {
	hash uint64 // of the resource
	sum  sum    // of all its contents
	kind secretKind

	// certificates by who holds their keys: as many as listeners and clusters ask
	// for.
	certificates []held
	tickets      *ticket.Source
	ech          *ech.Keys
}

// held is a certificate by who holds its key; nil if it is wrong.
type held struct {
	by   sign.Policy
	made *certificate.Certificate
}

// heldBy gives the certificate of a policy; nil if it is wrong, or was not asked for.
func (s *secret) heldBy(policy sign.Policy) (made *certificate.Certificate, known bool) {
	for _, h := range s.certificates {
		if h.by == policy {
			return h.made, true
		}
	}
	return nil, false
}

// secretKind is what a secret holds.
type secretKind uint8

const (
	wrongSecret secretKind = iota // reported
	certificateSecret
	authoritySecret
	ticketSecret
	acmeSecret
	echSecret
)

func (k secretKind) String() string {
	return [...]string{"nothing", "a certificate", "authorities (ca)", "session ticket keys", "certificates that ACME orders", "ECH keys (ech)"}[k]
}

// secretParts are the contents of secrets, for as long as a compilation lasts.
type secretParts struct {
	pair        *pair
	authorities *authorities
	ordering    *ordering
}

// authorities are what a peer's certificate is verified by.
type authorities struct{ ca, crl *content } // crl may be nil

// secrets reads what Secrets are made of, but for certificates with their keys: these are many,
// and each is read when it is first asked for, so that not all of them are in memory at once.
func (c *compiler) secrets() {
	for _, s := range c.set.Secrets {
		if t := s.GetTlsCertificate(); t != nil && t.GetPrivateKeyProvider() == nil {
			c.unread[s.GetName()] = s
		} else {
			c.next.secrets[s.GetName()] = c.secret(s)
		}
	}
}

// find gives a secret; nil if there is none of that name.
func (c *compiler) find(name string) *secret {
	if s := c.unread[name]; s != nil {
		delete(c.unread, name)
		c.next.secrets[name] = c.secret(s)
	}
	return c.next.secrets[name]
}

// refer looks a Secret up for a part that names it, and reports whether it holds
// what it should.
func (c *compiler) refer(at resource.Path, name string, want secretKind) bool {
	whole, _, _ := strings.Cut(name, "[")
	c.usedSecrets[whole] = true
	s := c.find(name)
	switch {
	case s == nil && c.find(name+"[0]") != nil:
		c.fail(at, "secret %q holds several certificates, not %s", name, want)
		return false
	case s == nil && c.refused(join("secrets", whole)):
		return false // it is not there because it is wrong
	case s == nil:
		c.failHint(at, c.nearest(at, name, c.secretNames, c.usedSecrets), "no secret named %q", name)
		return false
	case s.kind == wrongSecret:
		return false
	case s.kind != want:
		c.fail(at, "secret %q holds %s, not %s", name, s.kind, want)
		return false
	}
	return true
}

func (c *compiler) secret(s *tlsv3.Secret) *secret {
	at := join("secrets", s.GetName())
	c.only(at, s, "name", "tls_certificate", "session_ticket_keys", "validation_context", "generic_secret")
	out := &secret{hash: hash(s)}
	switch held := s.GetType().(type) {
	case *tlsv3.Secret_TlsCertificate:
		if o, is := c.ordering(at, s.GetName(), held.TlsCertificate); is {
			if o != nil {
				c.parts[s.GetName()] = secretParts{ordering: o}
				out.kind = acmeSecret
			}
			break
		}
		if p, ok := c.pair(at, s.GetName(), held.TlsCertificate); ok {
			c.parts[s.GetName()] = secretParts{pair: p}
			out.kind, out.sum = certificateSecret, sumOf(p.cert, p.key, p.encryptCert, p.encryptKey, p.ocsp)
		}
	case *tlsv3.Secret_ValidationContext:
		v := held.ValidationContext
		c.only(at, v, "trusted_ca", "crl")
		if a, ok := c.authorities(at, "ca", v); ok {
			c.parts[s.GetName()] = secretParts{authorities: a}
			out.kind, out.sum = authoritySecret, sumOf(a.ca, a.crl)
		}
	case *tlsv3.Secret_SessionTicketKeys:
		c.only(at, held.SessionTicketKeys, "keys")
		var keys []*content
		for i, key := range held.SessionTicketKeys.GetKeys() {
			if k, ok := c.content(c.listed(join(at, "ticket_keys"), i, len(held.SessionTicketKeys.GetKeys())), key); ok {
				keys = append(keys, k)
			}
		}
		if len(keys) == len(held.SessionTicketKeys.GetKeys()) {
			c.ticketSource(join(at, "ticket_keys"), s.GetName(), out, keys, ticket.Explicit)
		}
	case *tlsv3.Secret_GenericSecret:
		if len(held.GenericSecret.GetSecrets()) > 0 {
			c.only(at, held.GenericSecret, "secrets")
			c.echKeys(at, s.GetName(), out, held.GenericSecret)
			break
		}
		c.only(at, held.GenericSecret, "secret")
		if k, ok := c.content(join(at, "ticket_secret"), held.GenericSecret.GetSecret()); ok {
			c.ticketSource(join(at, "ticket_secret"), s.GetName(), out, []*content{k}, sharedTickets)
		}
	default:
		c.fail(at, "Secret.type is missing")
	}
	return out
}

// listed is the path of an item of a list that may have been written as a single one.
func (c *compiler) listed(at resource.Path, i, count int) resource.Path {
	if count == 1 {
		if _, single := c.set.Origins.At(item(at, 0)); !single {
			return at
		}
	}
	return item(at, i)
}

// authorities finds authorities and their revocation lists; under the key that they have
// in gateway.yaml.
func (c *compiler) authorities(at resource.Path, key string, v *tlsv3.CertificateValidationContext) (out *authorities, ok bool) {
	out = &authorities{}
	if out.ca, ok = c.content(join(at, key), v.GetTrustedCa()); !ok {
		return nil, false
	}
	if v.GetCrl() != nil {
		out.crl, ok = c.content(join(at, "crl"), v.GetCrl())
	}
	return out, ok
}

// ticketSource makes the source of a secret's ticket keys, or takes the one of before.
func (c *compiler) ticketSource(at resource.Path, name string, out *secret, keys []*content, open func([][]byte) (*ticket.Source, error)) {
	out.sum = sumOf(keys...)
	if old := c.previous.secrets[name]; old != nil && old.hash == out.hash && old.sum == out.sum && old.tickets != nil {
		out.kind, out.tickets = ticketSecret, old.tickets
		return
	}
	var raw [][]byte
	for _, k := range keys {
		data, ok := k.bytes()
		if !ok {
			return
		}
		raw = append(raw, data)
	}
	source, err := open(raw)
	if err != nil {
		c.fail(at, "%v", err)
		return
	}
	out.kind, out.tickets = ticketSecret, source
}

// ownTickets are the keys of those who name none: the process's own, which all
// snapshots of a chain share.
func (c *compiler) ownTickets() *ticket.Source {
	if c.next.tickets == nil {
		source, err := ticket.Random(ticket.Options{})
		if err != nil {
			c.fail("", "keys for session tickets: %v", err)
		}
		c.next.tickets = source
	}
	return c.next.tickets
}

// sharedTickets makes keys that change by themselves of one secret.
func sharedTickets(secrets [][]byte) (*ticket.Source, error) {
	if len(secrets) != 1 {
		return nil, errors.New("one secret is needed")
	}
	return ticket.Shared(secrets[0], ticket.Options{})
}

// sumOf identifies contents together; nil ones count as absent.
func sumOf(contents ...*content) sum {
	h := sha256.New()
	for _, k := range contents {
		if k == nil {
			h.Write([]byte{0})
			continue
		}
		h.Write([]byte{1})
		h.Write(k.sum[:])
	}
	return sum(h.Sum(nil))
}
