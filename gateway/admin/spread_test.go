package admin

import (
	"strings"
	"testing"
	"text/tabwriter"
)

func TestSpreadIsShown(t *testing.T) {
	write := func(c *Cluster) string {
		var b strings.Builder
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		c.writeSpread(w)
		w.Flush()
		return b.String()
	}
	if text := write(&Cluster{Available: 1, Groups: []Group{{Share: 1, Endpoints: 2, Usable: 2}}, Limits: []Limits{{Priority: "default", Retries: &Limit{0, 3, 3}}}}); text != "" {
		t.Errorf("of a plain cluster: %s", text)
	}
	got := write(&Cluster{
		Available: 0.84, Subsets: 3,
		Groups: []Group{{0, "eu/a", 0.625, 10, 6, false}, {1, "", 0.375, 5, 5, true}},
		Limits: []Limits{{Priority: "high", Requests: &Limit{7, 10, 3}, Pending: &Limit{1, 2, 1}}},
	})
	want := `  can take 84 % of the requests, 3 subsets
  priority 0  eu/a  gets 62.5 %  6 of 10 usable
  priority 1  -     gets 37.5 %  5 of 5 usable  panic
  limits of high priority: pending 1 of 2, requests 7 of 10
`
	if got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	e := Endpoint{Weight: 5, Percent: 40, Priority: 1, Locality: "eu/a"}
	if e.weight() != "5 (40 % now)" || e.place() != "priority 1 eu/a\t" {
		t.Errorf("%q %q", e.weight(), e.place())
	}
}
