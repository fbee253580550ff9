package yaml

import (
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	yaml "go.yaml.in/yaml/v4"

	"longmen/gateway/resource"
)

func (e *encoder) forward(out *mapping, a *route.RouteAction, values resource.Values) {
	switch to := a.GetClusterSpecifier().(type) {
	case *route.RouteAction_Cluster:
		out.word("to", to.Cluster)
	case *route.RouteAction_ClusterHeader:
		by := &mapping{}
		by.put("header", text(to.ClusterHeader))
		out.put("to", by.node())
	case *route.RouteAction_WeightedClusters:
		out.put("to", targets(to.WeightedClusters))
	}
	out.duration("timeout", a.GetTimeout())
	out.sub("grpc_timeout", grpcTimeoutMap(a.GetMaxStreamDuration()))
	out.duration("idle_timeout", a.GetIdleTimeout())
	if r := a.GetRetryPolicy(); r != nil {
		out.put("retry", e.retryMap(r, values).node())
	}
	rewrite := &mapping{}
	rewrite.word("prefix", a.GetPrefixRewrite())
	if r := a.GetRegexRewrite(); r != nil {
		if whole, ok := wholeRewrite(r); ok {
			rewrite.word("path", whole)
		} else {
			rewrite.put("regex", substitutionMap(r).node())
		}
	}
	rewrite.word("host", a.GetHostRewriteLiteral())
	out.sub("rewrite", rewrite)
	routingNodes(out, a)
	upgrades(out, a.GetUpgradeConfigs())
	out.size("max_body", values, "max_body")
}

func targets(w *route.WeightedCluster) *yaml.Node {
	out := &mapping{}
	for _, t := range w.GetClusters() {
		headers := headersMap(t.GetRequestHeadersToAdd(), t.GetRequestHeadersToRemove(), t.GetResponseHeadersToAdd(), t.GetResponseHeadersToRemove())
		subset := labelsMap(t.GetMetadataMatch().GetFilterMetadata()[labelsKey])
		if len(headers.content) == 0 && len(subset.content) == 0 {
			out.put(t.GetName(), number(t.GetWeight().GetValue()))
			continue
		}
		target := &mapping{}
		target.put("weight", number(t.GetWeight().GetValue()))
		target.sub("subset", subset)
		target.sub("headers", headers)
		out.put(t.GetName(), target.node())
	}
	return out.node()
}

// wholeRewrite recognises what "rewrite.path" is written as.
func wholeRewrite(r *matcher.RegexMatchAndSubstitute) (string, bool) {
	if r.GetPattern().GetRegex() != wholePath {
		return "", false
	}
	path := strings.ReplaceAll(r.GetSubstitution(), `\\`, `\`)
	return path, strings.HasPrefix(path, "/") && strings.ReplaceAll(path, `\`, `\\`) == r.GetSubstitution()
}

func substitutionMap(r *matcher.RegexMatchAndSubstitute) *mapping {
	out := &mapping{}
	out.put("match", text(r.GetPattern().GetRegex()))
	out.put("to", text(r.GetSubstitution()))
	return out
}

func upgrades(out *mapping, configs []*route.RouteAction_UpgradeConfig) {
	var names []string
	which := &mapping{}
	connect, denied := false, false
	for _, u := range configs {
		if u.GetUpgradeType() == "CONNECT" {
			connect = true
			continue
		}
		on := u.GetEnabled() == nil || u.GetEnabled().GetValue()
		denied = denied || !on
		names = append(names, u.GetUpgradeType())
		which.put(u.GetUpgradeType(), truth(on))
	}
	switch {
	case denied:
		out.sub("upgrades", which)
	case len(names) > 0:
		out.put("upgrades", texts(names))
	}
	if connect {
		out.put("connect", truth(true))
	}
}

func redirectMap(r *route.RedirectAction) *mapping {
	out := &mapping{}
	out.word("scheme", r.GetSchemeRedirect())
	out.word("host", r.GetHostRedirect())
	if port := r.GetPortRedirect(); port != 0 {
		out.put("port", number(port))
	}
	switch p := r.GetPathRewriteSpecifier().(type) {
	case *route.RedirectAction_PathRedirect:
		out.word("path", p.PathRedirect)
	case *route.RedirectAction_PrefixRewrite:
		out.word("prefix", p.PrefixRewrite)
	case *route.RedirectAction_RegexRewrite:
		out.put("regex", substitutionMap(p.RegexRewrite).node())
	}
	for _, status := range []int64{302, 303, 307, 308} {
		if redirectStatus[status] == r.GetResponseCode() {
			out.put("status", number(status))
		}
	}
	if r.GetStripQuery() {
		out.put("strip_query", truth(true))
	}
	return out
}
