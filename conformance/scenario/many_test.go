package scenario

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// processor is the time of a processor that a process has had.
func processor(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // from the third on
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * (time.Second / 100) // USER_HZ
}

// TestManyEndpoints checks 10,000 endpoints every 5 s, and prints what that takes; then one of them
// goes down and comes back, and no other does.
func TestManyEndpoints(t *testing.T) {
	const endpoints, every = 10_000, 5
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	var sick atomic.Pointer[string] // the address that is
	var checks atomic.Int64
	origin := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		checks.Add(1)
		if s := sick.Load(); s != nil && *s == r.Host {
			w.WriteHeader(503)
		}
	})}
	go origin.Serve(listener)
	defer origin.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	address := func(i int) string { return fmt.Sprintf("127.%d.%d.%d:%d", 1+i>>16, i>>8&255, i&255, port) }
	var list strings.Builder
	for i := range endpoints {
		fmt.Fprintf(&list, "      - %q\n", address(i))
	}
	start := func(health string) *gateway {
		return serve(t, nil, `listeners:
  http: {bind: "@http@", routes: main}
routes:
  main: [{hosts: ["*"], rules: [{to: o}]}]
clusters:
  o:
`+health+`    endpoints:
`+list.String())
	}
	without := start("")
	plain, err := without.RSS()
	if err != nil {
		t.Fatal(err)
	}
	g := start(fmt.Sprintf("    health: {http: /, every: %ds, timeout: 2s, up: 1, down: 1}\n", every))
	state := func(name string) string { return fmt.Sprintf(`longmen_cluster_endpoints{cluster="o",state=%q}`, name) }
	eventually(t, "all have been checked", func() bool { return checks.Load() >= endpoints })
	g.counts(map[string]float64{state("healthy"): endpoints})

	from, used := checks.Load(), processor(t, g.PID)
	time.Sleep(every * time.Second) // what is measured is a time
	made, spent := checks.Load()-from, processor(t, g.PID)-used
	rss, err := g.RSS()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d endpoints: %d checks a second take %.1f %% of a processor, %v each; resident memory %d MiB, without checks %d MiB",
		endpoints, made/every, 100*spent.Seconds()/every, spent/time.Duration(max(made, 1)), rss>>20, plain>>20)
	if made < endpoints/2 {
		t.Errorf("only %d checks were made in %d s", made, every)
	}

	one := address(endpoints / 2)
	sick.Store(&one)
	g.counts(map[string]float64{state("healthy"): endpoints - 1, state("unhealthy"): 1})
	sick.Store(nil)
	g.counts(map[string]float64{state("healthy"): endpoints, state("unhealthy"): 0})
}
