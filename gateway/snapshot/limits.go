package snapshot

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
)

// limits reads the circuit breakers: of each priority at most one, and those of each
// endpoint.
func (c *compiler) limits(at resource.Path, b *clusterv3.CircuitBreakers, out *cluster.Config) {
	if b == nil {
		return
	}
	c.only(at, b, "thresholds", "per_host_thresholds")
	seen := map[core.RoutingPriority]bool{}
	for _, t := range b.GetThresholds() {
		where, limits := at, &out.Limits
		if t.GetPriority() == core.RoutingPriority_HIGH {
			where, limits = join(at, "high"), &out.HighLimits
		} else if t.GetPriority() != core.RoutingPriority_DEFAULT {
			c.fail(at, "Thresholds.priority: %v is not supported by this version yet", t.GetPriority())
		}
		if seen[t.GetPriority()] {
			c.fail(where, "two thresholds of priority %v", t.GetPriority())
		}
		seen[t.GetPriority()] = true
		c.only(where, t, "priority", "max_connections", "max_pending_requests", "max_requests", "max_retries", "retry_budget", "track_remaining")
		out.TrackRemaining = out.TrackRemaining || t.GetTrackRemaining()
		c.thresholds(where, t, limits)
	}
	if len(b.GetPerHostThresholds()) > 1 {
		c.fail(join(at, "endpoint"), "%d per_host_thresholds: exactly one is supported by this version", len(b.GetPerHostThresholds()))
	}
	for _, t := range b.GetPerHostThresholds() {
		where := join(at, "endpoint")
		c.only(where, t, "max_connections", "max_requests")
		out.EndpointLimits.Connections = c.number(join(where, "connections"), t.GetMaxConnections(), 0, most, 0)
		out.EndpointLimits.Requests = c.number(join(where, "requests"), t.GetMaxRequests(), 0, most, 0)
	}
}

func (c *compiler) thresholds(at resource.Path, t *clusterv3.CircuitBreakers_Thresholds, out *cluster.Limits) {
	out.Connections = c.number(join(at, "connections"), t.GetMaxConnections(), 0, most, out.Connections)
	out.Pending = c.number(join(at, "pending"), t.GetMaxPendingRequests(), 0, most, out.Pending)
	out.Requests = c.number(join(at, "requests"), t.GetMaxRequests(), 0, most, out.Requests)
	out.Retries = c.number(join(at, "retries"), t.GetMaxRetries(), 0, most, out.Retries)
	b := t.GetRetryBudget()
	if b == nil {
		return
	}
	at = join(at, "retries")
	c.only(at, b, "budget_percent", "min_retry_concurrency")
	if t.GetMaxRetries() != nil {
		c.fail(at, "both Thresholds.max_retries and retry_budget")
	}
	budget := &cluster.RetryBudget{MinConcurrency: c.number(join(at, "min"), b.GetMinRetryConcurrency(), 0, maxWeight, defaultMinRetries)}
	if p := b.GetBudgetPercent(); p != nil {
		budget.Percent = max(c.percentage(join(at, "percent"), p), leastShare)
	}
	out.RetryBudget = budget
}
