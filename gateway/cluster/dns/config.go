// Package dns resolves the names of endpoints and follows their changes.
//
// A name is looked up in this order: an IP address stands for itself; the hosts
// file; "localhost" and names below it are the loopback addresses (RFC 6761,
// 6.3); then the name servers. Configured servers are asked for the name as it
// stands. Without them resolv.conf says which servers, search domains, ndots,
// timeout and attempts to use. Both files are read again when they change.
package dns

import (
	"net/netip"
	"time"
)

// Config bounds re-resolution.
type Config struct {
	Refresh    time.Duration // when TTLs are not respected or absent; default 5 s
	RespectTTL bool
	MinRefresh time.Duration // lower bound for TTLs; default 1 s
	Family     Family
	Resolvers  []netip.AddrPort // empty: the system's
}

// Family restricts the addresses used.
type Family uint8

// The families.
const (
	// AutoFamily takes IPv6 and IPv4 addresses, in this order, but only those
	// that the machine has a route to (unless it has a route to none).
	AutoFamily Family = iota
	V4Only
	V6Only
)

// maxTTL bounds what a server may say: a wrong TTL of years must not last years.
const maxTTL = 24 * time.Hour

func (c *Config) refresh() time.Duration {
	if c.Refresh > 0 {
		return c.Refresh
	}
	return 5 * time.Second
}

// next is when to resolve again after an answer with the given TTL (0: none).
func (c *Config) next(ttl time.Duration, known bool) time.Duration {
	if !c.RespectTTL || !known {
		return c.refresh()
	}
	least := c.MinRefresh
	if least <= 0 {
		least = time.Second
	}
	return min(max(ttl, least), maxTTL)
}

// family is an index of what is kept for each address family.
type family int

const (
	six family = iota
	four
	families
)

// uses tells whether the configuration wants addresses of a family.
func (c *Config) uses(f family) bool {
	return c.Family == AutoFamily || (c.Family == V6Only) == (f == six)
}

func familyOf(a netip.Addr) family {
	if a.Is4() {
		return four
	}
	return six
}
