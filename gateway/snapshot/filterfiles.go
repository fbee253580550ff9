package snapshot

import (
	"maps"
	"slices"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"longmen/gateway/resource"
)

// Files are the files whose content belongs to a set: those of its own, and those
// that settings of filters name. Each is there once, in order.
func Files(set *resource.Set) []string {
	found := map[string]bool{}
	for _, name := range set.Files() {
		found[name] = true
	}
	for _, l := range set.Listeners {
		m := peekManager(l)
		for _, f := range m.GetHttpFilters() {
			filterFiles(f.GetTypedConfig(), found)
		}
		tableFiles(m.GetRouteConfig(), found)
	}
	for _, t := range set.Routes {
		tableFiles(t, found)
	}
	return slices.Sorted(maps.Keys(found))
}

func tableFiles(t *route.RouteConfiguration, found map[string]bool) {
	all := func(configs map[string]*anypb.Any) {
		for _, packed := range configs {
			filterFiles(packed, found)
		}
	}
	all(t.GetTypedPerFilterConfig())
	for _, host := range t.GetVirtualHosts() {
		all(host.GetTypedPerFilterConfig())
		for _, rule := range host.GetRoutes() {
			all(rule.GetTypedPerFilterConfig())
			stickyFiles(rule, found)
		}
	}
}

// filterFiles adds what one filter's settings name. What cannot be read is refused
// elsewhere.
func filterFiles(packed *anypb.Any, found map[string]bool) {
	if packed.MessageIs((*route.FilterConfig)(nil)) {
		var wrapped route.FilterConfig
		if packed.UnmarshalTo(&wrapped) != nil {
			return
		}
		packed = wrapped.GetConfig()
	}
	if packed == nil {
		return
	}
	kind, config, err := filterConfig(packed)
	if kind == nil || err != nil || kind.Files == nil {
		return
	}
	for _, name := range kind.Files(config) {
		found[name] = true
	}
}
