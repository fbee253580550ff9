package yaml

import (
	"strings"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	types "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	yaml "go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// breakers reads "limits": those of the default priority always, the others where
// they are written.
func (d *decoder) breakers(v value, extra resource.Values) *cluster.CircuitBreakers {
	f := d.object(v, clusterLimitsTable)
	out := &cluster.CircuitBreakers{Thresholds: []*cluster.CircuitBreakers_Thresholds{d.thresholds(f, extra, "pending_timeout")}}
	if v, ok := f.get("high"); ok {
		high := d.thresholds(d.object(v, highLimitsTable), extra, "high_pending_timeout")
		high.Priority = core.RoutingPriority_HIGH
		if v.isMap() && len(v.node.Content) == 0 {
			d.fail(v, "says nothing")
		}
		out.Thresholds = append(out.Thresholds, high)
	}
	if v, ok := f.get("endpoint"); ok {
		e := d.object(v, endpointLimitsTable)
		each := &cluster.CircuitBreakers_Thresholds{MaxConnections: d.limit(e, "connections"), MaxRequests: d.limit(e, "requests")}
		if proto.Size(each) > 0 {
			out.PerHostThresholds = []*cluster.CircuitBreakers_Thresholds{each}
		} else if v.isMap() && len(v.node.Content) == 0 {
			d.fail(v, "says nothing")
		}
	}
	if v, ok := f.get("track"); ok {
		if on, ok := d.boolean(v); ok && !on {
			d.failHint(v, "leave it out", "track: false says nothing")
		}
		for _, t := range out.Thresholds {
			t.TrackRemaining = true
		}
	}
	return out
}

// limit reads a circuit breaker. In xDS 0 lets nothing through; no limit is a number
// that is never reached.
func (d *decoder) limit(f fields, name string) *wrapperspb.UInt32Value {
	n := f.uint32(name, 0, most)
	if n != nil && n.Value == 0 {
		n.Value = most
	}
	return n
}

func (d *decoder) thresholds(f fields, extra resource.Values, timeout string) *cluster.CircuitBreakers_Thresholds {
	out := &cluster.CircuitBreakers_Thresholds{
		MaxConnections:     d.limit(f, "connections"),
		MaxRequests:        d.limit(f, "requests"),
		MaxPendingRequests: d.limit(f, "pending"),
	}
	if wait, ok := f.span("pending_timeout", 0); ok {
		extra[timeout] = wait
	}
	v, ok := f.get("retries")
	switch {
	case !ok:
	case v.isMap():
		b := d.object(v, retryBudgetTable)
		out.RetryBudget = &cluster.CircuitBreakers_Thresholds_RetryBudget{MinRetryConcurrency: b.uint32("min", 0, maxWeight)}
		if v, ok := b.get("percent"); ok {
			if n, ok := d.share(v); ok {
				out.RetryBudget.BudgetPercent = &types.Percent{Value: n}
			}
		}
	case v.scalar() && strings.HasSuffix(v.node.Value, "%"):
		if n, ok := d.share(v); ok {
			out.RetryBudget = &cluster.CircuitBreakers_Thresholds_RetryBudget{BudgetPercent: &types.Percent{Value: n}}
		}
	default:
		out.MaxRetries = d.limit(f, "retries")
	}
	return out
}

func breakersNode(out *mapping, b *cluster.CircuitBreakers, values resource.Values) {
	if b == nil {
		return
	}
	limits := &mapping{}
	for _, t := range b.GetThresholds() {
		if t.GetPriority() == core.RoutingPriority_HIGH {
			high := &mapping{}
			thresholdsMap(high, t, values, "high_pending_timeout")
			limits.put("high", high.node())
			continue
		}
		thresholdsMap(limits, t, values, "pending_timeout")
		if t.GetTrackRemaining() {
			limits.put("track", truth(true))
		}
	}
	for _, t := range b.GetPerHostThresholds() {
		each := &mapping{}
		each.limit("connections", t.GetMaxConnections())
		each.limit("requests", t.GetMaxRequests())
		limits.put("endpoint", each.node())
	}
	out.put("limits", limits.node())
}

func thresholdsMap(out *mapping, t *cluster.CircuitBreakers_Thresholds, values resource.Values, timeout string) {
	out.limit("connections", t.GetMaxConnections())
	out.limit("requests", t.GetMaxRequests())
	out.limit("pending", t.GetMaxPendingRequests())
	out.value("pending_timeout", values, timeout)
	out.limit("retries", t.GetMaxRetries())
	if b := t.GetRetryBudget(); b != nil {
		out.put("retries", budgetNode(b))
	}
}

func budgetNode(b *cluster.CircuitBreakers_Thresholds_RetryBudget) *yaml.Node {
	if b.GetMinRetryConcurrency() == nil && b.GetBudgetPercent() != nil {
		return percentNode(b.GetBudgetPercent().GetValue())
	}
	out := &mapping{}
	if p := b.GetBudgetPercent(); p != nil {
		out.put("percent", percentNode(p.GetValue()))
	}
	out.number("min", b.GetMinRetryConcurrency())
	return out.node()
}
