package supervisor

import (
	"math"
	"strconv"

	"longmen/gateway/admin"
	"longmen/gateway/cluster"
	"longmen/gateway/telemetry/metrics"
)

// describeSpread says how the cluster's requests are divided, and what is left of its limits.
func describeSpread(d *admin.Cluster, c *cluster.Cluster) {
	hosts := c.Hosts()
	d.Hosts, d.Available, d.Panic, d.Subsets = hosts.Version, hosts.Available, hosts.Panic, hosts.Subsets()
	for i, g := range hosts.All.Groups {
		d.Groups = append(d.Groups, admin.Group{
			Priority: g.Priority, Locality: g.Locality.String(), Share: math.Round(hosts.All.Shares[i]*1e6) / 1e6,
			Endpoints: g.Endpoints, Usable: g.Usable.Len(), Panic: g.Panic,
		})
	}
	for _, p := range priorities {
		s := c.Breakers(p.high).States()
		one := admin.Limits{Priority: p.name}
		for _, l := range []struct {
			to    **admin.Limit
			state cluster.Breaker
		}{{&one.Connections, s.Connections}, {&one.Pending, s.Pending}, {&one.Requests, s.Requests}, {&one.Retries, s.Retries}} {
			if l.state.Most > 0 {
				*l.to = &admin.Limit{InUse: l.state.InUse, Most: l.state.Most, Remaining: l.state.Remaining()}
			}
		}
		d.Limits = append(d.Limits, one)
	}
}

var priorities = [...]struct {
	name string
	high bool
}{{"default", false}, {"high", true}}

// countSpread is the same for metrics.
func countSpread(n *metrics.Endpoints, c *cluster.Cluster) {
	hosts := c.Hosts()
	n.Panic = hosts.Panic
	if len(hosts.All.Groups) > 1 {
		for i, g := range hosts.All.Groups {
			n.Groups = append(n.Groups, metrics.Group{Priority: strconv.Itoa(g.Priority), Locality: g.Locality.String(), Share: hosts.All.Shares[i]})
		}
	}
	if !c.Config().TrackRemaining {
		return
	}
	for _, p := range priorities {
		s := c.Breakers(p.high).States()
		for limit, b := range [metrics.LimitCount]cluster.Breaker{
			metrics.LimitConnections: s.Connections, metrics.LimitPending: s.Pending, metrics.LimitRequests: s.Requests, metrics.LimitRetries: s.Retries,
		} {
			if b.Most > 0 {
				n.Remaining = append(n.Remaining, metrics.Remaining{Priority: p.name, Limit: metrics.Limit(limit), Left: b.Remaining()})
			}
		}
	}
}
