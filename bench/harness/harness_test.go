package harness

import (
	"bytes"
	"context"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"longmen/bench/load"
	"longmen/bench/peers"
	"longmen/bench/proc"
)

func TestCasesHaveTheirRoutesAndTargets(t *testing.T) {
	for _, c := range Cases() {
		routes := 0
		for _, h := range c.Hosts() {
			routes += len(h.Prefixes)
		}
		if want := max(c.Routes, c.Certs, 1); routes != want {
			t.Errorf("%s: %d routes, want %d", c.Name, routes, want)
		}
		targets := c.Targets()
		if len(targets) != routes || !slices.Equal(targets, c.Targets()) {
			t.Errorf("%s: %d targets for %d routes, or not the same twice", c.Name, len(targets), routes)
		}
		seen := map[load.Target]bool{}
		for _, target := range targets {
			seen[target] = true
			if !strings.HasSuffix(target.Path, c.Path) {
				t.Errorf("%s: target %v", c.Name, target)
			}
		}
		if len(seen) != routes {
			t.Errorf("%s: %d different targets for %d routes", c.Name, len(seen), routes)
		}
	}
}

func TestSelect(t *testing.T) {
	for pattern, want := range map[string]int{"": 35, "get-1k": 1, "routes-1": 1, "^routes": 4, "1k$": 5, "^tls-full": 6} {
		if got, err := Select(pattern); len(got) != want || err != nil {
			t.Errorf("%q: %d cases, %v, want %d", pattern, len(got), err, want)
		}
	}
	for _, pattern := range []string{"nothing", "("} {
		if got, err := Select(pattern); err == nil {
			t.Errorf("%q: %v, want an error", pattern, got)
		}
	}
}

func TestDivide(t *testing.T) {
	for _, c := range []struct {
		kind    string
		workers int
		cpus    []int
		want    Layout
	}{
		{"", 1, []int{0, 1}, Layout{[]int{0}, []int{0}, []int{0}}},
		{"", 1, []int{2, 5, 7, 9}, Layout{[]int{2}, []int{5}, []int{7, 9}}},
		{"shared", 2, []int{0, 1, 2}, Layout{[]int{0, 1}, []int{0, 1}, []int{0, 1}}},
		{"shared", 4, []int{3}, Layout{[]int{3}, []int{3}, []int{3}}},
		{"split", 1, []int{0, 1}, Layout{[]int{0}, []int{1}, []int{1}}},
		{"none", 1, []int{0, 1}, Layout{}},
	} {
		got, err := divide(c.kind, c.workers, c.cpus)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q, %d workers, CPUs %v: %+v, %v, want %+v", c.kind, c.workers, c.cpus, got, err, c.want)
		}
	}
	for _, kind := range []string{"split", "odd"} {
		if _, err := divide(kind, 2, []int{0, 1}); err == nil {
			t.Errorf("%s of two CPUs for two workers: want an error", kind)
		}
	}
}

func TestParseCounters(t *testing.T) {
	const good = "# started on Sun Nov 22\n\n123456,,instructions:u,1000,100.00,,\n7890,,instructions:k,1000,100.00,,\n"
	if u, k, err := parseCounters(good); u != 123456 || k != 7890 || err != nil {
		t.Errorf("%v, %v, %v", u, k, err)
	}
	for _, text := range []string{
		"", "123456,,instructions:u,1000,100.00,,\n",
		"<not supported>,,instructions:u,0,100.00,,\n<not supported>,,instructions:k,0,100.00,,\n",
	} {
		if u, k, err := parseCounters(text); err == nil {
			t.Errorf("%q: %v, %v, want an error", text, u, k)
		}
	}
}

func TestStatistics(t *testing.T) {
	id := func(v float64) float64 { return v }
	if m := median([]float64{9, 1, 5}, id); m != 5 {
		t.Errorf("median of three: %v", m)
	}
	if m := median([]float64{4, 1, 9, 2}, id); m != 3 {
		t.Errorf("median of four: %v", m)
	}
	if m := median(nil, id); !math.IsNaN(m) {
		t.Errorf("median of none: %v", m)
	}
	if s := spread([]float64{9, 10, 12}, id); s != 15 {
		t.Errorf("spread: %v", s)
	}
	memory := []proc.Memory{{PSS: 1_400_000}, {PSS: 2_000_000}, {PSS: 2_800_000}}
	if s := slope([]int{4000, 10000, 18000}, memory, func(m proc.Memory) int64 { return m.PSS }); math.Abs(s-100) > 1e-9 {
		t.Errorf("slope: %v, want 100", s)
	}
}

