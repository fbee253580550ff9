package snapshot

import (
	"cmp"
	"fmt"
	"slices"

	"longmen/gateway/filter"
	"longmen/gateway/resource"
	"longmen/plugins"
)

// override gives settings with those of a more specific level in their place.
func override(settings, specific []filterSetting) []filterSetting {
	if len(specific) == 0 {
		return settings
	}
	out := slices.Clone(settings)
	for _, s := range specific {
		i := slices.IndexFunc(out, func(o filterSetting) bool { return o.name == s.name })
		if i < 0 {
			out = append(out, s)
		} else {
			out[i] = s
		}
	}
	return out
}

// chains puts together the filters of a listener and of its routes. First come
// the listener's, in their order; then those that only routes have, in the order of
// plugins.All.
func (c *compiler) chains(at resource.Path, l *Listener, t *table) {
	own := c.ownFilters[l.Name]
	order := slices.Clone(own)
	missing := map[string]bool{}
	for _, settings := range t.filters {
		for _, s := range settings {
			if missing[s.name] || slices.ContainsFunc(order, func(o filterSetting) bool { return o.name == s.name }) {
				continue
			}
			if s.kind == nil || s.kind.XDS != s.name {
				if !s.off {
					missing[s.name] = true
					c.warn(s.at, "", "no filter of %s is named %q", at, s.name)
				}
				continue
			}
			order = append(order, filterSetting{name: s.name, kind: s.kind, off: true})
		}
	}
	if len(order) > filter.Max {
		c.fail(join(at, "filters"), "%d filters, with those of its routes: at most %d are supported", len(order), filter.Max)
		return
	}
	slices.SortStableFunc(order[len(own):], func(a, b filterSetting) int { return cmp.Compare(plugins.Order(a.kind), plugins.Order(b.kind)) })
	if len(order) == 0 {
		return
	}
	equal := map[string]filter.Chain{}
	l.Unrouted = c.chain(order, nil, equal)
	l.Chains = make([]filter.Chain, len(t.filters))
	some := l.Unrouted != nil
	for i, settings := range t.filters {
		l.Chains[i] = c.chain(order, settings, equal)
		some = some || l.Chains[i] != nil
	}
	if !some {
		l.Chains = nil
	}
}

// chain gives the filters of a route with these settings.
func (c *compiler) chain(order, settings []filterSetting, equal map[string]filter.Chain) filter.Chain {
	var chain filter.Chain
	var key []byte
	for place, o := range order {
		f, off := o.filter, o.off
		if i := slices.IndexFunc(settings, func(s filterSetting) bool { return s.name == o.name }); i >= 0 {
			s := &settings[i]
			if off = s.off; s.kind != nil {
				f = s.filter
				if o.kind != nil && o.kind.Name != s.kind.Name {
					c.fail(s.at, "the settings of filter %q are those of another one (%s)", s.name, s.kind.Name)
				}
			}
		}
		if f != nil && !off {
			chain = append(chain, filter.Step{Name: o.name, Place: place, Filter: f})
			key = fmt.Appendf(key, "%d %p ", place, f)
		}
	}
	if known, ok := equal[string(key)]; ok {
		return known
	}
	equal[string(key)] = chain
	return chain
}
