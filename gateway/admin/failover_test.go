package admin

import (
	"bytes"
	"testing"
	"text/tabwriter"
)

func TestFailoverIsShown(t *testing.T) {
	for want, shares := range map[string][]Share{
		"": nil,
		"  failover web 70 %, dc2 30 %, dc3 0 %\n": {{"web", 70}, {"dc2", 30}, {"dc3", 0}},
	} {
		var out bytes.Buffer
		w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
		(&Cluster{Failover: shares}).writeFailover(w)
		w.Flush()
		if out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}