func TestReportSetsTheBetterPeerToOne(t *testing.T) {
	proxy := func(name string, cpu, rps float64) ProxyResult {
		return ProxyResult{Name: name, Full: []Sample{{Result: load.Result{RPS: rps}, CPU: cpu}}}
	}
	r := Report{
		Cases: []CaseResult{{Name: "get-1k", About: "x", Proxies: []ProxyResult{
			proxy("longmen", 5, 150), proxy("nginx", 10, 90), proxy("haproxy", 12, 100), proxy("floor", 4, 200),
		}}},
		Notes: []string{"mind this"},
	}
	var out bytes.Buffer
	r.Print(&out)
	var rows [][]string
	for line := range strings.Lines(out.String()) {
		if f := strings.Fields(line); len(f) > 5 {
			rows = append(rows, f[:6])
		}
	}
	want := [][]string{
		{"longmen", "5.00", "0.50", "0", "150", "1.50"}, {"nginx", "10.00", "1.00", "0", "90", "0.90"},
		{"haproxy", "12.00", "1.20", "0", "100", "1.00"}, {"floor", "4.00", "0.40", "0", "200", "2.00"},
	}
	if len(rows) < 4 || !reflect.DeepEqual(rows[len(rows)-4:], want) {
		t.Errorf("%v\nin\n%s", rows, out.String())
	}
	if !strings.Contains(out.String(), "note: mind this") {
		t.Error("the note is missing")
	}
}

func TestProcessesEnd(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out := filepath.Join(t.TempDir(), "out")
	p, err := start("sleep", exec.Command("sh", "-c", "echo begun; exec sleep 100"), nil, out)
	if err != nil {
		t.Fatal(err)
	}
	if p.ended() {
		t.Errorf("ended at once: %s", p.said())
	}
	p.stop()
	p.stop() // twice does no harm
	if !p.ended() {
		t.Error("still there after stop")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := output(ctx, exec.Command("sleep", "100"), nil); err != context.Canceled {
		t.Errorf("output after cancel: %v", err)
	}
	if b, err := output(context.Background(), exec.Command("echo", "hello"), nil); string(b) != "hello\n" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := output(context.Background(), exec.Command("sh", "-c", "echo why >&2; exit 3"), nil); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("a failing command: %v", err)
	}
}

func TestPinnedChildren(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l, err := NewLayout("shared", 1)
	if err != nil {
		t.Fatal(err)
	}
	out, err := output(context.Background(), exec.Command("grep", "Cpus_allowed_list", "/proc/self/status"), l.Proxy)
	if err != nil || strings.Fields(string(out))[1] != cpuList(l.Proxy) {
		t.Errorf("%s, %v, want %s", out, err, cpuList(l.Proxy))
	}
}

func TestFreePortsDiffer(t *testing.T) {
	ports, err := freePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 20 {
		t.Errorf("%v", ports)
	}
}

// runWhole measures in a temporary directory and finds it empty afterwards.
func runWhole(t *testing.T, o Options) (*Report, string) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	root, err := Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	o.Reps, o.Duration, o.Workers, o.Log = 1, 100*time.Millisecond, 1, io.Discard
	r, err := Run(t.Context(), o, root)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(tmp); len(left) != 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	var out bytes.Buffer
	r.Print(&out)
	return r, out.String()
}

// TestWholeRun measures the C floor, the one proxy that is built on the spot.
func TestWholeRun(t *testing.T) {
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("no C compiler")
	}
	cases, err := Select("^(get-1k|upload-10m|new-connection|idle)$")
	if err != nil {
		t.Fatal(err)
	}
	r, out := runWhole(t, Options{Cases: cases, Proxies: []string{"floor"}, LowRate: 100, IdleLevels: []int{50, 100}})
	for _, c := range r.Cases {
		p := c.Proxies[0]
		if c.Name == "idle" {
			if len(p.Idle) != 1 || len(p.Idle[0].Memory) != 2 || p.Idle[0].Memory[1].PSS <= 0 {
				t.Errorf("idle: %+v", p.Idle)
			}
			continue
		}
		if len(p.Full) != 1 || p.Full[0].CPU <= 0 || p.Full[0].RPS <= 0 || p.Full[0].Errors != 0 || p.Memory.Peak <= 0 {
			t.Errorf("%s: %+v", c.Name, p)
		}
		if wants := c.Name != "upload-10m"; wants != (len(p.Half) == 1) || wants != (c.LowRate == 100) {
			t.Errorf("%s: half %d, low rate %v", c.Name, len(p.Half), c.LowRate)
		}
		if !strings.Contains(out, c.Name+": ") {
			t.Errorf("%s is not in the report", c.Name)
		}
	}
}

