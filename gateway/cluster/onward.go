package cluster

import "longmen/gateway/standby"

// Standby is the cluster's switch; nil when it has none.
func (c *Cluster) Standby() *standby.Switch { return c.standby }

func newStandby(config *Config) *standby.Switch {
	if config.Standby == nil {
		return nil
	}
	return standby.NewSwitch(config.Standby)
}

// inheritStandby keeps what the admin API asked for.
func (c *Cluster) inheritStandby(previous *Cluster) {
	if c.standby != nil && previous.standby != nil {
		c.standby.Inherit(previous.standby)
	}
}

// Capacity is the part of the cluster's requests that its healthy endpoints can take, 0 to 1:
// over all priorities, overprovisioning included. The rest is for those it fails over to.
func (h *HostSet) Capacity() float64 { return h.Available }

// Serves tells whether a request finds an endpoint, in panic one that is not healthy.
func (h *HostSet) Serves() bool { return h.serves }

// FailOver divides a cluster's requests, a hundred of them, among it and those that
// it fails over to, as if their endpoints were of lower priorities: the first takes as many as
// it can, the next what is left, and so on. When all together cannot take all of
// them, each takes its part of what they can. available is what each can take, 0 to 1 (HostSet.Capacity),
// the cluster itself first. shares is filled in, with whole percents that sum to 100; when nobody can take
// anything all are the first one's, who knows what to say then.
//
// Envoy's aggregate cluster divides likewise, but priority by priority: here
// each cluster shares what it gets among its own priorities.
func FailOver(available []float64, shares []int) {
	total := 0.0
	for _, a := range available {
		total += a
	}
	clear(shares)
	if total <= 0 {
		shares[0] = 100
		return
	}
	scale := max(1, 1/total) * 100
	given, sum := 0, 0.0
	last := 0
	for i, a := range available {
		// By the sum, so that what is rounded off goes to the next.
		sum += a
		upTo := min(100, int(sum*scale+0.5))
		shares[i] = upTo - given
		given = upTo
		if a > 0 {
			last = i
		}
	}
	shares[last] += 100 - given
}
