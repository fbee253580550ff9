package snapshot

//lint:file-ignore SA1019 control planes still send fields that Envoy calls deprecated

import (
	"math"
	"slices"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
	"longmen/gateway/router"
	"longmen/gateway/stream"
)

const defaultTimeout = 15 * time.Second

// forward compiles a route action.
func (c *compiler) forward(at resource.Path, a *route.RouteAction, m *route.RouteMatch, level *routeLevel) *router.Forward {
	c.only(at, a, "cluster", "cluster_header", "weighted_clusters", "prefix_rewrite", "regex_rewrite", "host_rewrite_literal",
		"timeout", "idle_timeout", "retry_policy", "upgrade_configs", "max_stream_duration", "max_grpc_timeout", "grpc_timeout_offset",
		"hash_policy", "hedge_policy", "metadata_match", "priority")
	out := &router.Forward{Timeout: defaultTimeout, HostRewrite: a.GetHostRewriteLiteral(), Retry: level.retry, Hedge: level.hedge}
	// The paths of keys that are not written are not made: there may be very many rules.
	if t := a.GetTimeout(); t != nil {
		out.Timeout = c.duration(join(at, "timeout"), t, defaultTimeout)
	}
	if t := a.GetIdleTimeout(); t != nil {
		out.IdleTimeout = c.duration(join(at, "idle_timeout"), t, 0)
	}
	out.GRPCTimeout = c.grpcTimeout(at, a)
	c.targets(at, a, out)
	c.routing(at, a, out)
	if a.GetRetryPolicy() != nil {
		out.Retry = c.retry(at, a.GetRetryPolicy())
	}
	if a.GetHedgePolicy() != nil {
		out.Hedge = c.hedge(at, a.GetHedgePolicy())
	}
	if r := out.Retry; r != nil && r.PerTry > 0 && out.Timeout > 0 {
		// Multiplied as float64: num_retries is bounded, the product of both is not.
		if need := float64(r.PerTry) * float64(r.Attempts+1); need > float64(out.Timeout) {
			c.fail(join(at, "timeout"), "%v ends before the last try can (%s: 1 + %d tries of %v)",
				out.Timeout, c.line(join(at, "retry"), join(at, "timeout")), r.Attempts, r.PerTry)
		}
	}
	if a.GetHostRewriteLiteral() != "" && !isAuthority(a.GetHostRewriteLiteral()) {
		c.fail(join(join(at, "rewrite"), "host"), "%q is no host name with or without a port", a.GetHostRewriteLiteral())
	}
	if a.GetPrefixRewrite() != "" || a.GetRegexRewrite() != nil {
		c.rewrite(join(at, "rewrite"), a, m, out)
	}
	c.upgrades(at, a, m, out)
	return out
}

// targets reads the clusters that requests of the rule at go to.
func (c *compiler) targets(at resource.Path, a *route.RouteAction, out *router.Forward) {
	switch to := a.GetClusterSpecifier().(type) {
	case *route.RouteAction_Cluster:
		out.Clusters = []router.WeightedCluster{{Cluster: c.clusterRef(to.Cluster), Weight: 1}}
		out.TotalWeight = 1
	case *route.RouteAction_ClusterHeader:
		if !stream.IsToken(to.ClusterHeader) {
			c.fail(join(at, "to.header"), "%q is no header name", to.ClusterHeader)
		}
		out.ClusterHeader = strings.ToLower(to.ClusterHeader)
	case *route.RouteAction_WeightedClusters:
		c.weighted(join(at, "to"), to.WeightedClusters, a.GetMetadataMatch(), out)
	case nil:
		c.fail(join(at, "to"), "no cluster is named")
	}
}

func (c *compiler) weighted(at resource.Path, w *route.WeightedCluster, labels *core.Metadata, out *router.Forward) {
	c.only(at, w, "clusters", "total_weight")
	var total uint64
	for _, t := range w.GetClusters() {
		where := join(at, t.GetName())
		c.only(where, t, "name", "weight", "metadata_match", "request_headers_to_add", "request_headers_to_remove",
			"response_headers_to_add", "response_headers_to_remove")
		total += uint64(t.GetWeight().GetValue())
		var subset *cluster.Match
		if m := t.GetMetadataMatch(); m != nil {
			whole := &compiler{set: c.set} // the rule's own labels are checked elsewhere
			subset = narrowed(whole.subset(at, labels), c.subset(join(where, "subset"), m))
		}
		out.Clusters = append(out.Clusters, router.WeightedCluster{
			Cluster:  c.clusterRef(t.GetName()),
			Weight:   t.GetWeight().GetValue(),
			Subset:   subset,
			Request:  c.edits(where, "request", t.GetRequestHeadersToAdd(), t.GetRequestHeadersToRemove()),
			Response: c.edits(where, "response", t.GetResponseHeadersToAdd(), t.GetResponseHeadersToRemove()),
		})
	}
	switch set := w.GetTotalWeight(); {
	case total == 0:
		c.fail(at, "the weights sum to nothing")
	case total > math.MaxUint32:
		c.fail(at, "the weights sum to %d, more than %d", total, uint32(math.MaxUint32))
	case set != nil && uint64(set.GetValue()) != total:
		c.fail(at, "WeightedCluster.total_weight is %d, but the weights sum to %d", set.GetValue(), total)
	}
	out.TotalWeight = uint32(total)
}