// TestWholeRunOverTLS measures nginx, where it is installed.
func TestWholeRunOverTLS(t *testing.T) {
	if _, err := peers.All("", "")[1].Version(t.Context()); err != nil {
		t.Skip("no nginx: ", err)
	}
	cases, err := Select("^tls-(full-1.3-p256|resumed-1.2|get-64k|idle|storm|start-p256|full-tlcp)$")
	if err != nil {
		t.Fatal(err)
	}
	cases = slices.DeleteFunc(cases, func(c Case) bool { return c.TLS.SM() }) // which nginx does not speak
	for i := range cases {
		cases[i].Certs = min(cases[i].Certs, 20)
	}
	r, out := runWhole(t, Options{Cases: cases, Proxies: []string{"floor", "nginx"}, LowRate: 100, IdleLevels: []int{20, 40}})
	if len(r.Cases) != 6 {
		t.Errorf("%d cases", len(r.Cases))
	}
	for _, c := range r.Cases {
		if len(c.Proxies) != 1 || c.Proxies[0].Name != "nginx" {
			t.Errorf("%s: %+v", c.Name, c.Proxies)
			continue
		}
		p := c.Proxies[0]
		good := len(p.Full) == 1 && p.Full[0].CPU > 0 && p.Full[0].Errors == 0
		switch c.Name {
		case "tls-idle":
			good = len(p.Idle) == 1 && p.Idle[0].Memory[1].PSS > 0
		case "tls-storm":
			good = len(p.Storm) == 1 && p.Storm[0].Calm.Requests == 100 && p.Storm[0].Busy > 0
		case "tls-start-p256":
			good = len(p.Start) == 1 && p.Start[0].Seconds > 0 && p.Start[0].CPU > 0 && p.Start[0].Ready.PSS > 0 && p.Start[0].Touch.Requests == 20
		}
		if !good || !strings.Contains(out, c.Name+": ") {
			t.Errorf("%s: %+v in\n%s", c.Name, p, out)
		}
	}
}

func TestReportOfTLS(t *testing.T) {
	full := func(name string, cpu float64) ProxyResult {
		return ProxyResult{Name: name, Full: []Sample{{Result: load.Result{RPS: 1, Busy: 0.25}, CPU: cpu}}}
	}
	stormy := func(name string, p99 float64) ProxyResult {
		result := func(p99 float64) load.Result { return load.Result{Latency: load.Latency{P50: 100, P99: p99}} }
		return ProxyResult{Name: name, Storm: []Storm{{Calm: result(200), Stormy: result(p99), Handshakes: load.Result{RPS: 3000, Errors: 2}, Busy: 0.9}}}
	}
	r := Report{
		Options: Options{Cases: []Case{{Apart: true}}},
		Cases: []CaseResult{
			{Name: "tls-full", TLS: true, New: true, Proxies: []ProxyResult{full("longmen", 200), full("nginx", 250), full("haproxy", 400)}},
			{Name: "tls-sm", TLS: true, Proxies: []ProxyResult{full("longmen", 10)}},
			{Name: "tls-storm", TLS: true, Proxies: []ProxyResult{stormy("longmen", 400), stormy("nginx", 4000)}},
			{Name: "tls-start", TLS: true, Proxies: []ProxyResult{{Name: "longmen", Start: []Start{{Seconds: 0.5}}}, {Name: "nginx", Start: []Start{{Seconds: 2}}}}},
			{Name: "get-1k", Proxies: []ProxyResult{full("longmen", 5), full("nginx", 10)}},
		},
	}
	var out bytes.Buffer
	r.Print(&out)
	var rows []string
	for line := range strings.Lines(out.String()) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	for _, want := range []string{
		"longmen 200.00 0.80 0 5000 1.25 1 1.00 0.00 0.25 0 0 0 0.0 - 0.0", // 1e6/200 connections a second and core
		"longmen 100 200 100 400 0.10 1.00 2.00 0.90 3000 0.0 2",
		"nginx 100 200 100 4000 1.00 1.00 20.00 0.90 3000 0.0 2",
		"longmen 0.50 0.25 0.00 - 0.0 - 0.0 0.0 - 0.0 0 - 0",
		"tls-full 200.00 250.00 400.00 0.80 0.50 1.25",
		"tls-sm 10.00 - - - - -",
	} {
		if !slices.Contains(rows, want) {
			t.Errorf("no row %q in\n%s", want, out.String())
		}
	}
	if strings.Count(out.String(), "get-1k") != 1 {
		t.Error("a case without TLS is among those with it")
	}
	if n := r.Errors(); n != 4 {
		t.Errorf("%d errors, want the storms' 4", n)
	}
}
