package ledger

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Judge fills in what follows from the clusters' standings and the workers'
// answers: the sums, the state, what holds the endpoint, and whether it is gone.
//
// It is gone when it stands in no cluster, or in all as draining; every worker has
// answered, from the configuration in use; and none of them may pick it or has a
// stream on it. What is in doubt is not gone. An endpoint that is ejected or
// unhealthy is not: requests may come back to it at any time.
func (e *Entry) Judge() {
	e.Streams, e.Connections, e.Idle, e.Oldest = 0, 0, 0, 0
	for _, w := range e.Workers {
		for _, h := range w.Holdings {
			e.Streams += h.Streams
			e.Connections += h.Connections
			e.Idle += h.Idle
			e.Oldest = max(e.Oldest, h.Oldest)
		}
	}
	e.State = Unknown
	for _, s := range e.Clusters {
		if s.State.rank() > e.State.rank() {
			e.State = s.State
		}
	}
	if e.State.rank() <= Departed.rank() && e.Streams > 0 {
		e.State = Leaving
	}
	e.Held = strings.Join(e.holders(), "; ")
	e.Gone = e.Held == ""
}

// holders are the reasons for which the endpoint is not gone.
func (e *Entry) holders() []string {
	var all []string
	if e.Configuration.InUse == "" {
		all = append(all, "no configuration is in use yet")
	}
	for _, s := range e.Clusters {
		if s.State.rank() > Draining.rank() {
			all = append(all, string(s.State)+" in cluster "+s.Cluster+in(s.Origin))
		}
	}
	pickable := map[string][]int{}
	for _, w := range e.Workers {
		switch {
		case w.Silent:
			all = append(all, fmt.Sprintf("worker %d does not answer", w.ID))
			continue
		case !w.Current:
			all = append(all, fmt.Sprintf("worker %d is between two configurations", w.ID))
		}
		for _, h := range w.Holdings {
			if h.Pickable && !slices.Contains(pickable[h.Cluster], w.ID) {
				pickable[h.Cluster] = append(pickable[h.Cluster], w.ID)
			}
		}
	}
	for _, cluster := range sorted(pickable) {
		if !e.standsIn(cluster) {
			all = append(all, fmt.Sprintf("%s may still pick it for cluster %s", count(len(pickable[cluster]), "worker"), cluster))
		}
	}
	if held := e.streams(); held != "" {
		all = append(all, held)
	}
	return all
}

// standsIn tells that the cluster was named as one in which the endpoint may be picked.
func (e *Entry) standsIn(cluster string) bool {
	return slices.ContainsFunc(e.Clusters, func(s Standing) bool {
		return s.Cluster == cluster && s.State.rank() > Draining.rank()
	})
}

// streams says which streams are there: "3 streams on 2 workers, oldest 12 s, cluster web".
func (e *Entry) streams() string {
	if e.Streams == 0 {
		return ""
	}
	workers, clusters := 0, map[string]bool{}
	for _, w := range e.Workers {
		busy := false
		for _, h := range w.Holdings {
			if h.Streams > 0 {
				busy, clusters[h.Cluster] = true, true
			}
		}
		if busy {
			workers++
		}
	}
	names := sorted(clusters)
	word := "cluster"
	if len(names) > 1 {
		word = "clusters"
	}
	return fmt.Sprintf("%s on %s, oldest %s, %s %s", count(e.Streams, "stream"), count(workers, "worker"), e.Oldest, word, strings.Join(names, ", "))
}

// String is the duration for people: "12 s", "0.3 s", "2 h 5 min".
func (s Seconds) String() string {
	d := time.Duration(s)
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}

// MarshalJSON writes seconds, to the millisecond.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%g", float64(time.Duration(s).Milliseconds())/1000), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	d, err := time.ParseDuration(string(b) + "s")
	*s = Seconds(d)
	return err
}

func in(origin string) string {
	if origin == "" {
		return ""
	}
	return " (" + origin + ")"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func sorted[V any](m map[string]V) []string {
	all := make([]string, 0, len(m))
	for name := range m {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