// clusterRef finds a cluster's slot. References are checked by c.references.
func (c *compiler) clusterRef(name string) router.ClusterRef {
	return router.ClusterRef{Name: name, Slot: c.next.ClusterSlots[name]}
}

// rewrite reads what becomes of the path.
func (c *compiler) rewrite(at resource.Path, a *route.RouteAction, m *route.RouteMatch, out *router.Forward) {
	if a.GetPrefixRewrite() != "" {
		out.PrefixRewrite = c.prefixRewrite(join(at, "prefix"), a.GetPrefixRewrite(), m)
	}
	if a.GetRegexRewrite() != nil {
		if out.PrefixRewrite != nil {
			c.fail(at, "both prefix and regex: only one can rewrite the path")
		}
		out.RegexRewrite = c.regexRewrite(join(at, "regex"), a.GetRegexRewrite())
	}
}

// prefixRewrite checks what replaces the matched prefix or path.
func (c *compiler) prefixRewrite(at resource.Path, to string, m *route.RouteMatch) *string {
	switch m.GetPathSpecifier().(type) {
	case *route.RouteMatch_Prefix, *route.RouteMatch_PathSeparatedPrefix, *route.RouteMatch_Path:
	default:
		c.fail(at, "a prefix can be replaced only where match has a prefix or path")
	}
	c.absolute(at, to)
	return &to
}

func (c *compiler) regexRewrite(at resource.Path, r *matcher.RegexMatchAndSubstitute) *router.RegexRewrite {
	c.only(at, r, "pattern", "substitution")
	if r.GetPattern() == nil {
		c.fail(at, "RegexMatchAndSubstitute.pattern is missing")
	}
	return &router.RegexRewrite{Pattern: c.regex(join(at, "match"), r.GetPattern()), Substitution: r.GetSubstitution()}
}

// upgrades reads the protocols that a route allows beside its listener's, and
// those of its listener's that it does not allow.
func (c *compiler) upgrades(at resource.Path, a *route.RouteAction, m *route.RouteMatch, out *router.Forward) {
	for i, u := range a.GetUpgradeConfigs() {
		where := item(join(at, "upgrades"), i)
		c.only(where, u, "upgrade_type", "enabled", "connect_config")
		enabled := u.GetEnabled() == nil || u.GetEnabled().GetValue()
		if strings.EqualFold(u.GetUpgradeType(), "connect") {
			if out.Connect = enabled; u.GetConnectConfig() == nil {
				c.fail(where, "CONNECT without connect_config (passing it on to another proxy) is not supported by this version yet")
			} else {
				c.only(where, u.GetConnectConfig())
			}
			continue
		}
		if u.GetConnectConfig() != nil {
			c.fail(where, "UpgradeConfig.connect_config is for CONNECT only")
		}
		name, ok := c.upgrade(where, u.GetUpgradeType())
		switch {
		case !ok:
		case slices.Contains(out.Upgrades, name) || slices.Contains(out.NoUpgrades, name):
			c.fail(where, "%q is named twice", u.GetUpgradeType())
		case !enabled:
			out.NoUpgrades = append(out.NoUpgrades, name)
		default:
			out.Upgrades = append(out.Upgrades, name)
		}
	}
	if out.Connect != (m.GetConnectMatcher() != nil) {
		c.fail(at, "connect: a match on CONNECT and the upgrade type CONNECT belong together")
	}
}

// upgrade checks the name of a protocol that may become a tunnel.
func (c *compiler) upgrade(at resource.Path, name string) (string, bool) {
	lower := strings.ToLower(name)
	switch {
	case !stream.IsToken(strings.ReplaceAll(name, "/", "-")):
		c.fail(at, "%q is no protocol", name)
	case lower == "connect":
		c.fail(at, "CONNECT is allowed by rules, not by a listener")
	case lower == "h2c" || strings.HasPrefix(lower, "http/"):
		c.fail(at, "the upgrade to %s is not supported by this version yet", name)
	default:
		return lower, true
	}
	return "", false
}

// isAuthority reports whether s may be sent as Host: a name or address with an
// optional port (RFC 3986 section 3.2, without user information).
func isAuthority(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("/?#@\\<>\"{}|^`", r)
	})
}
