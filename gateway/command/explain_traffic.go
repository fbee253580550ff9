package command

import (
	"fmt"
	"strings"

	"longmen/gateway/cluster"
	"longmen/gateway/router"
)

// traffic says which endpoints a rule's tries go to, and what happens to its clusters'
// requests, where it is not the usual.
func (e *explanation) traffic(f *router.Forward) {
	if f.HighPriority {
		e.line("priority", "high")
	}
	if f.Hash != nil {
		var parts []string
		for i := range f.Hash {
			parts = append(parts, hashText(&f.Hash[i]))
		}
		e.line("hash", strings.Join(parts, ", "))
	}
	if s := f.Sticky; s != nil {
		text := "cookie " + s.Name
		if s.TTL > 0 {
			text += " for " + timeText(s.TTL)
		}
		if s.Strict {
			text += "; 503 when its endpoint is not usable"
		}
		e.line("sticky", text)
	}
	if f.Subset != nil {
		e.line("subset", labelsText(f.Subset))
	}
	for i := range f.Clusters {
		t := &f.Clusters[i]
		config := e.snapshot.Clusters[t.Cluster.Slot].Config()
		parts := clusterTraffic(config)
		if t.Subset != nil {
			parts = append([]string{"subset " + labelsText(t.Subset)}, parts...)
		}
		if len(parts) > 0 {
			e.placed("cluster", config.Name, config.Origin, parts...)
		}
	}
}

// hashText names one thing that is hashed, as gateway.yaml does.
func hashText(p *router.HashPolicy) string {
	text := ""
	switch p.Kind {
	case router.HashHeader:
		text = "header " + p.Name
	case router.HashCookie:
		if text = "cookie " + p.Name; p.Generate != nil {
			text += " (made when absent)"
		}
	case router.HashSourceIP:
		text = "source_ip"
	case router.HashQuery:
		text = "query " + p.Name
	case router.HashPath:
		text = "path"
	}
	if p.Terminal {
		text += " (if there is something, nothing more)"
	}
	return text
}

func labelsText(m *cluster.Match) string {
	var parts []string
	for _, label := range m.Labels {
		parts = append(parts, label.Key+"="+label.Value)
	}
	return strings.Join(parts, ", ")
}

// clusterTraffic says how a cluster spreads its requests, as far as that is not round robin
// over all endpoints alike.
func clusterTraffic(c *cluster.Config) []string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if c.Balance != cluster.RoundRobin {
		add("%v", c.Balance)
	}
	if n := priorities(c); n > 1 {
		add("%d priorities", n)
	}
	switch c.Spread.Localities {
	case cluster.LocalityWeighted:
		add("localities by weight")
	case cluster.LocalityZoneAware:
		add("own zone first")
	}
	if c.SlowStart.Window > 0 {
		add("slow start in %s", timeText(c.SlowStart.Window))
	}
	if c.PanicThreshold > 0 {
		add("all endpoints below %d %% healthy", c.PanicThreshold)
	}
	if o := c.Outlier; o != nil {
		add("ejects outliers for %s", timeText(o.BaseEjectionTime))
	}
	return parts
}

func priorities(c *cluster.Config) int {
	most := 0
	for _, e := range c.Endpoints {
		most = max(most, e.Priority)
	}
	return most + 1
}

// retryText says when a rule tries again.
func retryText(r *router.Retry, conditions string) string {
	parts := []string{fmt.Sprintf("%d on %s", r.Attempts, conditions)}
	if r.PerTry > 0 {
		parts = append(parts, timeText(r.PerTry)+" each")
	}
	if r.PerTryIdle > 0 {
		parts = append(parts, "silent for "+timeText(r.PerTryIdle)+" at most")
	}
	if r.After != nil {
		var names []string
		for _, field := range r.After.Fields {
			names = append(names, field.Name)
		}
		parts = append(parts, "waits as "+strings.Join(names, ", ")+" asks, up to "+timeText(r.After.Max))
	}
	if r.Unsafe {
		parts = append(parts, "also requests that may have run")
	}
	return strings.Join(parts, "; ")
}

// hedgeText says how many tries are under way at once.
func hedgeText(h *router.Hedge, r *router.Retry) string {
	var parts []string
	if h.InitialRequests > 1 {
		parts = append(parts, fmt.Sprintf("%d tries at once", h.InitialRequests))
	}
	if h.AdditionalChance > 0 {
		parts = append(parts, fmt.Sprintf("one more in %.4g %%", float64(h.AdditionalChance)/1e4))
	}
	if h.OnPerTryTimeout && r != nil && r.PerTry > 0 {
		parts = append(parts, "another after "+timeText(r.PerTry)+", beside the one before")
	}
	return strings.Join(parts, "; ")
}
