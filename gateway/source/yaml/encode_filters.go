package yaml

import (
	"slices"
	"time"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	yaml "go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/types/known/anypb"

	"longmen/gateway/filter"
	"longmen/plugins"
)

// listenerFilters writes the filters that stand before the router.
func (e *encoder) listenerFilters(out *mapping, filters []*hcm.HttpFilter) {
	var nodes []*yaml.Node
	for _, f := range filters {
		if f.GetName() == routerName {
			continue
		}
		nodes = append(nodes, e.filter(f.GetName(), f.GetTypedConfig(), f.GetDisabled()))
	}
	if len(nodes) > 0 {
		out.put("filters", list(nodes...))
	}
}

// routeFilters writes those of a table, host or rule, in the order in which
// requests pass them.
func (e *encoder) routeFilters(out *mapping, configs map[string]*anypb.Any) {
	names := sortedKeys(configs)
	slices.SortStableFunc(names, func(a, b string) int { return e.filterOrder(a) - e.filterOrder(b) })
	var nodes []*yaml.Node
	for _, name := range names {
		packed, off := configs[name], false
		if packed.MessageIs((*route.FilterConfig)(nil)) {
			wrapped := &route.FilterConfig{}
			if err := packed.UnmarshalTo(wrapped); err != nil {
				e.fail("filter %q: %w", name, err)
				return
			}
			packed, off = wrapped.GetConfig(), wrapped.GetDisabled()
		}
		nodes = append(nodes, e.filter(name, packed, off))
	}
	if len(nodes) > 0 {
		out.put("filters", list(nodes...))
	}
}

func (e *encoder) filterOrder(name string) int {
	return slices.IndexFunc(plugins.All(), func(k *filter.Kind) bool { return k.XDS == name })
}

func (e *encoder) filter(name string, packed *anypb.Any, off bool) *yaml.Node {
	i := e.filterOrder(name)
	if i < 0 {
		e.fail("filter %q cannot be written as YAML by this version", name)
		return text(name)
	}
	kind, out := plugins.All()[i], &mapping{}
	if off {
		out.put(kind.Name, text("off"))
		return out.node()
	}
	config := kind.Messages[0].ProtoReflect().New().Interface()
	for _, m := range kind.Messages {
		if packed.MessageIs(m) {
			config = m.ProtoReflect().New().Interface()
		}
	}
	if packed != nil {
		if err := packed.UnmarshalTo(config); err != nil {
			e.fail("filter %q: %w", name, err)
		}
	}
	out.put(kind.Name, filterMap(kind.Values(config), kind.Keys).node())
	return out.node()
}

// filterMap writes settings in the order of their keys.
func filterMap(values filter.Values, keys []filter.Key) *mapping {
	out := &mapping{}
	for _, k := range keys {
		if v, ok := values[k.Name]; ok {
			out.put(k.Name, filterNode(v, k.Type))
		}
	}
	return out
}

func filterNode(v any, t filter.Type) *yaml.Node {
	switch v := v.(type) {
	case bool:
		return truth(v)
	case int64:
		if t.Form == filter.Bytes {
			return bytesNode(v)
		}
		return number(v)
	case time.Duration:
		return text(span(v))
	case []any:
		var nodes []*yaml.Node
		for _, item := range v {
			nodes = append(nodes, filterNode(item, t.Of[0]))
		}
		return list(nodes...)
	case filter.Values:
		for _, one := range append([]filter.Type{t}, t.Of...) {
			if one.Form == filter.Object {
				return filterMap(v, one.Keys).node()
			}
		}
	case string:
		return text(v)
	}
	return text("")
}
