package snapshot

import (
	"crypto/tls"
	"slices"

	"longmen/tls/server"
)

// Bounds of early data (0-RTT).
const (
	maxEarlyData         = 1 << 20
	defaultEarlyRemember = 65536
	maxEarlyRemember     = 10_000_000
)

// earlyData compiles what clients may send before a handshake is complete, of the listener or
// one of its domains.
func (d *downstream) earlyData(l tlsLayer, out *server.Settings) {
	if _, set := l.values.Number("early_data"); !set {
		if _, set := l.values.Number("early_data_remember"); set {
			d.fail(join(l.at, "early_data"), "early_data_remember has no effect without early_data")
		}
		return
	}
	var most, remember int64 = 0, defaultEarlyRemember
	s := &settings{c: d.compiler, at: l.at, values: l.values}
	s.number("early_data", 0, maxEarlyData, &most)
	s.number("early_data_remember", 1, maxEarlyRemember, &remember)
	at := join(l.at, "early_data")
	switch {
	case out.Clients != nil:
		d.fail(at, "early data is not accepted from clients that are asked for certificates")
	case out.MaxVersion < tls.VersionTLS13:
		d.fail(at, "early data needs TLS 1.3")
	case l.tickets.off:
		d.fail(at, "early data needs session tickets")
	}
	out.EarlyData = &server.EarlyData{Most: uint32(most), Remember: int(remember)}
}

// judgeEarly reports what early data cannot be together with.
func (d *downstream) judgeEarly(config *server.Config) {
	if config.ECH == nil {
		return
	}
	refuse := func(s *server.Settings) {
		if s != nil && s.EarlyData != nil {
			d.fail(join(d.at, "ech"), "early data and ECH cannot be on one listener")
		}
	}
	refuse(config.Default)
	for _, name := range config.Domains.All() {
		own, _ := config.Domains.Find(name)
		refuse(own)
	}
}

// idleEarlyRules reports rules that answer early data where no listener takes any.
func (c *compiler) idleEarlyRules() {
	for _, l := range c.next.Listeners {
		if l.TLS == nil {
			continue
		}
		all := []*server.Settings{l.TLS.Default}
		for _, name := range l.TLS.Domains.All() {
			own, _ := l.TLS.Domains.Find(name)
			all = append(all, own)
		}
		if slices.ContainsFunc(all, func(s *server.Settings) bool { return s != nil && s.EarlyData != nil }) {
			return
		}
	}
	for _, at := range c.earlyRules {
		c.warn(join(at, "early_data"), "write tls: {early_data: {}} on a listener", "no listener takes early data: this has no effect")
	}
}
