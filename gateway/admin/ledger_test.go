package admin

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"longmen/gateway/ledger"
)

// told is a ledger in which 10.0.0.1:80 is still used and all else is gone.
func told(_ context.Context, at []netip.AddrPort, wait time.Duration) []ledger.Entry {
	var all []ledger.Entry
	for _, a := range at {
		e := ledger.Entry{Endpoint: a, Configuration: ledger.Configuration{Received: wait.String(), InUse: "7f3a"}, Workers: []ledger.Worker{
			{ID: 0, Configuration: "7f3a", Current: true}, {ID: 1, Configuration: "7f3a", Current: true}}}
		if a == netip.MustParseAddrPort("10.0.0.1:80") {
			e.Clusters = []ledger.Standing{{Cluster: "web", State: ledger.Departed, Hosts: 3, Left: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
			e.Workers[0].Hosts = map[string]uint64{"web": 3}
			e.Workers[0].Holdings = []ledger.Holding{{Cluster: "web", Hosts: 3, Streams: 2, Connections: 3, Idle: 1, Oldest: ledger.Seconds(12 * time.Second)}}
			e.Workers[1] = ledger.Worker{ID: 1, Silent: true}
		}
		e.Judge()
		all = append(all, e)
	}
	return all
}

func TestLedger(t *testing.T) {
	g := start(t)
	body, _ := g.do(t, "GET", "/ledger?endpoint=10.0.0.1:80&endpoint=[::1]:8080", 200)
	var lines []string
	for line := range strings.Lines(body) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	want := `10.0.0.1:80 leaving: worker 1 does not answer; 2 streams on 1 worker, oldest 12 s, cluster web
configuration received 0s in use 7f3a
cluster web departed hosts 3 left 2026-01-02T03:04:05Z
worker 0 configuration 7f3a web: hosts 3
worker 0 cluster web not picked streams 2 (oldest 12 s) connections 3 (idle 1)
worker 1 silent

[::1]:8080 unknown: gone, nothing uses it
configuration received 0s in use 7f3a
worker 0 configuration 7f3a -
worker 1 configuration 7f3a -`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("%s", got)
	}
	var entries []ledger.Entry
	g.decode(t, "/ledger?endpoint=10.0.0.1:80&endpoint=[::ffff:10.0.0.2]:80&wait=1.5&format=json", &entries)
	if len(entries) != 2 || entries[0].Gone || !entries[1].Gone || entries[1].Endpoint.String() != "10.0.0.2:80" || entries[0].Configuration.Received != "1.5s" {
		t.Errorf("%+v", entries)
	}
}

func TestLedgerOfNone(t *testing.T) {
	g := start(t)
	if body, _ := g.do(t, "GET", "/ledger", 200); body != "no endpoint is on its way out\n" {
		t.Error(body)
	}
	if body, _ := g.do(t, "GET", "/ledger?format=json", 200); body != "[]\n" {
		t.Error(body)
	}
}

func TestLedgerMisuse(t *testing.T) {
	g := start(t)
	for query, says := range map[string]string{
		"wait=1s":                                  "is missing",
		"endpoint=10.0.0.1":                        "is not IP:PORT",
		"endpoint=10.0.0.1:0":                      "is not IP:PORT",
		"endpoint=example.com:80":                  "is not IP:PORT",
		"endpoint=1.1.1.1:80&wait=2m":              "wait must be",
		"endpoint=1.1.1.1:80&wait=-1s":             "wait must be",
		"endpoint=1.1.1.1:80&wait=NaN":             "wait must be",
		"endpoint=1.1.1.1:80&wait=1e99":            "wait must be",
		"endpoint=1.1.1.1:80&wait=soon":            "wait must be",
		"endpoint=1.1.1.1:80&format=xml&wait=60s":  "format must be",
		strings.Repeat("endpoint=1.1.1.1:80&", 65): "ask for at most 64 endpoints",
	} {
		if body, _ := g.do(t, "GET", "/ledger?"+query, 400); !strings.Contains(body, says) {
			t.Errorf("%s: %s", query, body)
		}
	}
}
