package yaml

import (
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// forward reads "to" and what goes with it.
func (d *decoder) forward(f fields, extra resource.Values) *route.RouteAction {
	out := &route.RouteAction{
		Timeout:     f.duration("timeout", 0),
		IdleTimeout: f.duration("idle_timeout", time.Millisecond),
	}
	d.to(f.written("to"), out)
	if v, ok := f.get("grpc_timeout"); ok {
		out.MaxStreamDuration = d.grpcTimeout(v)
	}
	if v, ok := f.get("retry"); ok {
		out.RetryPolicy = d.retry(v, extra)
	}
	if v, ok := f.get("rewrite"); ok {
		d.rewrite(v, out)
	}
	d.routing(f, out)
	d.routeUpgrades(f, out)
	if n, ok := f.bytes("max_body", 1, maxBytes); ok {
		extra["max_body"] = n
	}
	return out
}

func (d *decoder) to(v value, out *route.RouteAction) {
	if !v.isMap() {
		if name, ok := d.word(v); ok {
			out.ClusterSpecifier = &route.RouteAction_Cluster{Cluster: name}
		}
		return
	}
	entries := d.entries(v)
	// {header: x-cluster}, unless a cluster is called header: its weight is a number.
	if len(entries) == 1 && entries[0].key.Value == "header" && entries[0].scalar() && entries[0].node.ShortTag() == "!!str" {
		if name, ok := d.text(entries[0]); ok && d.fieldName(entries[0].node, entries[0].path, name) {
			out.ClusterSpecifier = &route.RouteAction_ClusterHeader{ClusterHeader: name}
		}
		return
	}
	clusters := &route.WeightedCluster{}
	for _, entry := range entries {
		d.origins.Set(entry.path, d.origin(entry.key)) // the name is what may be wrong with it
		if target := d.target(entry); target != nil {
			clusters.Clusters = append(clusters.Clusters, target)
		}
	}
	if len(entries) == 0 {
		d.fail(v, "must name at least one cluster")
	}
	out.ClusterSpecifier = &route.RouteAction_WeightedClusters{WeightedClusters: clusters}
}

// maxWeight bounds one weight; the sum must fit into 32 bits.
const maxWeight = 1_000_000

// target reads one weighted cluster: its weight, or a map with it.
func (d *decoder) target(v value) *route.WeightedCluster_ClusterWeight {
	out := &route.WeightedCluster_ClusterWeight{Name: v.key.Value}
	weight := v
	if v.isMap() {
		f := d.object(v, targetTable)
		out.MetadataMatch = d.subset(f)
		h := d.headers(f)
		out.RequestHeadersToAdd, out.RequestHeadersToRemove = h.request.add, h.request.remove
		out.ResponseHeadersToAdd, out.ResponseHeadersToRemove = h.response.add, h.response.remove
		written, ok := f.get("weight")
		if !ok {
			f.missing("weight", "the cluster's share")
			return nil
		}
		weight = written
	} else {
		weight.path = part(v.path, "weight")
		d.mark(weight)
	}
	n, ok := d.integer(weight, 0, maxWeight)
	if !ok {
		return nil
	}
	out.Weight = wrapperspb.UInt32(uint32(n))
	return out
}

// wholePath is the pattern by which rewrite.path is written.
const wholePath = "^.*$"

func (d *decoder) rewrite(v value, out *route.RouteAction) {
	f := d.object(v, rewriteTable)
	f.exclusive("prefix", "path", "regex")
	if v, ok := f.get("prefix"); ok {
		out.PrefixRewrite, _ = d.absolutePath(v)
	}
	if v, ok := f.get("path"); ok {
		if path, ok := d.absolutePath(v); ok {
			out.RegexRewrite = substitute(wholePath, strings.ReplaceAll(path, `\`, `\\`))
		}
	}
	if v, ok := f.get("regex"); ok {
		out.RegexRewrite = d.substitution(v)
	}
	if v, ok := f.get("host"); ok {
		if host, ok := d.authority(v); ok {
			out.HostRewriteSpecifier = &route.RouteAction_HostRewriteLiteral{HostRewriteLiteral: host}
		}
	}
}

// authority reads a host with or without a port.
func (d *decoder) authority(v value) (string, bool) {
	s, ok := d.word(v)
	if ok && (len(s) > 255 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("/?#@\\<>\"{}|^`*", r) })) {
		d.fail(v, "%q is no host name", clip(s))
		return "", false
	}
	return s, ok
}

func substitute(pattern, to string) *matcher.RegexMatchAndSubstitute {
	return &matcher.RegexMatchAndSubstitute{Pattern: &matcher.RegexMatcher{Regex: pattern}, Substitution: to}
}

func (d *decoder) substitution(v value) *matcher.RegexMatchAndSubstitute {
	f := d.object(v, substitutionTable)
	if v.isMap() && (!f.has("match") || !f.has("to")) {
		f.missing("match or to", "a substitution needs both")
		return nil
	}
	pattern, to := "", ""
	if v, ok := f.get("match"); ok {
		pattern, _ = d.pattern(v)
	}
	if v, ok := f.get("to"); ok {
		to, _ = d.text(v)
		for i := 0; i < len(to); i++ {
			if to[i] != '\\' {
				continue
			}
			if i++; i == len(to) || to[i] != '\\' && (to[i] < '0' || to[i] > '9') {
				d.fail(v, `%q: behind a backslash stands a digit or another backslash`, clip(to))
				break
			}
		}
	}
	return substitute(pattern, to)
}

// routeUpgrades reads a rule's protocols, and CONNECT.
func (d *decoder) routeUpgrades(f fields, out *route.RouteAction) {
	if v, ok := f.get("upgrades"); ok {
		out.UpgradeConfigs = d.ruleUpgrades(v)
		if !v.scalar() && len(v.node.Content) == 0 {
			d.fail(v, "says nothing: a rule adds to what its listener allows, or takes away from it")
		}
	}
	if v, ok := f.get("connect"); ok {
		if strings.EqualFold(v.node.Value, "true") {
			out.UpgradeConfigs = append(out.UpgradeConfigs, &route.RouteAction_UpgradeConfig{
				UpgradeType: "CONNECT", ConnectConfig: &route.RouteAction_UpgradeConfig_ConnectConfig{},
			})
		}
	}
}

// ruleUpgrades reads a list of protocols that are allowed, or a map that says of
// each whether it is.
func (d *decoder) ruleUpgrades(v value) []*route.RouteAction_UpgradeConfig {
	var configs []*route.RouteAction_UpgradeConfig
	if !v.isMap() {
		for _, entry := range d.items(v) {
			if name, ok := d.upgrade(entry); ok {
				configs = append(configs, &route.RouteAction_UpgradeConfig{UpgradeType: name})
			}
		}
		return configs
	}
	for _, entry := range d.entries(v) {
		name, known := d.upgrade(value{node: entry.key, path: entry.path})
		on, ok := d.boolean(entry)
		if !known || !ok {
			continue
		}
		config := &route.RouteAction_UpgradeConfig{UpgradeType: name}
		if !on {
			config.Enabled = wrapperspb.Bool(false)
		}
		configs = append(configs, config)
	}
	return configs
}

var redirectStatus = map[int64]route.RedirectAction_RedirectResponseCode{
	301: route.RedirectAction_MOVED_PERMANENTLY,
	302: route.RedirectAction_FOUND,
	303: route.RedirectAction_SEE_OTHER,
	307: route.RedirectAction_TEMPORARY_REDIRECT,
	308: route.RedirectAction_PERMANENT_REDIRECT,
}

func (d *decoder) redirect(v value) *route.RedirectAction {
	f := d.object(v, redirectTable)
	out := &route.RedirectAction{}
	if v.isMap() && len(f.found) == 0 {
		d.fail(v, "must say what changes: scheme, host, port, path, prefix, regex or strip_query")
	}
	f.exclusive("path", "prefix", "regex")
	if scheme, ok := f.choice("scheme", "http", "https"); ok {
		out.SchemeRewriteSpecifier = &route.RedirectAction_SchemeRedirect{SchemeRedirect: scheme}
	}
	if v, ok := f.get("host"); ok {
		out.HostRedirect, _ = d.authority(v)
	}
	if n, ok := f.number("port", 1, 65535); ok {
		out.PortRedirect = uint32(n)
	}
	if v, ok := f.get("path"); ok {
		if s, ok := d.word(v); ok {
			if !strings.HasPrefix(s, "/") || strings.ContainsAny(s, " #") {
				d.fail(v, `%q: a path begins with "/" and has no blanks`, clip(s))
			}
			out.PathRewriteSpecifier = &route.RedirectAction_PathRedirect{PathRedirect: s}
		}
	}
	if v, ok := f.get("prefix"); ok {
		if s, ok := d.absolutePath(v); ok {
			out.PathRewriteSpecifier = &route.RedirectAction_PrefixRewrite{PrefixRewrite: s}
		}
	}
	if v, ok := f.get("regex"); ok {
		out.PathRewriteSpecifier = &route.RedirectAction_RegexRewrite{RegexRewrite: d.substitution(v)}
	}
	if v, ok := f.get("status"); ok {
		if n, ok := d.integer(v, 300, 399); ok {
			code, known := redirectStatus[n]
			if !known {
				d.fail(v, "%d: must be 301, 302, 303, 307 or 308", n)
			}
			out.ResponseCode = code
		}
	}
	if strip, ok := f.flag("strip_query"); ok {
		out.StripQuery = strip
	}
	return out
}

func (d *decoder) respond(v value, extra resource.Values) *route.DirectResponseAction {
	f := d.object(v, respondTable)
	out := &route.DirectResponseAction{}
	if n, ok := f.number("status", 200, 599); ok {
		out.Status = uint32(n)
	} else if v.isMap() && !f.has("status") {
		f.missing("status", "the response's status, such as 503")
	}
	if v, ok := f.get("body"); ok {
		if s, ok := d.text(v); ok && s != "" {
			out.Body = &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: s}}
			if out.Status == 204 || out.Status == 304 {
				d.fail(v, "a response with status %d has no body (RFC 9110 section 15)", out.Status)
			}
		}
	}
	if s, ok := f.word("type"); ok {
		extra["content_type"] = s
	}
	return out
}
