package scenario

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"longmen/conformance/harness"
)

// TestFailuresInTheLog fails requests in every way and reads what is said of it.
func TestFailuresInTheLog(t *testing.T) {
	t.Parallel()
	o, _ := ailing(t, 1<<30)
	nobody, err := harness.RefusedAddr()
	if err != nil {
		t.Fatal(err)
	}
	g := serve(t, map[string]string{"o": o.Addr, "nobody": nobody}, `listeners:
  http: {bind: "@http@", routes: main}
routes:
  main:
    - hosts: [h]
      rules:
        - {match: {prefix: /named}, to: {header: x-cluster}}
        - {match: {prefix: /nobody}, to: nobody}
        - {match: {prefix: /hang}, to: o, timeout: 100ms}
        - {match: {prefix: /busy}, to: busy}
        - {match: {prefix: /sick}, to: sick}
        - {match: {prefix: /small}, to: o, max_body: 1}
        - {match: {prefix: /good}, to: o}
        - {match: {regex: "/(close|reset|garbage|partial).*"}, to: o}
clusters:
  o: {endpoints: ["@o@"]}
  nobody: {endpoints: ["@nobody@"]}
  busy: {endpoints: ["@o@"], limits: {connections: 1, pending: 1, requests: 1}}
  sick: {endpoints: ["@nobody@"], health: {tcp: true, every: 1s, timeout: 1s}}
access_log: [{path: "@log@", format: json}, {path: "@dir@/text.log"}, {path: "@dir@/own.log", format: json, fields: {p: "%PATH%", f: "%RESPONSE_FLAGS%"}}]
`)
	g.noLeak(o)
	type failure struct {
		path, request           string
		status                  string
		flag, side, phase, rule string
	}
	failures := []failure{
		{"/no-route", "", "404", "NR", "local", "route", ""},
		{"/named", "X-Cluster: zz\n", "503", "NC", "local", "pick", `/named`},
		{"/nobody", "", "503", "UF", "upstream", "connect", `/nobody`},
		{"/sick", "", "503", "UH", "upstream", "pick", `/sick`},
		{"/hang", "", "504", "UT", "upstream", "response-head", `/hang`},
		{"/close", "", "502", "UC", "upstream", "response-head", `regex`},
		{"/reset", "", "502", "UC", "upstream", "response-head", `regex`},
		{"/garbage", "", "502", "UPE", "upstream", "response-head", `regex`},
		{"/partial", "", "200", "UC", "upstream", "response-body", `regex`},
		{"/small", "Content-Length: 2\n", "413", "DPE", "downstream", "request-body", `/small`},
		{"/bad", "Content-Length: 1\nContent-Length: 2\n", "400", "DPE", "downstream", "request-head", ""},
	}
	for _, f := range failures {
		c := dial(t, g.Addr)
		c.send("GET " + f.path + " HTTP/1.1\nHost: h\nUser-Agent: \"quotes\" and \\\n" + f.request + "\n")
		if strings.HasPrefix(f.request, "Content-Length: 2") {
			c.send("ab")
		}
		c.Response("GET")
		c.Close()
	}
	wantStatus(t, g.get("/good"), 200)
	config, err := os.ReadFile(g.file)
	if err != nil {
		t.Fatal(err)
	}
	// Every line is JSON of its own; WaitLogs reads them all.
	var paths []string
	for _, f := range failures {
		if f.path != "/bad" {
			paths = append(paths, f.path)
		}
	}
	logged := g.logged(append(paths, "/good", "")...)
	for _, f := range failures {
		l := logged[f.path]
		if f.path == "/bad" {
			l = logged[""] // the line of a head that is refused is not read on
		}
		if l == nil {
			t.Errorf("no line of %s", f.path)
			continue
		}
		said := [5]string{l.Text("status"), l.Text("flag"), l.Text("side"), l.Text("phase"), l.Text("user_agent")}
		want := [5]string{f.status, f.flag, f.side, f.phase, "\"quotes\" and \\"}
		if said != want || l.Text("cause") == "" {
			t.Errorf("%s: %q with cause %q, want %q", f.path, said, l.Text("cause"), want)
		}
		if f.rule == "" {
			continue
		}
		var line, column int
		at := strings.TrimPrefix(l.Text("route_origin"), g.file+":")
		if _, err := fmt.Sscanf(at, "%d:%d", &line, &column); err != nil {
			t.Errorf("%s: route origin %q", f.path, l.Text("route_origin"))
			continue
		}
		if rule := strings.Split(string(config), "\n")[line-1]; !strings.Contains(rule[column-1:], f.rule) {
			t.Errorf("%s: the rule is said to be at line %d: %s", f.path, line, rule)
		}
	}
	if l := logged["/good"]; l.Text("flag") != "" || l.Text("status") != "200" || l.Text("bytes_out") != "2" || l.Text("tries") != "1" || l.Text("cluster") != "o" || l.Text("upstream") != o.Addr {
		t.Errorf("/good: %v", l)
	}
	for name, want := range map[string]string{
		"text.log": `"GET /good HTTP/1.1" 200 - 0 2 `,
		"own.log":  `"f":"UC"`,
	} {
		eventually(t, name, func() bool {
			b, err := os.ReadFile(filepath.Join(g.dir, name))
			return err == nil && strings.Contains(string(b), want) && strings.Count(string(b), "\n") == len(failures)+1
		})
	}
	flags := map[string]float64{}
	for _, f := range failures {
		flags[fmt.Sprintf("longmen_http_response_flags_total{flag=%q,listener=\"http\"}", f.flag)]++
	}
	flags[`longmen_http_requests_total{code_class="5xx",listener="http"}`] = 7
	flags[`longmen_http_requests_total{code_class="4xx",listener="http"}`] = 3
	flags[`longmen_http_requests_total{code_class="2xx",listener="http"}`] = 2
	flags[`longmen_upstream_connect_failures_total{cluster="nobody",reason="error"}`] = 1
	flags[`longmen_upstream_resets_total{cluster="o"}`] = 3
	flags[`longmen_upstream_protocol_errors_total{cluster="o"}`] = 1
	g.counts(flags)
}

