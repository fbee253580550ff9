package exposition

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"longmen/gateway/protocol/grpc"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// busy is an exporter over two workers that have counted something.
func busy(t *testing.T) *Exporter {
	t.Helper()
	r := metrics.NewRegistry()
	stats := new(worker.Stats)
	stats.Turns.Store(12)
	stats.LongestTurn.Store(int64(3 * time.Millisecond))
	one, two := r.NewWorker(stats), r.NewWorker(nil)
	for _, w := range []*metrics.Worker{one, two} {
		l := w.Listener("http")
		l.Connections.Add(2)
		l.Done(&stream.Record{Status: 200, Begin: 1, End: 1 + int64(2*time.Millisecond)})
		l.Timeouts[metrics.TimeoutBody].Inc()
		l.RequestsShed[metrics.ShedOverload].Add(2)
		l.RequestsShed[metrics.ShedLimit].Inc()
		l.IdleShortened.Inc()
		l.Refused[metrics.RefusedOverload].Add(3)
		c := w.Cluster("web")
		c.ConnectionsIdle.Set(3)
		c.Overflows[metrics.LimitPending].Inc()
		c.Requests.Count(503)
		c.Duration.Observe(int64(time.Millisecond))
	}
	two.GRPC().Done([]byte("/a.B/C"), grpc.Unavailable, true, int64(2*time.Millisecond))
	two.Listener("http").Done(&stream.Record{Status: 504, End: int64(40 * time.Second), Err: &stream.Error{Flag: stream.UpstreamTimeout}})
	r.OCSP.Revoked.Add(2)
	r.Reloads.Succeeded("7f3a", time.Unix(1000, 0))
	r.Reloads.Failed(time.Unix(1500, 500e6))
	return New(Sources{
		Registry: r, Build: Build{Version: "v0", Revision: "abc"}, Started: time.Now(),
		Endpoints: func() []metrics.Endpoints {
			return []metrics.Endpoints{
				{
					Cluster: "web", Healthy: 2, Draining: 1, Ejected: 3, Checks: &metrics.Checks{Passed: 5, Failed: 6, Unanswered: 7},
					Outliers: []metrics.Outliers{{Cause: "success_rate", Detected: 9, Ejected: 8, Active: 2}}, OutliersOverflow: 1,
					Panic: true, Groups: []metrics.Group{{Priority: "0", Locality: "eu/a", Share: 0.75}},
					Remaining: []metrics.Remaining{{Priority: "high", Limit: metrics.LimitRequests, Left: 12}},
				},
				{Cluster: "plain", Healthy: 1},
			}
		},
		Overload: func() metrics.Overload {
			return metrics.Overload{
				Resources: []metrics.ResourceUse{{Resource: "memory", Pressure: 0.93}},
				Actions:   []metrics.ActionLevel{{Action: "refuse_requests", Level: 0.5, Starts: 3}, {Action: "release"}},
			}
		},
		AccessLogs: func() []metrics.AccessLog { return []metrics.AccessLog{{Path: "/dev/stdout", Lines: 9, Dropped: 4}} },
		Certificates: func() []metrics.Certificate {
			return []metrics.Certificate{{Name: "shop", Listener: "http", NotAfter: time.Unix(4e9, 0)}, {Name: "shop", Cluster: "web", NotAfter: time.Unix(4e9+1, 0)}}
		},
		ACME: func() (metrics.ACME, bool) {
			return metrics.ACME{Ordered: 7, Renewed: 6, Failed: 5, Issued: 4, Pending: 3}, true
		},
		TLSPool: func() (metrics.TLSPool, bool) {
			return metrics.TLSPool{Queued: 1, Running: 2, Done: 10, Panics: 3, Refused: 4, Busy: 5 * time.Second, Waited: time.Minute}, true
		},
	})
}

