package scenario

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"longmen/conformance/harness"
)

// Three data centres in networks of their own. The endpoints of the first die one by
// one, then those of the second at once; then the first's come back. Requests of all three go on all the
// time, and none fails.
func TestDataCentresFailOver(t *testing.T) {
	t.Parallel()
	all := datacentres(t, 3)
	first, second, third := all[0], all[1], all[2]
	load := askAll(all)

	curve := &strings.Builder{}
	fmt.Fprintf(curve, "endpoints of dc1 dead   requests to dc1 answered by dc1   dc2   dc3   failed\n")
	row := func(what string, d *datacentre, want map[string]int) {
		t.Helper()
		by, failed := d.asks(200)
		fmt.Fprintf(curve, "%-48s%9.1f %%%5.1f %%%5.1f %%%6d\n", what, float64(by["dc1"])/2, float64(by["dc2"])/2, float64(by["dc3"])/2, len(failed))
		if len(failed) > 0 {
			t.Errorf("%s: failed: %q", what, failed)
		}
		for name, percent := range want {
			// Shares are exact for all requests of a worker; these are some of them.
			if got := by[name] / 2; got < percent-10 || got > percent+10 || (percent == 0 || percent == 100) && got != percent {
				t.Errorf("%s: %s answered %d %%, want %d", what, name, got, percent)
			}
		}
	}
	for dead := range endpoints + 1 {
		if dead > 0 {
			first.kill(dead - 1)
		}
		can := min(1, 1.4*float64(endpoints-dead)/endpoints)
		first.capacity("web", can)
		share := int(can*100 + 0.5)
		row(fmt.Sprintf("%d", dead), first, map[string]int{"dc1": share, "dc2": 100 - share, "dc3": 0})
	}
	for i := range endpoints {
		second.kill(i)
	}
	second.capacity("web", 0)
	first.capacity("dc2", 0)
	third.capacity("dc2", 0)
	row("all, and all of dc2", first, map[string]int{"dc3": 100})
	row("all, and all of dc2: requests to dc2", second, map[string]int{"dc3": 100})
	row("all, and all of dc2: requests to dc3", third, map[string]int{"dc3": 100})
	load.stop()
	fmt.Fprintf(curve, "%d more requests to all three meanwhile: %d failed\n", load.asked, len(load.failed))
	if len(load.failed) > 0 {
		t.Errorf("%d of %d requests failed: %q", len(load.failed), load.asked, load.failed[:min(len(load.failed), 10)])
	}
	t.Logf("failover of three data centres\n%s", curve)

	// Nobody is left: no loop, an honest 503.
	for i := range endpoints {
		third.kill(i)
	}
	for _, d := range all {
		for _, name := range []string{"web", "dc1", "dc2", "dc3"} {
			if name != d.name {
				d.capacity(name, 0)
			}
		}
	}
	for _, d := range all {
		if by, failed := d.asks(5); len(failed) != 5 {
			t.Errorf("%s: with nobody left: %v", d.name, by)
		}
	}
}

// A ring of gateways with nobody behind any is refused by the first when the request
// comes round, and its log names the way.
func TestRingOfGatewaysIsRefused(t *testing.T) {
	t.Parallel()
	all := datacentres(t, 3)
	get := func(d *datacentre, path string, fields ...string) *harness.Response {
		t.Helper()
		conn, err := d.wide.dial(d.at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n", path, strings.Join(fields, ""))
		res, err := (&harness.Client{R: harness.NewReader(conn)}).Response("GET")
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	res := get(all[0], "/ring")
	if res.Status != 508 {
		t.Errorf("the ring: %d", res.Status)
	}
	for _, d := range all {
		if !strings.Contains(d.metrics(), `longmen_upstream_onward_total{cluster="ring",reason="failover"} 1`+"\n") {
			t.Errorf("%s did not send the request on once", d.name)
		}
	}
	eventually(t, "the log's line of it", func() bool {
		text, _ := os.ReadFile(all[0].log)
		return strings.Contains(string(text), `"LD"`) && strings.Contains(string(text), "the request came round: CDN-Loop: dc1;sent=failover, dc2;sent=failover, dc3;sent=failover; this is dc1")
	})
	if !strings.Contains(all[0].metrics(), `flag="LD"`) {
		t.Error("no metric tells of it")
	}
	if res := get(all[1], "/", "CDN-Loop: a, b, c, d, e\r\n"); res.Status != 508 {
		t.Errorf("five gateways before: %d", res.Status)
	}
	if res := get(all[1], "/", "CDN-Loop: a, b, c;x=\"d, e\", d\r\n"); res.Status != 200 {
		t.Errorf("four gateways before: %d", res.Status)
	}
	if res := get(all[1], "/", "CDN-Loop: a b\r\n"); res.Status != 400 {
		t.Errorf("a field that is none: %d", res.Status)
	}
}
