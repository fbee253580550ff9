package snapshot

import (
	"math"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previoushosts "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	previouspriorities "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/priority/previous_priorities/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
	"longmen/gateway/router"
	"longmen/gateway/stream"
)

const maxRetryHeaders = 16

// retryHeaders reads the fields that retries depend on; part is the key that they
// stand under.
func (c *compiler) retryHeaders(at resource.Path, part string, matchers []*route.HeaderMatcher) []router.ValueMatch {
	if len(matchers) > maxRetryHeaders {
		c.fail(join(at, part), "%d header fields: at most %d", len(matchers), maxRetryHeaders)
		return nil
	}
	var found router.Match
	for _, h := range matchers {
		if h.GetName() == ":method" {
			c.fail(join(at, part), "a match on %q is not supported by this version yet", h.GetName())
			continue
		}
		c.matchHeaderAt(join(join(at, part), h.GetName()), h, &found)
	}
	return found.Headers
}

// retryAfter reads the back-off that responses ask for.
func (c *compiler) retryAfter(at resource.Path, b *route.RetryPolicy_RateLimitedRetryBackOff) *router.RateLimitedBackoff {
	if b == nil {
		return nil
	}
	at = join(at, "retry_after")
	c.only(at, b, "reset_headers", "max_interval")
	out := &router.RateLimitedBackoff{Max: c.positive(join(at, "max"), b.GetMaxInterval(), defaultRetryAfter)}
	for _, h := range b.GetResetHeaders() {
		where := join(join(at, "headers"), h.GetName())
		c.only(where, h, "name", "format")
		field := router.ResetField{Name: strings.ToLower(h.GetName())}
		switch h.GetFormat() {
		case route.RetryPolicy_SECONDS:
		case route.RetryPolicy_UNIX_TIMESTAMP:
			field.Format = router.ResetUnix
		default:
			c.fail(where, "ResetHeader.format: %v is not supported by this version yet", h.GetFormat())
		}
		if !stream.IsToken(field.Name) {
			c.fail(where, "%q is no header name", h.GetName())
		}
		out.Fields = append(out.Fields, field)
	}
	if n := len(out.Fields); n == 0 || n > maxRetryHeaders {
		c.fail(join(at, "headers"), "%d header fields: must be 1 to %d", n, maxRetryHeaders)
	}
	return out
}

// retryPlaces reads which endpoints and priorities a retry leaves out. Endpoints that were tried are
// always left out, as previous_hosts says.
func (c *compiler) retryPlaces(at resource.Path, p *route.RetryPolicy, out *router.Retry) {
	for _, predicate := range p.GetRetryHostPredicate() {
		c.only(at, predicate, "name", "typed_config")
		var hosts previoushosts.PreviousHostsPredicate
		if packed := predicate.GetTypedConfig(); packed == nil {
			c.fail(at, "RetryHostPredicate %q has no typed_config", predicate.GetName())
		} else if c.unpack(at, packed, &hosts) {
			c.only(at, &hosts)
		}
	}
	if p.GetHostSelectionRetryMaxAttempts() < 0 {
		c.fail(at, "RetryPolicy.host_selection_retry_max_attempts: %d is negative", p.GetHostSelectionRetryMaxAttempts())
	}
	priority := p.GetRetryPriority()
	if priority == nil {
		return
	}
	where := join(at, "other_priorities")
	c.only(where, priority, "name", "typed_config")
	var config previouspriorities.PreviousPrioritiesConfig
	if packed := priority.GetTypedConfig(); packed == nil {
		c.fail(where, "RetryPriority %q has no typed_config", priority.GetName())
	} else if c.unpack(where, packed, &config) {
		c.only(where, &config, "update_frequency")
		if n := config.GetUpdateFrequency(); n < 1 || n > maxRetries {
			c.fail(where, "%d: must be from 1 to %d", n, maxRetries)
		} else {
			out.PreviousPriorities = int(n)
		}
	}
}

// hedge reads how many tries are under way at once; nil is one.
func (c *compiler) hedge(at resource.Path, h *route.HedgePolicy) *router.Hedge {
	if h == nil {
		return nil
	}
	at = join(at, "hedge")
	c.only(at, h, "initial_requests", "additional_request_chance", "hedge_on_per_try_timeout")
	out := &router.Hedge{
		InitialRequests: c.number(join(at, "requests"), h.GetInitialRequests(), 1, router.MaxHedges, 1),
		OnPerTryTimeout: h.GetHedgeOnPerTryTimeout(),
	}
	if chance := h.GetAdditionalRequestChance(); chance != nil {
		out.AdditionalChance = c.millionths(join(at, "chance"), chance)
	}
	if out.InitialRequests == 1 && out.AdditionalChance == 0 && !out.OnPerTryTimeout {
		return nil
	}
	return out
}

