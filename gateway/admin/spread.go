package admin

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Group is the endpoints of one priority and locality of a cluster.
type Group struct {
	Priority  int     `json:"priority"`
	Locality  string  `json:"locality,omitempty"` // "": they are not told apart
	Share     float64 `json:"share"`              // of the cluster's requests, 0 to 1
	Endpoints int     `json:"endpoints"`          // draining ones are not counted
	Usable    int     `json:"usable"`             // in panic, all
	Panic     bool    `json:"panic"`
}

// Limits are a cluster's limits for requests of one priority; nil: there is none.
type Limits struct {
	Priority    string `json:"priority"` // "default", "high"
	Connections *Limit `json:"connections,omitempty"`
	Pending     *Limit `json:"pending,omitempty"`
	Requests    *Limit `json:"requests,omitempty"`
	Retries     *Limit `json:"retries,omitempty"`
}

// Limit is the state of one limit.
type Limit struct {
	InUse     int64 `json:"in_use"`
	Most      int64 `json:"most"`
	Remaining int64 `json:"remaining"`
}

// writeSpread writes how requests are divided, as far as there is a choice, and what is left of
// limits that are in use.
func (c *Cluster) writeSpread(w *tabwriter.Writer) {
	if len(c.Groups) > 1 || c.Panic || c.Subsets > 0 {
		fmt.Fprintf(w, "  can take %.0f %% of the requests", 100*c.Available)
		if c.Subsets > 0 {
			fmt.Fprintf(w, ", %d subsets", c.Subsets)
		}
		fmt.Fprintln(w)
		for _, g := range c.Groups {
			panic := ""
			if g.Panic {
				panic = "\tpanic"
			}
			fmt.Fprintf(w, "  priority %d\t%s\tgets %.1f %%\t%d of %d usable%s\n", g.Priority, orDash(g.Locality), 100*g.Share, g.Usable, g.Endpoints, panic)
		}
	}
	for _, l := range c.Limits {
		var used []string
		for _, one := range []struct {
			name  string
			limit *Limit
		}{{"connections", l.Connections}, {"pending", l.Pending}, {"requests", l.Requests}, {"retries", l.Retries}} {
			if one.limit != nil && one.limit.InUse > 0 {
				used = append(used, fmt.Sprintf("%s %d of %d", one.name, one.limit.InUse, one.limit.Most))
			}
		}
		if len(used) > 0 {
			fmt.Fprintf(w, "  limits of %s priority: %s\n", l.Priority, strings.Join(used, ", "))
		}
	}
}

// weight is the endpoint's weight, and how much of it it has in its slow start.
func (e *Endpoint) weight() string {
	if e.Percent > 0 && e.Percent < 100 {
		return fmt.Sprintf("%d (%d %% now)", e.Weight, e.Percent)
	}
	return fmt.Sprint(e.Weight)
}

// place is where the endpoint is, for those that are somewhere.
func (e *Endpoint) place() string {
	if e.Priority == 0 && e.Locality == "" {
		return ""
	}
	return fmt.Sprintf("priority %d %s\t", e.Priority, e.Locality)
}
