package scenario

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"longmen/conformance/harness"
)

// A client is one raw connection.
type client struct {
	*harness.Client
	t testing.TB
}

// dial connects to an address; the connection is closed when the test ends.
func dial(t testing.TB, addr string) *client {
	t.Helper()
	c, err := harness.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	c.WaitAtMost(patience)
	t.Cleanup(func() { c.Close() })
	return &client{c, t}
}

// send writes raw bytes. LF stands for CRLF.
func (c *client) send(raw string) {
	c.t.Helper()
	c.WaitAtMost(patience)
	if _, err := io.WriteString(c, crlf(raw)); err != nil {
		c.t.Fatalf("sending %.60q: %v", raw, err)
	}
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// response reads one response whole.
func (c *client) response(method string) *harness.Response {
	c.t.Helper()
	c.WaitAtMost(patience)
	res, err := c.Response(method)
	if err != nil {
		c.t.Fatalf("response: %v", err)
	}
	return res
}

// ask sends a request and reads its response.
func (c *client) ask(raw string) *harness.Response {
	c.t.Helper()
	c.send(raw)
	method, _, _ := strings.Cut(raw, " ")
	return c.response(method)
}

// get is ask for the usual request.
func (c *client) get(path string) *harness.Response {
	c.t.Helper()
	return c.ask("GET " + path + " HTTP/1.1\nHost: h\n\n")
}

// ended says that the gateway closed the connection with nothing more to read.
func (c *client) ended() bool {
	n, err := io.Copy(io.Discard, c.R.Buf())
	return n == 0 && !harness.IsTimeout(err)
}

// ask sends one request on a new connection.
func (g *gateway) ask(raw string) *harness.Response {
	g.t.Helper()
	return g.askAt("http", raw)
}

func (g *gateway) askAt(listener, raw string) *harness.Response {
	g.t.Helper()
	c := dial(g.t, g.names[listener])
	defer c.Close()
	return c.ask(raw)
}

func (g *gateway) get(path string) *harness.Response {
	g.t.Helper()
	return g.ask("GET " + path + " HTTP/1.1\nHost: h\n\n")
}

// admin asks the admin API. Every question takes a new connection, so that none
// is kept.
func (g *gateway) admin(method, path string, fields ...string) (int, string, error) {
	req, err := http.NewRequest(method, "http://"+g.Admin+path, nil)
	if err != nil {
		return 0, "", err
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	hc := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := hc.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

func (g *gateway) adminGet(path string) (int, string, error) { return g.admin("GET", path) }

// show returns an answer of the admin API that must be 200.
func (g *gateway) show(path string) string {
	g.t.Helper()
	status, body, err := g.adminGet(path)
	if err != nil || status != 200 {
		g.t.Fatalf("%s: %d, %v, %s", path, status, err, body)
	}
	return body
}

// metrics reads /metrics: values by name{label="value",...}, labels in order.
func (g *gateway) metrics() map[string]float64 {
	g.t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(g.show("/metrics")))
	if err != nil {
		g.t.Fatal(err)
	}
	all := map[string]float64{}
	for name, family := range families {
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			key := name
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case m.Histogram != nil:
				all[key] = float64(m.Histogram.GetSampleCount())
			case m.Counter != nil:
				all[key] = m.Counter.GetValue()
			case m.Gauge != nil:
				all[key] = m.Gauge.GetValue()
			case m.Untyped != nil:
				all[key] = m.Untyped.GetValue()
			}
		}
	}
	return all
}

// counts waits until metrics have the values: a request is counted right after
// its response went out.
func (g *gateway) counts(want map[string]float64) {
	g.t.Helper()
	var wrong string
	defer func() {
		if wrong != "" {
			g.t.Log(wrong)
		}
	}()
	eventually(g.t, "the metrics", func() bool {
		m := g.metrics()
		wrong = ""
		for key, v := range want {
			if m[key] != v {
				wrong += fmt.Sprintf("%s is %v, want %v\n", key, m[key], v)
			}
		}
		return wrong == ""
	})
}

// failures are the counts of failed requests that are not 0.
func (g *gateway) failures() (list []string) {
	g.t.Helper()
	for key, v := range g.metrics() {
		if strings.HasPrefix(key, "longmen_http_response_flags_total") && v != 0 {
			list = append(list, fmt.Sprintf("%s %v", key, v))
		}
	}
	return list
}

// logged waits for the access log's line of each path.
func (g *gateway) logged(paths ...string) map[string]harness.LogLine {
	g.t.Helper()
	lines, err := g.WaitLogs(paths)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, p := range paths {
		if lines[p] == nil {
			g.t.Fatalf("the access log has no line of %s", p)
		}
	}
	return lines
}

// wantStatus checks a response's status.
func wantStatus(t testing.TB, res *harness.Response, status int) {
	t.Helper()
	if res.Status != status {
		t.Errorf("status %d, want %d; body %q", res.Status, status, res.Body)
	}
}