// millionths reads a fraction above 0.
func (c *compiler) millionths(at resource.Path, f *typev3.FractionalPercent) uint32 {
	c.only(at, f, "numerator", "denominator")
	const all = 1_000_000
	share := uint64(f.GetNumerator())
	switch f.GetDenominator() {
	case typev3.FractionalPercent_HUNDRED:
		share *= all / 100
	case typev3.FractionalPercent_TEN_THOUSAND:
		share *= all / 10_000
	case typev3.FractionalPercent_MILLION:
	default:
		c.fail(at, "FractionalPercent.denominator: %v is not known", f.GetDenominator())
	}
	if share > all {
		c.fail(at, "more than 100 %%")
		return 0
	}
	if share == 0 {
		c.fail(at, "0 %% is nothing: leave it out")
	}
	return uint32(share)
}

// routing reads what a rule says of the endpoints that its tries go to.
func (c *compiler) routing(at resource.Path, a *route.RouteAction, out *router.Forward) {
	switch a.GetPriority() {
	case core.RoutingPriority_DEFAULT:
	case core.RoutingPriority_HIGH:
		out.HighPriority = true
	default:
		c.fail(join(at, "priority"), "RouteAction.priority: %v is not supported by this version yet", a.GetPriority())
	}
	if m := a.GetMetadataMatch(); m != nil {
		out.Subset = c.subset(join(at, "subset"), m)
	}
	var own *hashing
	if list := a.GetHashPolicy(); len(list) > 0 {
		own = &hashing{by: c.hashPolicies(join(at, "hash"), list)}
		out.Hash = own.by
	}
	if len(c.hashing) > 0 {
		c.hashedFor(at, own, out)
	}
}

// hashedFor finds what the clusters of a rule say themselves that requests are hashed
// by, which counts before what the rule says.
func (c *compiler) hashedFor(at resource.Path, own *hashing, out *router.Forward) {
	var by *hashing
	var from string
	for _, t := range out.Clusters {
		h, ok := c.hashing[t.Cluster.Name]
		switch {
		case !ok:
		case by != nil && by.key != h.key:
			c.fail(join(at, "to"), "clusters %q and %q hash requests by different things, which is not supported by this version yet", from, t.Cluster.Name)
			return
		default:
			by, from = &h, t.Cluster.Name
		}
	}
	if by == nil {
		return
	}
	if own != nil {
		c.warn(join(at, "hash"), "", "has no effect: cluster %q says itself what requests are hashed by (%s)", from, c.line(join(join("clusters", from), "lb"), at))
	}
	out.Hash = by.by
}

// subset reads the labels that an endpoint must have.
func (c *compiler) subset(at resource.Path, m *core.Metadata) *cluster.Match {
	c.only(at, m, "filter_metadata")
	for name := range m.GetFilterMetadata() {
		if name != labelsKey {
			c.fail(at, "Metadata.filter_metadata[%q] is not supported by this version yet", name)
		}
	}
	labels := c.labelList(at, m.GetFilterMetadata()[labelsKey])
	for i := 1; i < len(labels); i++ {
		if labels[i].Key == labels[i-1].Key {
			c.fail(join(at, labels[i].Key), "more than one value")
		}
	}
	if len(labels) == 0 {
		return nil
	}
	return &cluster.Match{Labels: labels}
}

// narrowed is the labels of a rule with those that one of its clusters adds, which count
// before the rule's.
func narrowed(rule, target *cluster.Match) *cluster.Match {
	if target == nil {
		return nil
	}
	out := &cluster.Match{}
	var before []cluster.Label
	if rule != nil {
		before = rule.Labels
	}
	for i, j := 0, 0; i < len(before) || j < len(target.Labels); {
		switch {
		case j == len(target.Labels) || i < len(before) && before[i].Key < target.Labels[j].Key:
			out.Labels = append(out.Labels, before[i])
			i++
		default:
			if i < len(before) && before[i].Key == target.Labels[j].Key {
				i++
			}
			out.Labels = append(out.Labels, target.Labels[j])
			j++
		}
	}
	return out
}

// hashingKey identifies what all clusters say that requests are hashed by: tables depend on it.
func (c *compiler) hashingKey() uint64 {
	key := uint64(0)
	for name, h := range c.hashing {
		sum := h.key
		for _, b := range []byte(name) {
			sum = sum*1099511628211 ^ uint64(b) // the order of the map does not count
		}
		key += sum % math.MaxUint32
	}
	return key
}
