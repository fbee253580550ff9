package upstream

import (
	"longmen/gateway/cluster"
	"longmen/gateway/standby"
)

// resolve finds the clusters that others send requests on to, by their names, after a
// snapshot was adopted. Clusters that send none have no part in it.
func (w *Worker) resolve() {
	var names map[string]*Cluster
	for _, c := range w.clusters {
		if c != nil {
			c.token = c.config.LoopGuard == cluster.LoopGuardOn
			c.warm.connections = 0
			if names == nil && (c.config.Standby != nil || len(c.config.Failover) > 0) {
				names = make(map[string]*Cluster, len(w.clusters))
			}
		}
	}
	if names != nil {
		for _, c := range w.clusters {
			if c != nil {
				names[c.config.Name] = c
			}
		}
	}
	for _, c := range w.clusters {
		if c != nil {
			c.sendOn(names)
		}
	}
	for _, c := range w.clusters {
		if c != nil {
			c.beWarm()
		}
	}
}

// sendOn makes the cluster's way on to others anew; where requests go next does not
// begin again.
func (c *Cluster) sendOn(names map[string]*Cluster) {
	config := c.config
	if config.Standby == nil && len(config.Failover) == 0 {
		c.onward = nil
		return
	}
	if c.onward == nil {
		seed := c.worker.seed ^ nameHash(config.Name)
		c.onward = &onward{share: standby.NewSequence(seed), spill: standby.NewSequence(^seed)}
	}
	o := c.onward
	o.standby, o.active = c.shared.Standby(), nil
	if config.Standby != nil {
		o.active = leadOn(names[config.Standby.To])
		c.warm.wish(config.Standby.Warm, config.Standby.WarmEvery)
		if o.active != nil {
			o.active.warm.wish(config.Standby.Warm, config.Standby.WarmEvery)
		}
	}
	o.chain = append(o.chain[:0], c)
	for _, name := range config.Failover {
		if to := leadOn(names[name]); to != nil && len(o.chain) <= cluster.MostFailover {
			o.chain = append(o.chain, to)
		}
	}
	o.hosts = make([]*cluster.HostSet, len(o.chain))
	o.capacity, o.shares = make([]float64, len(o.chain)), make([]int, len(o.chain))
}

// leadOn notes that other clusters' requests go to c, which may be nil.
func leadOn(c *Cluster) *Cluster {
	if c != nil && c.config.LoopGuard == cluster.LoopGuardAuto {
		c.token = true
	}
	return c
}

// nameHash is FNV-1a: another beginning for each cluster.
func nameHash(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return h
}