// A meter counts the bytes of its client's connections.
type meter struct{ in, out int64 }

func (m *meter) Write(p []byte) (int, error) {
	m.in += int64(len(p))
	return len(p), nil
}

// TestCounters compares /metrics with what the client did, over two workers.
func TestCounters(t *testing.T) {
	t.Parallel()
	o := named(t, "o")
	g := serve(t, map[string]string{"o": o.Addr}, plain)
	g.noLeak(o)
	const conns, each = 40, 5
	var m meter
	for range conns {
		c := dial(t, g.Addr)
		c.R = harness.NewReader(io.TeeReader(c.TCPConn, &m))
		for i := range each {
			request := fmt.Sprintf("POST /c%d HTTP/1.1\nHost: h\nContent-Length: %d\n\n%s", i, i*100, strings.Repeat("x", i*100))
			c.send(request)
			m.out += int64(len(crlf(request)))
			wantStatus(t, c.response("POST"), 200)
		}
		c.Close()
	}
	g.counts(map[string]float64{
		`longmen_http_requests_total{code_class="2xx",listener="http"}`: conns * each,
		`longmen_http_request_duration_seconds{listener="http"}`:        conns * each,
		`longmen_http_requests_active{listener="http"}`:                 0,
		`longmen_downstream_connections_total{listener="http"}`:         conns,
		`longmen_downstream_connections_active{listener="http"}`:        0,
		`longmen_downstream_bytes_received_total{listener="http"}`:      float64(m.out),
		`longmen_downstream_bytes_sent_total{listener="http"}`:          float64(m.in),
		`longmen_upstream_requests_total{cluster="o",code_class="2xx"}`: conns * each,
		`longmen_upstream_request_duration_seconds{cluster="o"}`:        conns * each,
		`longmen_upstream_requests_active{cluster="o"}`:                 0,
		`longmen_upstream_retries_total{cluster="o"}`:                   0,
		`longmen_config_reloads_total{result="success"}`:                1,
		`longmen_config_last_reload_successful`:                         1,
		`longmen_access_log_lines_total{path="` + g.Log + `"}`:          conns * each,
		`longmen_access_log_dropped_total{path="` + g.Log + `"}`:        0,
		`longmen_cluster_endpoints{cluster="o",state="healthy"}`:        1,
	})
	all := g.metrics()
	opened := len(o.Record().Raw)
	if v := all[`longmen_upstream_connections_total{cluster="o"}`]; v != float64(opened) {
		t.Errorf("%v upstream connections counted, the origin got %d", v, opened)
	}
	for _, worker := range []string{"0", "1"} {
		if all[fmt.Sprintf("longmen_worker_events_total{worker=%q}", worker)] == 0 {
			t.Errorf("worker %s did nothing", worker)
		}
	}
	// The same numbers in both forms of /stats, and the filter.
	var stats any
	if err := json.Unmarshal([]byte(g.show("/stats?format=json")), &stats); err != nil {
		t.Errorf("/stats as JSON: %v", err)
	}
	for _, line := range strings.Split(strings.TrimSpace(g.show(`/stats?filter=cluster="o"`)), "\n") {
		if !strings.Contains(line, `cluster="o"`) {
			t.Errorf("/stats with a filter has the line %q", line)
		}
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	o := named(t, "o")
	g := serve(t, map[string]string{"o": o.Addr}, plain)
	g.noLeak(o)
	t.Run("config-dump", func(t *testing.T) {
		for _, format := range []string{"yaml", "json"} {
			file := filepath.Join(g.dir, "dump."+format)
			dump := g.show("/config_dump?format=" + format)
			if err := os.WriteFile(file, []byte(dump), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, code := longmen(t, g.dir, "check", "-c", file); code != 0 {
				t.Errorf("check of the dump: %d %s\n%s", code, out, dump)
			}
			if out, code := longmen(t, g.dir, "diff", g.file, file); code != 0 || !strings.Contains(out, "0 added, 0 removed, 0 changed") {
				t.Errorf("diff of the file and the dump: %d %s", code, out)
			}
		}
		var resources any
		if err := json.Unmarshal([]byte(g.show("/config_dump?format=xds")), &resources); err != nil {
			t.Error(err)
		}
	})
	t.Run("inventory", func(t *testing.T) {
		wantStatus(t, g.get("/"), 200)
		for path, want := range map[string]string{"/clusters": o.Addr, "/listeners": g.Addr, "/": "/config_dump", "/version": "longmen", "/logging": "info", "/drain": "not draining", "/pprof/goroutine?debug=1": "goroutine profile", "/live": "live"} {
			if s := g.show(path); !strings.Contains(s, want) {
				t.Errorf("%s does not tell %q: %s", path, want, s)
			}
		}
		for _, path := range []string{"/clusters", "/listeners", "/version", "/logging", "/drain", "/ready"} {
			var v any
			if err := json.Unmarshal([]byte(g.show(path+"?format=json")), &v); err != nil {
				t.Errorf("%s as JSON: %v", path, err)
			}
		}
	})
	t.Run("logging", func(t *testing.T) {
		for _, level := range []string{"debug", "warn", "info"} {
			if status, body, err := g.admin("POST", "/logging?level="+level); status != 200 || err != nil {
				t.Errorf("%d %s %v", status, body, err)
			}
			if s := g.show("/logging"); !strings.Contains(s, level) {
				t.Errorf("the level is %s, want %s", s, level)
			}
		}
		if status, _, _ := g.admin("POST", "/logging?level=loud"); status != 400 {
			t.Errorf("an unknown level: %d", status)
		}
	})
	t.Run("guard", func(t *testing.T) {
		for _, c := range []struct {
			method, path, field string
			want                int
		}{
			{"GET", "/stats", "Host: evil.example", 403},
			{"GET", "/stats", "Host: localhost", 200},
			{"GET", "/stats", "Host: localhost.evil.example", 403},
			{"POST", "/logging?level=info", "Origin: http://evil.example", 403},
			{"POST", "/logging?level=info", "Sec-Fetch-Site: cross-site", 403},
			{"POST", "/drain", "Origin: null", 403},
			{"GET", "/pprof/heap", "Sec-Fetch-Site: same-site", 403},
			{"POST", "/stats", "X-A: b", 405},
			{"GET", "/statz", "X-A: b", 404},
		} {
			if status, body, err := g.admin(c.method, c.path, c.field); status != c.want || err != nil {
				t.Errorf("%s %s with %s: %d %s %v, want %d", c.method, c.path, c.field, status, body, err, c.want)
			}
		}
		if status, body, _ := g.adminGet("/ready"); status != 200 {
			t.Errorf("it drains: %s", body)
		}
	})
}
