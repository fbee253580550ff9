package yaml

import (
	"slices"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	subset "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/subset/v3"
)

// The bounds of subsets.
const (
	maxSelectors    = 32
	maxSelectorKeys = 8
)

// fallbacks are the words of "fallback" of subsets.
var fallbacks = []struct {
	word   string
	policy subset.Subset_LbSubsetFallbackPolicy
}{
	{"any", subset.Subset_ANY_ENDPOINT}, // the default
	{"none", subset.Subset_NO_FALLBACK},
	{"default", subset.Subset_DEFAULT_SUBSET},
}

// selectorFallbacks are those of a selector.
var selectorFallbacks = []struct {
	word   string
	policy subset.Subset_LbSubsetSelector_LbSubsetSelectorFallbackPolicy
}{
	{"none", subset.Subset_LbSubsetSelector_NO_FALLBACK}, // the default
	{"any", subset.Subset_LbSubsetSelector_ANY_ENDPOINT},
	{"default", subset.Subset_LbSubsetSelector_DEFAULT_SUBSET},
	{"keys", subset.Subset_LbSubsetSelector_KEYS_SUBSET},
	{"inherit", subset.Subset_LbSubsetSelector_NOT_DEFINED},
}

// subsets puts the policy of the algorithm into one of subsets.
func (d *decoder) subsets(v value, inner *cluster.LoadBalancingPolicy) *cluster.LoadBalancingPolicy {
	out := &subset.Subset{FallbackPolicy: subset.Subset_ANY_ENDPOINT, ListAsAny: true, SubsetLbPolicy: inner}
	selectors, f := v, fields{d: d, self: v}
	if v.isMap() {
		f = d.object(v, subsetsTable)
		written, ok := f.get("by")
		if !ok {
			f.missing("by", "a list of selectors such as [[version]]")
			return nil
		}
		selectors = written
	}
	needsDefault := false
	entries := d.items(selectors)
	switch {
	case selectors.isList() && len(entries) == 0:
		d.fail(selectors, "must name at least one selector")
	case len(entries) > maxSelectors:
		d.fail(selectors, "%d selectors: at most %d", len(entries), maxSelectors)
	}
	for _, entry := range entries {
		one := d.selector(entry)
		needsDefault = needsDefault || one.FallbackPolicy == subset.Subset_LbSubsetSelector_DEFAULT_SUBSET
		out.SubsetSelectors = append(out.SubsetSelectors, one)
	}
	if word, ok := f.choice("fallback", "any", "none", "default"); ok {
		for _, fallback := range fallbacks {
			if fallback.word == word {
				out.FallbackPolicy = fallback.policy
			}
		}
		needsDefault = needsDefault || word == "default"
	}
	if v, ok := f.get("default"); ok {
		out.DefaultSubset = d.labels(v, false)
		if !needsDefault {
			d.at(v.key, v.path, "add fallback: default", "has no effect: nothing falls back to it")
		}
	} else if needsDefault {
		f.missing("default", "the labels of the subset that requests fall back to")
	}
	out.LocalityWeightAware, _ = f.flag("locality_weights")
	out.ScaleLocalityWeight, _ = f.flag("scale_weights")
	if out.ScaleLocalityWeight && !out.LocalityWeightAware {
		d.fail(f.written("scale_weights"), "has no effect without locality_weights")
	}
	out.PanicModeAny, _ = f.flag("panic_any")
	return onePolicy(policyName+"subset", d.pack(v, out))
}

// selector reads [label, ...], or a map with that.
func (d *decoder) selector(v value) *subset.Subset_LbSubsetSelector {
	out := &subset.Subset_LbSubsetSelector{FallbackPolicy: subset.Subset_LbSubsetSelector_NO_FALLBACK}
	if !v.isMap() {
		out.Keys = d.labelNames(v)
		return out
	}
	f := d.object(v, selectorTable)
	if by, ok := f.get("by"); ok {
		out.Keys = d.labelNames(by)
	} else {
		f.missing("by", "a list of labels")
	}
	if word, ok := f.choice("fallback", "none", "any", "default", "keys", "inherit"); ok {
		for _, fallback := range selectorFallbacks {
			if fallback.word == word {
				out.FallbackPolicy = fallback.policy
			}
		}
	}
	wantsKeys := out.FallbackPolicy == subset.Subset_LbSubsetSelector_KEYS_SUBSET
	if v, ok := f.get("keys"); ok {
		out.FallbackKeysSubset = d.labelNames(v)
		switch {
		case !wantsKeys:
			d.at(v.key, v.path, "add fallback: keys", "has no effect without fallback: keys")
		case len(out.FallbackKeysSubset) >= len(out.Keys):
			d.fail(v, "must be some of the labels of by, and not all")
		}
		for _, key := range out.FallbackKeysSubset {
			if !slices.Contains(out.Keys, key) {
				d.failHint(v, nearest(key, out.Keys), "%q is not among the labels of by", clip(key))
			}
		}
	} else if wantsKeys {
		f.missing("keys", "some of the labels of by")
	}
	if out.SingleHostPerSubset, _ = f.flag("single"); out.SingleHostPerSubset && len(out.Keys) > 1 {
		d.fail(f.written("single"), "goes with one label; by has %d", len(out.Keys))
	}
	return out
}

// labelNames reads a list of labels, each once.
func (d *decoder) labelNames(v value) []string {
	var names []string
	for _, entry := range d.items(v) {
		name, ok := d.word(entry)
		switch {
		case !ok:
		case slices.Contains(names, name):
			d.fail(entry, "%q stands here twice", clip(name))
		default:
			names = append(names, name)
		}
	}
	if v.isList() && (len(v.node.Content) == 0 || len(v.node.Content) > maxSelectorKeys) {
		d.fail(v, "must name 1 to %d labels", maxSelectorKeys)
	}
	return names
}
