package command

import (
	"fmt"
	"strings"
	"time"

	"longmen/gateway/snapshot"
	"longmen/tls/certificate"
	"longmen/tls/verify"
)

// speaks reports whether a listener serves the scheme of the question's URL.
func (q *question) speaks(l *snapshot.Listener) bool {
	if q.url.Scheme == "https" {
		return l.TLS != nil
	}
	return l.TLS == nil || l.TLS.Plain
}

// terminate says what becomes of the connection of a request, and reports whether
// its request is read, or goes on to a cluster unread.
func (e *explanation) terminate(l *snapshot.Listener) (parts []string, read, passed bool) {
	if e.question.url.Scheme != "https" {
		return []string{plainProtocols(l.HTTP.Protocols)}, true, false
	}
	name := hostOf(e.question.url.Hostname())
	if cluster, ok := l.TLS.Passthrough.Find(name); ok {
		return []string{"passes through to " + cluster + ", without termination"}, false, true
	}
	list := l.TLS.Certificates.Find(name)
	switch {
	case len(list) == 0 && (l.TLS.Pending[name] || len(l.TLS.Certificates.All()) == 0):
		return []string{"refused: no certificate for " + name + " has been issued yet"}, false, false
	case len(list) == 0 && l.TLS.StrictSNI:
		return []string{"refused: no certificate covers " + name}, false, false
	case len(list) == 0:
		list = l.TLS.Certificates.Default()
		parts = append(parts, "no certificate covers "+name+", so:")
	}
	parts = append(parts, describeCertificates(list, time.Now()))
	if clients := l.TLS.SettingsFor(name).Clients; clients != nil {
		parts = append(parts, map[verify.Mode]string{verify.Request: "client certificate asked for", verify.Require: "client certificate required"}[clients.Mode()])
	}
	if early := l.TLS.SettingsFor(name).EarlyData; early != nil && early.Most > 0 {
		parts = append(parts, fmt.Sprintf("up to %d bytes of early data", early.Most))
	}
	protocol, spoken := negotiate(l, name, e.question.alpn)
	return append(parts, protocol), spoken, false
}

// describeCertificates names those that one of is served, the one that is
// preferred first.
func describeCertificates(list []*certificate.Certificate, now time.Time) string {
	var texts []string
	for _, c := range list {
		kind := ""
		if len(list) > 1 {
			kind = c.Kind.String() + ", "
		}
		texts = append(texts, fmt.Sprintf("%s (%s%s)", c.Name, kind, lifeText(c, now)))
	}
	if len(list) == 1 {
		return "certificate " + texts[0]
	}
	return "certificates " + strings.Join(texts, ", ")
}

// lifeText says how long a certificate is still valid.
func lifeText(c *certificate.Certificate, now time.Time) string {
	const day = 24 * time.Hour
	switch {
	case now.After(c.NotAfter):
		return "expired " + count(int(now.Sub(c.NotAfter)/day), "day") + " ago"
	case now.Before(c.NotBefore):
		return "not valid yet"
	}
	return "expires in " + count(int(c.NotAfter.Sub(now)/day), "day")
}
