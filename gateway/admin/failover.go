package admin

import (
	"fmt"
	"text/tabwriter"
)

// Share is the part of a cluster's requests that some cluster takes.
type Share struct {
	Cluster string `json:"cluster"`
	Percent int    `json:"percent"`
}

// writeStandby writes where the switch of a cluster stands.
func (c *Cluster) writeStandby(w *tabwriter.Writer) {
	if s := c.Standby; s != nil {
		fmt.Fprintf(w, "  standby to %s: %s\n", s.To, s.State)
	}
}

// writeFailover writes where the requests of a cluster that fails over to others go now.
func (c *Cluster) writeFailover(w *tabwriter.Writer) {
	if len(c.Failover) == 0 {
		return
	}
	fmt.Fprint(w, "  failover")
	for i, share := range c.Failover {
		if i > 0 {
			fmt.Fprint(w, ",")
		}
		fmt.Fprintf(w, " %s %d %%", share.Cluster, share.Percent)
	}
	fmt.Fprintln(w)
}
