package snapshot

import (
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	subset "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/subset/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
)

// The bounds of subsets.
const (
	maxSelectors    = 32
	maxSelectorKeys = 8
)

// subsetMessage is what the policy Subset and the older LbSubsetConfig have in common.
type subsetMessage interface {
	proto.Message
	GetDefaultSubset() *structpb.Struct
	GetLocalityWeightAware() bool
	GetScaleLocalityWeight() bool
	GetPanicModeAny() bool
	GetListAsAny() bool
}

// selectorMessage is what their selectors have in common.
type selectorMessage interface {
	proto.Message
	GetKeys() []string
	GetSingleHostPerSubset() bool
	GetFallbackKeysSubset() []string
}

// subsetFallbacks and selectorFallbacks are by the numbers of the enums, which are the
// same in both.
var (
	subsetFallbacks   = []cluster.SubsetFallback{cluster.FallbackNone, cluster.FallbackAny, cluster.FallbackDefault}
	selectorFallbacks = []cluster.SubsetFallback{cluster.FallbackUnset, cluster.FallbackNone, cluster.FallbackAny, cluster.FallbackDefault, cluster.FallbackKeys}
)

func (c *compiler) subsets(at resource.Path, s *subset.Subset, out *cluster.Config) {
	if out.Subsets != nil {
		c.fail(at, "a policy Subset stands in another one")
		return
	}
	c.only(at, s, "fallback_policy", "default_subset", "subset_selectors", "locality_weight_aware", "scale_locality_weight", "panic_mode_any", "list_as_any", "subset_lb_policy")
	if s.GetSubsetLbPolicy() == nil {
		c.fail(at, "Subset.subset_lb_policy is missing")
	}
	made := c.subsetsOf(at, s, int(s.GetFallbackPolicy()), out)
	for i, one := range s.GetSubsetSelectors() {
		made.Selectors = append(made.Selectors, c.selector(item(join(at, "by"), i), one, int(one.GetFallbackPolicy())))
	}
	c.subsetsMakeSense(at, made)
}

func (c *compiler) oldSubsets(at resource.Path, s *clusterv3.Cluster_LbSubsetConfig, out *cluster.Config) {
	if s == nil {
		return
	}
	c.only(at, s, "fallback_policy", "default_subset", "subset_selectors", "locality_weight_aware", "scale_locality_weight", "panic_mode_any", "list_as_any")
	made := c.subsetsOf(at, s, int(s.GetFallbackPolicy()), out)
	for i, one := range s.GetSubsetSelectors() {
		made.Selectors = append(made.Selectors, c.selector(item(join(at, "by"), i), one, int(one.GetFallbackPolicy())))
	}
	c.subsetsMakeSense(at, made)
}

// subsetsOf reads all but the selectors.
func (c *compiler) subsetsOf(at resource.Path, s subsetMessage, fallback int, out *cluster.Config) *cluster.Subsets {
	made := &cluster.Subsets{
		Fallback:            c.fallback(at, subsetFallbacks, fallback),
		Default:             c.labelList(join(at, "default"), s.GetDefaultSubset()),
		LocalityWeightAware: s.GetLocalityWeightAware(),
		ScaleLocalityWeight: s.GetScaleLocalityWeight(),
		PanicAny:            s.GetPanicModeAny(),
	}
	out.Subsets = made
	if !s.GetListAsAny() {
		for i, e := range out.Endpoints {
			for j := 1; j < len(e.Labels); j++ {
				if e.Labels[j].Key == e.Labels[j-1].Key {
					c.fail(join(item(beside(at, "endpoints"), i), "labels"), "a list of values (%q) without list_as_any is not supported by this version yet", e.Labels[j].Key)
				}
			}
		}
	}
	return made
}

func (c *compiler) fallback(at resource.Path, all []cluster.SubsetFallback, n int) cluster.SubsetFallback {
	if n < 0 || n >= len(all) {
		c.fail(join(at, "fallback"), "fallback policy %d is not known", n)
		return cluster.FallbackNone
	}
	return all[n]
}

func (c *compiler) selector(at resource.Path, s selectorMessage, fallback int) cluster.SubsetSelector {
	c.only(at, s, "keys", "single_host_per_subset", "fallback_policy", "fallback_keys_subset")
	out := cluster.SubsetSelector{
		Keys:           slices.Sorted(slices.Values(s.GetKeys())),
		Fallback:       c.fallback(at, selectorFallbacks, fallback),
		FallbackKeys:   slices.Sorted(slices.Values(s.GetFallbackKeysSubset())),
		SingleEndpoint: s.GetSingleHostPerSubset(),
	}
	if n := len(slices.Compact(slices.Clone(out.Keys))); n == 0 || n > maxSelectorKeys || n < len(out.Keys) {
		c.fail(at, "%d keys: must be 1 to %d, each once", len(out.Keys), maxSelectorKeys)
	}
	if out.SingleEndpoint && len(out.Keys) != 1 {
		c.fail(at, "single_host_per_subset goes with one key")
	}
	wanted := out.Fallback == cluster.FallbackKeys
	if wanted != (len(out.FallbackKeys) > 0) {
		c.fail(at, "fallback_keys_subset and the fallback policy KEYS_SUBSET go together")
	}
	for _, key := range out.FallbackKeys {
		if !slices.Contains(out.Keys, key) || len(out.FallbackKeys) >= len(out.Keys) {
			c.fail(at, "fallback_keys_subset: must be some of the keys, and not all")
			break
		}
	}
	return out
}

func (c *compiler) subsetsMakeSense(at resource.Path, s *cluster.Subsets) {
	toDefault := s.Fallback == cluster.FallbackDefault
	for i, one := range s.Selectors {
		toDefault = toDefault || one.Fallback == cluster.FallbackDefault
		for _, other := range s.Selectors[:i] {
			if slices.Equal(one.Keys, other.Keys) {
				c.fail(item(join(at, "by"), i), "a selector with these keys is there already")
			}
		}
	}
	if len(s.Selectors) == 0 || len(s.Selectors) > maxSelectors {
		c.fail(at, "%d selectors: must be 1 to %d", len(s.Selectors), maxSelectors)
	}
	if toDefault && len(s.Default) == 0 {
		c.fail(join(at, "default"), "is missing: requests fall back to it")
	}
	if s.ScaleLocalityWeight && !s.LocalityWeightAware {
		c.fail(join(at, "scale_weights"), "has no effect without locality_weights")
	}
	for i := 1; i < len(s.Default); i++ {
		if s.Default[i].Key == s.Default[i-1].Key {
			c.fail(join(at, "default"), "%q has more than one value", s.Default[i].Key)
		}
	}
}
