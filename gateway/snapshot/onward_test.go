package snapshot

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
	"longmen/gateway/standby"
)

const onwardFile = `
listeners:
  http: {bind: "127.0.0.1:8080", routes: main}
routes:
  main:
    - hosts: ["*"]
      rules: [{to: web}]
clusters:
  web:
    endpoints: ["10.0.0.1:80"]
`

// configured compiles a file, and gives the cluster "web".
func configured(t *testing.T, file string) (*cluster.Config, resource.Problems) {
	t.Helper()
	s, problems := Compile(read(t, file), nil)
	if s == nil {
		return nil, problems
	}
	return s.Clusters[s.ClusterSlots["web"]].Config(), problems
}

func TestStandbyIsCompiled(t *testing.T) {
	const other = "\n  active: {endpoints: [\"10.0.0.2:80\"]}\n"
	for text, want := range map[string]standby.Config{
		"{to: active}":              {State: standby.Standby, Local: 1, Forward: 99, To: "active", Warm: 1, WarmEvery: 5 * time.Second},
		"{to: active, local: 0}":    {State: standby.Standby, Local: 0, Forward: 100, To: "active", Warm: 1, WarmEvery: 5 * time.Second},
		"{to: active, forward: 75}": {State: standby.Standby, Local: 25, Forward: 75, To: "active", Warm: 1, WarmEvery: 5 * time.Second},
		"{local: 5, forward: 95, to: active, state: active, warm: 0, warm_every: 1m}": {State: standby.Active, Local: 5, Forward: 95, To: "active", WarmEvery: time.Minute},
	} {
		c, problems := configured(t, onwardFile+"    standby: "+text+other)
		if c == nil || len(problems) != 0 || c.Standby == nil || *c.Standby != want {
			t.Errorf("%s: %+v, %v", text, c, problems)
		}
	}
}

func TestFailoverIsCompiled(t *testing.T) {
	c, problems := configured(t, onwardFile+`    health: {tcp: true}
    failover: [dc2, dc3]
    loop_guard: off
    peer: dc1
  dc2: {endpoints: ["10.0.0.2:80"]}
  dc3: {endpoints: ["10.0.0.3:80"]}
`)
	if c == nil || len(problems) != 0 || !slices.Equal(c.Failover, []string{"dc2", "dc3"}) || c.LoopGuard != cluster.LoopGuardOff || c.Peer != "dc1" || c.Standby != nil {
		t.Errorf("%+v, %v", c, problems)
	}
}

// What refers to nothing, or to itself, and what would do nothing, is said.
func TestOnwardProblems(t *testing.T) {
	for text, want := range map[string]string{
		"    failover: [wbe]\n": `no cluster named "wbe"`,
		"    standby: {to: activ}\n  active: {endpoints: [\"10.0.0.2:80\"]}\n": `no cluster named "activ"`,
		"    failover: [b]\n  b: {endpoints: [\"10.0.0.2:80\"]}\n":             "ever found unhealthy",
		"    failover: [web]\n":    "must be other clusters",
		"    standby: {to: web}\n": "cannot forward to itself",
		"    standby: {to: b}\n  b: {endpoints: [\"10.0.0.2:80\"], standby: {to: web}}\n": "does not count",
	} {
		_, problems := configured(t, onwardFile+text)
		if !strings.Contains(fmt.Sprint(problems), want) {
			t.Errorf("%s: %v", text, problems)
		}
	}
	for text, silent := range map[string]bool{"": false, ", failover: [b]": true, ", standby: {to: b}": true} {
		file := strings.Replace(onwardFile, `endpoints: ["10.0.0.1:80"]`, "endpoints: []", 1)
		file = strings.Replace(file, "    endpoints: []", "    endpoints: []"+strings.ReplaceAll(text, ", ", "\n    "), 1)
		_, problems := configured(t, file+"  b: {endpoints: [\"10.0.0.2:80\"]}\n")
		if strings.Contains(fmt.Sprint(problems), "has no endpoints") == silent {
			t.Errorf("%q: %v", text, problems)
		}
	}
	edits := strings.Replace(onwardFile, "{to: web}", "{to: web, headers: {request: {remove: [CDN-Loop]}}}", 1)
	if c, problems := configured(t, edits); c != nil || !strings.Contains(fmt.Sprint(problems), "cannot be changed") {
		t.Errorf("CDN-Loop is edited: %v", problems)
	}
}
