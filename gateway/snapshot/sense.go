package snapshot

import (
	"maps"
	"slices"
	"strings"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
	"longmen/gateway/router"
)

// sense looks for rules and clusters that are right by themselves and do nothing together.
// It warns only: nothing that it finds keeps others from being served.
type sense struct {
	c        *compiler
	clusters map[string]*cluster.Config
	// of the clusters that rules lead to, by name
	leads, unhashed, retried, high map[string]bool
	byHeader                       bool // a rule leads to any cluster
}

// makesSense is called when all tables and clusters are compiled. It is made anew for each
// snapshot, whatever is shared with the one before.
func (c *compiler) makesSense(configs []cluster.Config) {
	s := &sense{
		c: c, clusters: make(map[string]*cluster.Config, len(configs)),
		leads: map[string]bool{}, unhashed: map[string]bool{}, retried: map[string]bool{}, high: map[string]bool{},
	}
	for i := range configs {
		s.clusters[configs[i].Name] = &configs[i]
	}
	for _, path := range slices.Sorted(maps.Keys(c.next.tables)) {
		for i, host := range c.next.tables[path].hosts {
			for j, rule := range host.Routes {
				if f := rule.Forward; f != nil {
					s.rule(f, func() resource.Path { return item(join(item(resource.Path(path), i), "rules"), j) })
				}
			}
		}
	}
	for i := range configs {
		s.cluster(&configs[i])
	}
}

// rule looks at a rule that forwards; at is its path, which is made only when it is needed.
func (s *sense) rule(f *router.Forward, at func() resource.Path) {
	s.byHeader = s.byHeader || f.ClusterHeader != ""
	hashed, several := false, false
	for i := range f.Clusters {
		t := &f.Clusters[i]
		config := s.clusters[t.Cluster.Name]
		if config == nil {
			continue // reported
		}
		s.leads[config.Name] = true
		s.retried[config.Name] = s.retried[config.Name] || f.Retry != nil || f.Hedge != nil
		s.high[config.Name] = s.high[config.Name] || f.HighPriority
		hashed = hashed || config.Balance.Hashes()
		several = several || len(config.Failover) > 0 || slices.ContainsFunc(config.Endpoints, func(e cluster.EndpointConfig) bool { return e.Priority > 0 })
		if config.Balance.Hashes() && f.Hash == nil && !s.unhashed[config.Name] {
			s.unhashed[config.Name] = true
			s.c.warn(join(at(), "to"), "write hash on the rule, or by in lb", "cluster %q is balanced by hash (%v), and nothing says what of a request is hashed: endpoints are picked at random",
				config.Name, config.Balance)
		}
		match, part := f.Subset, "subset"
		if t.Subset != nil {
			match, part = t.Subset, "to."+config.Name+".subset"
		}
		if match != nil {
			s.subset(match, config, func() resource.Path { return join(at(), part) })
		}
	}
	if f.ClusterHeader != "" {
		return
	}
	if f.Hash != nil && !hashed {
		s.c.warn(join(at(), "hash"), "write lb: maglev on the cluster", "has no effect: no cluster of this rule is balanced by hash")
	}
	if r := f.Retry; r != nil && r.PreviousPriorities > 0 && !several {
		s.c.warn(join(at(), "retry.other_priorities"), "", "has no effect: no cluster of this rule has more than one priority")
	}
	if h := f.Hedge; h != nil {
		switch {
		case h.OnPerTryTimeout && (f.Retry == nil || f.Retry.PerTry == 0):
			s.c.warn(join(at(), "hedge"), "write retry: {per_try: ...}", "on_timeout has no effect without per_try of retry")
		case f.Retry != nil && f.Retry.Unsafe:
			s.c.warn(join(at(), "hedge"), "", "with unsafe of retry, requests that are not idempotent run several times at once")
		}
	}
}

// subset looks whether anything has the labels that a rule asks for.
func (s *sense) subset(match *cluster.Match, config *cluster.Config, at func() resource.Path) {
	if config.Subsets == nil {
		s.c.warn(at(), "write subsets on the cluster", "has no effect: cluster %q has no subsets", config.Name)
		return
	}
	var keys []string
	for _, label := range match.Labels {
		keys = append(keys, label.Key)
	}
	if !slices.ContainsFunc(config.Subsets.Selectors, func(one cluster.SubsetSelector) bool { return slices.Equal(one.Keys, keys) }) {
		s.c.warn(at(), "", "no selector of cluster %q is of %s: requests get %s", config.Name, strings.Join(keys, ", "), fallbackText(config.Subsets.Fallback))
		return
	}
	has := func(e cluster.EndpointConfig) bool {
		return !slices.ContainsFunc(match.Labels, func(label cluster.Label) bool { return !slices.Contains(e.Labels, label) })
	}
	if config.Discovery != cluster.OriginalDst && !slices.ContainsFunc(config.Endpoints, has) {
		s.c.warn(at(), "", "no endpoint of cluster %q has these labels", config.Name)
	}
}

func fallbackText(f cluster.SubsetFallback) string {
	switch f {
	case cluster.FallbackAny:
		return "any endpoint"
	case cluster.FallbackDefault:
		return "the default subset"
	}
	return "503"
}

// cluster looks at a cluster when all rules are known.
func (s *sense) cluster(config *cluster.Config) {
	if s.byHeader || !s.leads[config.Name] {
		return // anything may lead to it, or that nothing does is reported
	}
	at := join("clusters", config.Name)
	standard := cluster.Limits{Pending: defaultPending, Retries: defaultRetries}
	if !s.high[config.Name] && config.HighLimits != standard {
		s.c.warn(join(at, "limits.high"), "write priority: high on a rule", "has no effect: no rule that leads here has high priority")
	}
	if !s.retried[config.Name] && config.Limits.RetryBudget != nil {
		s.c.warn(join(at, "limits.retries"), "", "has no effect: no rule that leads here has a retry or hedge")
	}
	if keys := config.Subsets; keys != nil {
		for i, one := range keys.Selectors {
			s.selector(i, &one, config)
		}
	}
}

// selector looks whether an endpoint has all labels of a selector.
func (s *sense) selector(i int, one *cluster.SubsetSelector, config *cluster.Config) {
	has := func(e cluster.EndpointConfig) bool {
		return !slices.ContainsFunc(one.Keys, func(key string) bool {
			return !slices.ContainsFunc(e.Labels, func(label cluster.Label) bool { return label.Key == key })
		})
	}
	if len(config.Endpoints) == 0 || config.Discovery == cluster.OriginalDst || slices.ContainsFunc(config.Endpoints, has) {
		return
	}
	list := join(join("clusters", config.Name), "subsets")
	where := item(join(list, "by"), i)
	if _, written := s.c.set.Origins.At(item(list, i)); written {
		where = item(list, i) // subsets: [[version]]
	}
	s.c.warn(where, "write labels on the endpoints", "no endpoint has all of %s: the selector makes no subset", strings.Join(one.Keys, ", "))
}