func TestPrometheusText(t *testing.T) {
	contentType, body, err := busy(t).Prometheus("")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(contentType, "text/plain; version=0.0.4") {
		t.Errorf("content type %q", contentType)
	}
	lines := strings.Split(string(body), "\n")
	for _, want := range []string{
		`longmen_downstream_connections_total{listener="http"} 4`,
		`longmen_downstream_timeouts_total{kind="body",listener="http"} 2`,
		`longmen_downstream_timeouts_total{kind="idle",listener="http"} 0`,
		`longmen_overload_pressure{resource="memory"} 0.93`,
		`longmen_overload_action_level{action="refuse_requests"} 0.5`,
		`longmen_overload_action_level{action="release"} 0`,
		`longmen_overload_actions_total{action="refuse_requests"} 3`,
		`longmen_overload_shed_total{listener="http",what="request"} 4`,
		`longmen_overload_shed_total{listener="http",what="connection"} 6`,
		`longmen_overload_shed_total{listener="http",what="idle-connection"} 2`,
		`longmen_downstream_connections_refused_total{listener="http",reason="overload"} 6`,
		`longmen_http_requests_over_limit_total{listener="http"} 2`,
		`longmen_http_requests_total{code_class="2xx",listener="http"} 2`,
		`longmen_http_requests_total{code_class="5xx",listener="http"} 1`,
		`longmen_http_response_flags_total{flag="UT",listener="http"} 1`,
		`longmen_http_request_duration_seconds_bucket{listener="http",le="0.001"} 0`,
		`longmen_http_request_duration_seconds_bucket{listener="http",le="0.0025"} 2`,
		`longmen_http_request_duration_seconds_bucket{listener="http",le="30"} 2`,
		`longmen_http_request_duration_seconds_bucket{listener="http",le="60"} 3`,
		`longmen_http_request_duration_seconds_bucket{listener="http",le="+Inf"} 3`,
		`longmen_http_request_duration_seconds_count{listener="http"} 3`,
		`longmen_http_request_duration_seconds_sum{listener="http"} 40.004`,
		`longmen_grpc_requests_total{grpc_status="UNAVAILABLE",method="C",service="a.B"} 1`,
		`longmen_grpc_request_duration_seconds_bucket{method="C",service="a.B",le="0.0025"} 1`,
		`longmen_upstream_connections_idle{cluster="web"} 6`,
		`longmen_upstream_overflows_total{cluster="web",limit="pending"} 2`,
		`longmen_upstream_requests_total{cluster="web",code_class="5xx"} 2`,
		`longmen_upstream_request_duration_seconds_bucket{cluster="web",le="0.001"} 2`,
		`longmen_cluster_endpoints{cluster="web",state="healthy"} 2`,
		`longmen_cluster_endpoints{cluster="web",state="draining"} 1`,
		`longmen_cluster_endpoints{cluster="web",state="ejected"} 3`,
		`longmen_cluster_health_checks_total{cluster="web",result="passed"} 5`,
		`longmen_cluster_health_checks_total{cluster="web",result="failed"} 6`,
		`longmen_cluster_health_checks_total{cluster="web",result="unanswered"} 7`,
		`longmen_cluster_outliers_total{cause="success_rate",cluster="web"} 9`,
		`longmen_cluster_ejections_total{cause="success_rate",cluster="web"} 8`,
		`longmen_cluster_ejections_active{cause="success_rate",cluster="web"} 2`,
		`longmen_cluster_ejections_overflow_total{cluster="web"} 1`,
		`longmen_worker_turns_total{worker="0"} 12`,
		`longmen_worker_longest_turn_seconds{worker="0"} 0.003`,
		`longmen_access_log_lines_total{path="/dev/stdout"} 9`,
		`longmen_tls_certificate_expiry_timestamp_seconds{certificate="shop",cluster="",listener="http"} 4e+09`,
		`longmen_tls_certificate_expiry_timestamp_seconds{certificate="shop",cluster="web",listener=""} 4.000000001e+09`,
		`longmen_tls_pool_tasks_total{result="done"} 10`,
		`longmen_tls_pool_panics_total 3`,
		`longmen_tls_pool_running 2`,
		`longmen_tls_pool_wait_seconds_total 60`,
		`longmen_tls_ocsp_responses_total{result="revoked"} 2`,
		`longmen_upstream_tls_failures_total{cluster="web",reason="alert"} 0`,
		`longmen_access_log_dropped_total{path="/dev/stdout"} 4`,
		`longmen_config_info{version="7f3a"} 1`,
		`longmen_config_reloads_total{result="failure"} 1`,
		`longmen_config_last_reload_timestamp_seconds{result="failure"} 1500.5`,
		`longmen_config_last_reload_successful 0`,
		`# TYPE longmen_http_request_duration_seconds histogram`,
		`# TYPE go_goroutines gauge`,
		`# TYPE process_open_fds gauge`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %s", want)
		}
	}
	if strings.Contains(string(body), `worker="1"`) {
		t.Error("a worker without a loop has loop stats")
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(string(body))); err != nil {
		t.Errorf("not the text format: %v", err)
	}
}

func TestFormatsAreNegotiated(t *testing.T) {
	e := busy(t)
	for accept, want := range map[string]string{
		"*/*": "text/plain; version=0.0.4", "text/html": "text/plain; version=0.0.4",
		"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1":  "application/openmetrics-text; version=1.0.0",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited": "application/vnd.google.protobuf",
	} {
		if contentType, _, err := e.Prometheus(accept); err != nil || !strings.HasPrefix(contentType, want) {
			t.Errorf("%s is answered with %q, %v", accept, contentType, err)
		}
	}
}

