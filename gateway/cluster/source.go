package cluster

import (
	"net/netip"
	"slices"
	"time"

	"longmen/gateway/cluster/dns"
)

// source is one configured endpoint: an address, or a name and its addresses.
type source struct {
	config    *EndpointConfig
	name      bool // to be resolved
	logical   bool // one endpoint whatever the addresses
	addresses []netip.Addr
	resolved  bool // the first outcome is there
	failure   string
	checkedAt time.Time
}

func newSources(config *Config) []*source {
	sources := make([]*source, 0, len(config.Endpoints))
	for i := range config.Endpoints {
		s := &source{config: &config.Endpoints[i]}
		if address, err := netip.ParseAddr(s.config.Host); err == nil {
			s.addresses, s.resolved = []netip.Addr{address.Unmap()}, true
		} else {
			s.name, s.logical = true, config.Discovery == LogicalDNS
		}
		sources = append(sources, s)
	}
	return sources
}

// inheritSources takes over the addresses of names, so that there is no gap
// until they are resolved again.
func inheritSources(c, previous *Cluster) {
	if c.config.DNS.Family != previous.config.DNS.Family {
		return
	}
	before := map[string]*source{}
	for _, s := range previous.sources {
		if s.name && s.resolved {
			before[s.config.Host] = s
		}
	}
	for _, s := range c.sources {
		if old := before[s.config.Host]; s.name && old != nil && old.logical == s.logical {
			s.addresses, s.resolved, s.failure, s.checkedAt = old.addresses, true, old.failure, old.checkedAt
		}
	}
}

// names are the names to resolve, each once.
func (c *Cluster) names() []string {
	var names []string
	seen := map[string]bool{}
	for _, s := range c.sources {
		if s.name && !seen[s.config.Host] {
			seen[s.config.Host] = true
			names = append(names, s.config.Host)
		}
	}
	return names
}

// resolved notes the outcome of one resolution.
func (c *Cluster) resolved(name string, result dns.Result) {
	failure := ""
	if result.Err != nil {
		failure = result.Err.Error()
	}
	c.mu.Lock()
	last, had := "", 0
	for _, s := range c.sources {
		if !s.name || s.config.Host != name {
			continue
		}
		last, had = s.failure, len(s.addresses)
		// What was inherited is not given up for a failure of the first resolution.
		if result.Err == nil {
			s.addresses, c.stale = s.choose(result.Addresses), true
		}
		s.resolved, s.failure, s.checkedAt = true, failure, time.Now()
	}
	c.mu.Unlock()
	c.note()

	log := c.runtime.log.With("cluster", c.config.Name, "name", name)
	switch {
	case failure != "" && last == "":
		log.Warn("DNS resolution failed; the last good addresses stay", "reason", failure, "addresses", had, "next", result.Next)
	case failure != "":
		log.Debug("DNS resolution failed again", "reason", failure, "addresses", had, "next", result.Next)
	case last != "":
		log.Info("DNS resolution works again", "addresses", len(result.Addresses))
	case len(result.Addresses) == 0 && had > 0:
		log.Warn("the name has no addresses any more; its endpoints are removed")
	}
}

// choose picks what a source uses of its name's addresses. They are sorted,
// so that a server's rotation of them is no change.
func (s *source) choose(addresses []netip.Addr) []netip.Addr {
	if s.logical {
		return addresses[:min(len(addresses), 1)]
	}
	sorted := slices.Clone(addresses)
	slices.SortFunc(sorted, netip.Addr.Compare)
	return slices.Compact(sorted)
}

// Name is what is known of a DNS name of a cluster.
type Name struct {
	Host      string
	Addresses int
	Failure   string    // why the last resolution failed; "": it did not
	Checked   time.Time // when it was; zero: not yet
}

// Names returns the state of the cluster's DNS names.
func (c *Cluster) Names() []Name {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []Name
	for _, s := range c.sources {
		if s.name {
			names = append(names, Name{s.config.Host, len(s.addresses), s.failure, s.checkedAt})
		}
	}
	return names
}
