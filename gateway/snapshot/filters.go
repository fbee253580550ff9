package snapshot

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	xds "github.com/cncf/xds/go/xds/type/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerfilter "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	stateful "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/stateful_session/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"longmen/gateway/filter"
	"longmen/gateway/resource"
	"longmen/plugins"
)

// filterSetting is what a listener, a table, a host or a rule says about a filter.
type filterSetting struct {
	name   string        // in http_filters
	kind   *filter.Kind  // of the settings; nil: it is only switched on or off
	filter filter.Filter // of the settings; nil: there is nothing to do
	off    bool
	at     resource.Path
}

// usedFile is a file that a filter's settings name, as it was.
type usedFile struct {
	name string
	sum  sum
}

// short is enough of a sum to be combined with other hashes.
func (s sum) short() uint64 { return binary.BigEndian.Uint64(s[:]) }

// compiledFilter is a filter and what it was made of.
type compiledFilter struct {
	filter filter.Filter
	files  []usedFile
}

// filterUse is what the filters of a listener or a table are made of.
type filterUse struct {
	files   []usedFile
	filters map[string]compiledFilter // as in Snapshot.filters
}

func (u *filterUse) add(key string, f compiledFilter) {
	if u.filters == nil {
		u.filters = map[string]compiledFilter{}
	}
	if _, known := u.filters[key]; !known {
		u.filters[key] = f
		u.files = append(u.files, f.files...)
	}
}

// listenerFilters reads a listener's filters; the router filter ends them.
func (c *compiler) listenerFilters(at resource.Path, filters []*hcm.HttpFilter, hash *uint64) []filterSetting {
	var out []filterSetting
	var uses filterUse
	for i, f := range filters {
		where := item(join(at, "filters"), i)
		c.only(where, f, "name", "typed_config", "config_discovery", "is_optional", "disabled")
		packed := f.GetTypedConfig()
		if packed.MessageIs((*routerfilter.Router)(nil)) {
			var config routerfilter.Router
			if c.unpack(where, packed, &config) {
				c.only(where, &config)
			}
			if i != len(filters)-1 {
				c.fail(where, "the router filter must be the last one")
			}
			if f.GetDisabled() {
				c.fail(where, "the router filter cannot be disabled")
			}
			continue
		}
		if packed.MessageIs((*stateful.StatefulSession)(nil)) {
			// Rules need no filter for their sticky sessions: one without settings of its own says nothing.
			var session stateful.StatefulSession
			if c.unpack(where, packed, &session) {
				c.only(where, &session)
			}
			continue
		}
		if i == len(filters)-1 {
			c.fail(at, "HttpConnectionManager.http_filters: the router filter, which must be the last one, is missing")
		}
		if slices.ContainsFunc(out, func(s filterSetting) bool { return s.name == f.GetName() }) {
			c.fail(where, "two filters are named %q", f.GetName())
			continue
		}
		if packed == nil {
			if !f.GetIsOptional() {
				c.fail(where, "filter %q has no typed_config", f.GetName())
			}
			continue
		}
		setting := filterSetting{name: f.GetName(), off: f.GetDisabled(), at: where}
		if c.filterSettings(where, at, f.GetName(), packed, f.GetIsOptional(), &setting, &uses) {
			out = append(out, setting)
		}
	}
	if len(filters) == 0 {
		c.fail(at, "HttpConnectionManager.http_filters: the router filter is missing")
	}
	for _, file := range uses.files {
		*hash = combine(*hash, file.sum.short())
	}
	return out
}

// routeFilters reads a typed_per_filter_config.
func (c *compiler) routeFilters(at resource.Path, configs map[string]*anypb.Any, uses *filterUse) []filterSetting {
	if len(configs) == 0 {
		return nil
	}
	var out []filterSetting
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		packed, optional := configs[name], false
		setting := filterSetting{name: name, at: join(at, "filters")}
		if packed.MessageIs((*route.FilterConfig)(nil)) {
			var wrapped route.FilterConfig
			if !c.unpack(setting.at, packed, &wrapped) {
				continue
			}
			c.only(setting.at, &wrapped, "config", "is_optional", "disabled")
			packed, optional, setting.off = wrapped.GetConfig(), wrapped.GetIsOptional(), wrapped.GetDisabled()
			if setting.off || packed == nil {
				out = append(out, setting)
				continue
			}
		}
		if c.filterSettings(setting.at, at, name, packed, optional, &setting, uses) {
			out = append(out, setting)
		}
	}
	return out
}

