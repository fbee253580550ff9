package harness

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"longmen/bench/load"
	"longmen/bench/peers"
)

const h2loadSays = `
finished in 1.10s, 21660.50 req/s, 1.41MB/s
requests: 21908 total, 21657 started, 21908 done, 21660 succeeded, 248 failed, 240 errored, 8 timeout
status codes: 21600 2xx, 60 3xx, 0 4xx, 0 5xx
traffic: 1.41MB (1481234) total, 480B (480) headers (space savings 51.02%), 20B (20) data
`

func TestParseH2load(t *testing.T) {
	r, err := parseH2load(h2loadSays)
	if err != nil {
		t.Fatal(err)
	}
	// 3xx are not what was asked for.
	if r.Requests != 21600 || r.Errors != 248+60 || r.RPS != 21660.5 || r.Seconds != 1.1 || r.BytesIn != 1481234 || r.Status["3xx"] != 60 {
		t.Errorf("%+v", r)
	}
	short := strings.Replace(h2loadSays, "1.10s", "250.00ms", 1)
	if r, err := parseH2load(short); err != nil || r.Seconds != 0.25 {
		t.Errorf("%v, %v", r.Seconds, err)
	}
	for i := range strings.TrimRight(h2loadSays, "\n") {
		parseH2load(h2loadSays[:i]) // must not panic
	}
	if _, err := parseH2load("usage"); err == nil {
		t.Error("no error for other words")
	}
}

func TestH2loadLog(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	var log bytes.Buffer
	for i := range 1000 {
		log.WriteString("1700000000000000\t200\t" + strings.Repeat("1", 1+i/999) + "\n")
	}
	log.WriteString("1700000000000000\t-1\t999999\n1700000000000000\t503\t999999\n")
	if err := os.WriteFile(name, log.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := readH2loadLog(name)
	if want := (load.Latency{P50: 1, P90: 1, P99: 1, P999: 11, Max: 11}); err != nil || l != want {
		t.Errorf("%+v, %v, want %+v", l, err, want)
	}
	for _, bad := range []string{"", "x\n", "1\t500\t2\n"} {
		os.WriteFile(name, []byte(bad), 0o644)
		if _, err := readH2loadLog(name); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// TestWholeRunOverHTTP2 measures nginx, where it and h2load are installed. It is
// for a machine that does nothing else: h2load keeps to rates.
func TestWholeRunOverHTTP2(t *testing.T) {
	if os.Getenv("LONGMEN_CONFORMANCE") != "full" {
		t.Skip("set LONGMEN_CONFORMANCE=full")
	}
	if _, err := peers.All("", "")[1].Version(t.Context()); err != nil {
		t.Skip("no nginx: ", err)
	}
	cases, err := Select("^(h2-tls-get-1k|h2-upload-10m|h2-memory)$")
	if err != nil {
		t.Fatal(err)
	}
	for i := range cases {
		if cases[i].Idle {
			cases[i].Levels = []int{5, 10}
		}
	}
	r, out := runWhole(t, Options{Cases: cases, Proxies: []string{"floor", "nginx"}, LowRate: 100})
	if len(r.Cases) == 1 {
		t.Skip("no h2load: ", r.Notes)
	}
	if len(r.Cases) != 3 {
		t.Fatalf("%d cases", len(r.Cases))
	}
	for _, c := range r.Cases {
		if len(c.Proxies) != 1 || c.Proxies[0].Name != "nginx" || !strings.Contains(out, c.Name+": ") {
			t.Errorf("%s: %+v", c.Name, c.Proxies)
			continue
		}
		p := c.Proxies[0]
		if c.Name == "h2-memory" {
			if len(p.Idle) != 1 || p.Idle[0].Memory[1].PSS <= 0 {
				t.Errorf("%s: %+v", c.Name, p)
			}
			continue
		}
		if len(p.Full) != 1 || p.Full[0].CPU <= 0 || p.Full[0].RPS <= 0 || p.Full[0].Errors != 0 {
			t.Errorf("%s: %+v", c.Name, p)
		}
		if rates := c.Name != "h2-upload-10m"; rates && (len(p.Half) != 1 || p.Half[0].Latency.P99 <= 0) {
			t.Errorf("%s: %+v", c.Name, p.Half)
		}
	}
}

func TestReportOfHTTP2(t *testing.T) {
	full := func(name string, cpu float64) ProxyResult {
		return ProxyResult{Name: name, Full: []Sample{{Result: load.Result{RPS: 1}, CPU: cpu}}}
	}
	r := Report{Cases: []CaseResult{
		{Name: "h2-get-1k", HTTP2: true, Proxies: []ProxyResult{full("longmen", 5), full("nginx", 10), full("haproxy", 8), full("h2o", 20)}},
		{Name: "h2-tls", HTTP2: true, TLS: true, Proxies: []ProxyResult{full("nginx", 10)}},
	}}
	var out bytes.Buffer
	r.Print(&out)
	found := false
	for line := range strings.Lines(out.String()) {
		found = found || strings.Join(strings.Fields(line), " ") == "h2-get-1k 5.00 10.00 8.00 20.00 - 0.50 0.62 0.25 -"
	}
	if !found || strings.Contains(out.String(), "TLS: CPU") {
		t.Errorf("in\n%s", out.String())
	}
}
