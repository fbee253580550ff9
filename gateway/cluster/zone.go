package cluster

// Defaults of ZoneAware.
const (
	defaultMinEndpoints = 6
	defaultEnabled      = 100
)

// zoneShares divides the requests of a priority so that they stay in the gateway's
// own locality as far as that can be. It reports false when that is not to be: the own locality is not
// known or has nothing usable, there are too few endpoints, or too few gateways are known.
func (c *Cluster) zoneShares(l *level, parts []strength, shares []float64) bool {
	z := &c.config.Spread.ZoneAware
	least, enabled := z.MinEndpoints, z.Enabled
	if least == 0 {
		least = defaultMinEndpoints
	}
	if enabled == 0 {
		enabled = defaultEnabled
	}
	own, total := -1, uint64(0)
	for i, p := range l.parts {
		total += parts[i].usable
		if c.home != nil && p.locality == c.home.locality && p.locality != (Locality{}) {
			own = i
		}
	}
	if own < 0 || parts[own].usable == 0 || enabled < 0 {
		return false
	}
	if z.ForceLocal > 0 && parts[own].usable >= uint64(z.ForceLocal) {
		clear(shares)
		shares[own] = 1
		return true
	}
	if total < uint64(least) {
		return false
	}
	upstream := make([]float64, len(parts))
	for i, p := range parts {
		upstream[i] = float64(p.usable) / float64(total)
	}
	local := upstream
	if c.home.gateways != "" {
		if local = c.gateways(l); local == nil {
			return false
		}
	}
	zoneAware(upstream, local, own, shares)
	if enabled < 100 {
		for i := range shares {
			shares[i] = (enabled*shares[i] + (100-enabled)*upstream[i]) / 100
		}
	}
	return true
}

// gateways are the parts of the gateways that are in each of the localities; nil when they are
// not known, or so many are not healthy that the numbers mean nothing.
func (c *Cluster) gateways(l *level) []float64 {
	them := c.home.cluster(c.home.gateways)
	if them == nil {
		return nil
	}
	hosts := them.Hosts()
	local, total := make([]float64, len(l.parts)), 0.0
	for _, e := range hosts.Endpoints {
		if !e.Usable() {
			continue
		}
		total++
		for i, p := range l.parts {
			if p.locality == e.Config().Locality {
				local[i]++
			}
		}
	}
	if total == 0 || hosts.Panic {
		return nil
	}
	for i := range local {
		local[i] /= total
	}
	return local
}