// tableFilters reads what a table, its hosts and its rules say about filters: the
// most specific of them counts.
func (c *compiler) tableFilters(at resource.Path, t *route.RouteConfiguration, out *table) {
	all := c.routeFilters(at, t.GetTypedPerFilterConfig(), &out.uses)
	i := 0
	for h, host := range t.GetVirtualHosts() {
		where := item(at, h)
		ofHost := override(all, c.routeFilters(where, host.GetTypedPerFilterConfig(), &out.uses))
		for r, rule := range host.GetRoutes() {
			settings := ofHost
			if configs := withoutSticky(rule.GetTypedPerFilterConfig()); len(configs) > 0 {
				settings = override(ofHost, c.routeFilters(item(join(where, "rules"), r), configs, &out.uses))
			}
			out.hosts[h].Routes[r].Index = i
			out.filters = append(out.filters, settings)
			i++
		}
	}
}

// filterSettings compiles the settings of a filter that stand at where, within
// parent. It reports whether there is such a filter.
func (c *compiler) filterSettings(where, parent resource.Path, name string, packed *anypb.Any, optional bool, out *filterSetting, uses *filterUse) bool {
	kind, config, err := filterConfig(packed)
	switch {
	case kind == nil && optional:
		return false
	case kind == nil:
		c.fail(where, "filter %q (%s) is not supported by this version yet", name, filterType(packed))
		return false
	case err != nil:
		c.fail(where, "filter %q (%s) cannot be decoded: %v", name, filterType(packed), err)
		return false
	}
	out.kind, out.at = kind, join(join(parent, "filters"), kind.Name)
	if _, known := c.set.Origins.At(out.at); !known {
		out.at = where // it was not written in gateway.yaml
	}
	out.filter = c.filter(out.at, kind, config, uses)
	return true
}

// filterConfig finds out which kind of filter settings are for, and decodes them.
func filterConfig(packed *anypb.Any) (*filter.Kind, proto.Message, error) {
	var typed xds.TypedStruct
	isStruct := packed.MessageIs(&typed)
	if isStruct {
		if err := packed.UnmarshalTo(&typed); err != nil {
			return nil, nil, err
		}
		packed = &anypb.Any{TypeUrl: typed.GetTypeUrl()}
	}
	for _, kind := range plugins.All() {
		for _, m := range kind.Messages {
			if !packed.MessageIs(m) {
				continue
			}
			config := m.ProtoReflect().New().Interface()
			if isStruct {
				return kind, config, resource.FromStruct(typed.GetValue(), config)
			}
			return kind, config, packed.UnmarshalTo(config)
		}
	}
	return nil, nil, nil
}

// filterType is the type of settings for people.
func filterType(packed *anypb.Any) string {
	var typed xds.TypedStruct
	if packed.MessageIs(&typed) && packed.UnmarshalTo(&typed) == nil {
		packed = &anypb.Any{TypeUrl: typed.GetTypeUrl()}
	}
	return typeName(packed)
}

// filter compiles settings. What is equal to other settings, in this set or in the
// one before, is the same filter, with all that it has learned.
func (c *compiler) filter(at resource.Path, kind *filter.Kind, config proto.Message, uses *filterUse) filter.Filter {
	key := fmt.Sprintf("%s %016x", kind.Name, hash(config))
	for _, known := range []map[string]compiledFilter{c.next.filters, c.previous.filters} {
		if before, ok := known[key]; ok && c.unchanged(before.files) {
			c.next.filters[key] = before
			uses.add(key, before)
			return before.filter
		}
	}
	problems := len(c.problems)
	scope := &filterScope{c: c, at: at}
	made := compiledFilter{filter: kind.Compile(scope, config), files: scope.files}
	uses.add(key, made)
	if len(c.problems) == problems {
		c.next.filters[key] = made
	}
	return made.filter
}

// unchanged reports whether files are as they were.
func (c *compiler) unchanged(files []usedFile) bool {
	for _, f := range files {
		problems := len(c.problems)
		k, ok := c.content("", &core.DataSource{Specifier: &core.DataSource_Filename{Filename: f.name}})
		c.problems = c.problems[:problems] // who reads it says so
		if !ok || k.sum != f.sum {
			return false
		}
	}
	return true
}

// filterScope is where settings that are compiled stand.
type filterScope struct {
	c     *compiler
	at    resource.Path
	files []usedFile
}

func (s *filterScope) part(name string) resource.Path {
	if name == "" {
		return s.at
	}
	return join(s.at, name)
}

func (s *filterScope) Fail(part, hint, format string, args ...any) {
	s.c.failHint(s.part(part), hint, format, args...)
}

func (s *filterScope) Only(m proto.Message, understood ...string) { s.c.only(s.at, m, understood...) }

func (s *filterScope) File(part, name string) ([]byte, bool) {
	k, ok := s.c.content(s.part(part), &core.DataSource{Specifier: &core.DataSource_Filename{Filename: name}})
	if !ok {
		return nil, false
	}
	data, ok := k.bytes()
	if ok {
		s.files = append(s.files, usedFile{name, k.sum})
	}
	return data, ok
}
