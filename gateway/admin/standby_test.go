package admin

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestStandby(t *testing.T) {
	var asked []string
	since := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	standby := Standby{Cluster: "cart", State: "standby", Configured: "standby", Local: 1, Forward: 99, To: "active", Capacity: 100, ToCapacity: 70, Origin: "gateway.yaml:9:3"}
	g := start(t, func(s *Server) {
		s.options.Standby = func() []Standby { return []Standby{standby} }
		s.options.SwitchStandby = func(cluster, state string) (StandbyChange, error) {
			asked = append(asked, cluster+" "+state)
			switch cluster {
			case "none":
				return StandbyChange{}, fmt.Errorf("%w: %q", ErrNoCluster, cluster)
			case "web":
				return StandbyChange{}, fmt.Errorf("%w for cluster %q", ErrNoStandby, cluster)
			case "held":
				return StandbyChange{}, fmt.Errorf("1 of 2 workers have taken notice")
			}
			now := standby
			now.State, now.Override, now.Since = state, true, since
			return StandbyChange{Workers: 2, Took: "1ms", Clusters: []Standby{now}}, nil
		}
		s.endpoints = s.table()
	})
	g.contains(t, "/standby", "cart", "1 %", "99 %", "active", "70 %", "configuration")
	var all []Standby
	g.decode(t, "/standby?format=json", &all)
	if len(all) != 1 || all[0] != standby {
		t.Errorf("%+v", all)
	}
	body, _ := g.do(t, "POST", "/standby?cluster=cart&state=active", 200)
	if !strings.Contains(body, "admin, 2026-05-01T08:00:00Z (configured: standby)") || !strings.Contains(body, "2 workers") || !strings.Contains(body, "100 %") {
		t.Errorf("the answer is\n%s", body)
	}
	g.do(t, "POST", "/standby?cluster=*&state=configured", 200)
	for path, want := range map[string]int{
		"/standby":                              400,
		"/standby?state=active":                 400,
		"/standby?cluster=cart":                 400,
		"/standby?cluster=cart&state=off":       400,
		"/standby?cluster=none&state=standby":   404,
		"/standby?cluster=web&state=standby":    409,
		"/standby?cluster=held&state=standby":   500,
		"/standby?cluster=cart&state=standby&x": 200,
	} {
		g.do(t, "POST", path, want)
	}
	// As every change, it is refused to pages of other sites.
	n := len(asked)
	g.do(t, "POST", "/standby?cluster=cart&state=active", 403, "Origin: http://evil.example")
	g.do(t, "POST", "/standby?cluster=cart&state=active", 403, "Sec-Fetch-Site: cross-site")
	g.do(t, "DELETE", "/standby", 405)
	if len(asked) != n || asked[0] != "cart active" || asked[1] != "* configured" {
		t.Errorf("asked: %q", asked)
	}
}