func TestOpenMetricsEnds(t *testing.T) {
	contentType, body, err := busy(t).Prometheus("application/openmetrics-text; version=1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(contentType, "application/openmetrics-text") || !strings.HasSuffix(string(body), "# EOF\n") {
		t.Errorf("%q ends in %q", contentType, body[max(0, len(body)-20):])
	}
}

func TestNamesThatAreNotUTF8(t *testing.T) {
	r := metrics.NewRegistry()
	r.NewWorker(nil).Listener("a\xff\"b")
	_, body, err := New(Sources{Registry: r}).Prometheus("")
	if err != nil {
		t.Fatal(err)
	}
	if want := `longmen_downstream_connections_total{listener="a` + "\uFFFD" + `\"b"} 0`; !strings.Contains(string(body), want) {
		t.Errorf("no line %s", want)
	}
}

func TestStats(t *testing.T) {
	stats, err := busy(t).Stats(`listener="http"`)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(Text(stats)), "\n")
	if !slices.Contains(lines, `longmen_http_requests_total{listener="http",code_class="2xx"} 2`) {
		t.Errorf("no requests in\n%s", Text(stats))
	}
	i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "longmen_http_request_duration_seconds{") })
	if i < 0 || !strings.Contains(lines[i], "count=3 mean=13.335s p50=") {
		t.Errorf("durations in\n%s", Text(stats))
	}
	for _, line := range lines[:len(lines)-1] {
		if !strings.Contains(line, `listener="http"`) {
			t.Errorf("%s passed the filter", line)
		}
	}
	all, err := busy(t).Stats("")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(s Stat) bool { return s.Name == "go_goroutines" && *s.Value > 0 }) {
		t.Error("no go_goroutines")
	}
}

func TestStatsJSON(t *testing.T) {
	stats, err := busy(t).Stats("longmen_http")
	if err != nil {
		t.Fatal(err)
	}
	text, err := JSON(stats)
	if err != nil {
		t.Fatal(err)
	}
	var decoded struct{ Stats []Stat }
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, s := range decoded.Stats {
		if s.Name == "longmen_http_request_duration_seconds" {
			found = s.Labels["listener"] == "http" && s.Distribution.Count == 3 && s.Distribution.P99 > 29
		}
	}
	if !found {
		t.Errorf("no durations in\n%s", text)
	}
	if empty, _ := JSON(nil); !strings.Contains(string(empty), `"stats": []`) {
		t.Errorf("nothing found: %s", empty)
	}
}

func TestReadable(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0s", 0.000001234: "1.234µs", 0.00123456: "1.235ms", 1.23456: "1.235s", 83.456789: "1m23.457s",
	} {
		if got := readable(seconds); got != want {
			t.Errorf("%v s is written %s, want %s", seconds, got, want)
		}
	}
}

// The reference must name every family that is exported, with its kind and labels, and
// no other.
func TestEveryFamilyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\| ([^|]*) \\|").FindAllStringSubmatch(string(text), -1) {
		documented[row[1]] = row[2] + " " + strings.ReplaceAll(row[3], "`", "")
	}
	exported := map[string]string{}
	e := busy(t)
	for _, family := range e.Families() {
		exported[family.Name] = string(family.Kind) + " " + strings.Join(family.Labels, ", ")
	}
	families, err := e.runtimes.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		labels := []string{}
		for _, pair := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, pair.GetName())
		}
		exported[family.GetName()] = strings.ToLower(family.GetType().String()) + " " + strings.Join(labels, ", ")
	}
	for name, is := range exported {
		if documented[name] != is {
			t.Errorf("docs/metrics.md says %q of %s, which is %q", documented[name], name, is)
		}
	}
	for name := range documented {
		// What the runtime exports depends on what the system shows of itself.
		if _, ok := exported[name]; !ok && strings.HasPrefix(name, "longmen_") {
			t.Errorf("docs/metrics.md tells of %s, which is not exported", name)
		}
	}
}

// Every bound must be one of a bucket, else the exported counts are not exact.
func TestBoundsAreExact(t *testing.T) {
	for _, bound := range bounds {
		var h metrics.Histogram
		var d metrics.Distribution
		h.Observe(int64(bound))
		h.Observe(int64(bound) + 1)
		h.AddTo(&d)
		if d.AtMost(bound) != 1 {
			t.Errorf("%v is within a bucket", bound)
		}
	}
}
