package scenario

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// chaosConfig has the pods in a cluster of each version of HTTP. The times below
// are what the test's bound is made of. route and cluster are said of both routes and clusters, too.
func chaosConfig(pods []*pod, route, cluster string) string {
	var list []string
	for _, p := range pods {
		list = append(list, fmt.Sprintf("%q", p.at))
	}
	endpoints := strings.Join(list, ", ")
	return fmt.Sprintf(`listeners:
  http: {bind: "@http@", routes: main}
routes:
  main:
    - hosts: ["*"]
      rules:
        - {match: {prefix: /two}, to: two, retry: {attempts: %[1]d, on: [5xx, reset, connect-failure], per_try: %[2]s, backoff: {base: %[3]s, max: %[4]s}}%[6]s}
        - {to: web, retry: {attempts: %[1]d, on: [5xx, reset, connect-failure], per_try: %[2]s, backoff: {base: %[3]s, max: %[4]s}}%[6]s}
clusters:
  web: {endpoints: [%[5]s], timeouts: {connect: %[8]s}, limits: {retries: 1000}%[7]s}
  two: {endpoints: [%[5]s], timeouts: {connect: %[8]s}, limits: {retries: 1000}%[7]s, protocol: h2}
`, chaosRetries, chaosTry, chaosBackoff, chaosBackoffMax, endpoints, route, cluster, chaosConnect)
}

const (
	chaosRetries    = 5
	chaosTry        = 250 * time.Millisecond
	chaosConnect    = 250 * time.Millisecond
	chaosBackoff    = 5 * time.Millisecond
	chaosBackoffMax = 25 * time.Millisecond
	// chaosBound is the longest that a request may take by its route: a try's time
	// begins when it has a connection.
	chaosBound = (chaosRetries+1)*(chaosConnect+chaosTry) + chaosRetries*chaosBackoffMax
	// chaosSlack is what a machine that is busy may add to it.
	chaosSlack = 5 * time.Second
)

// A tally is what became of one kind of requests.
type tally struct {
	mu    sync.Mutex
	good  int
	bad   map[string]int
	times []time.Duration
}

func (l *tally) add(result string, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times = append(l.times, took)
	if result == "" {
		l.good++
		return
	}
	if l.bad == nil {
		l.bad = map[string]int{}
	}
	l.bad[result]++
}

// share is how many of the requests succeeded, 0 to 1.
func (l *tally) share() float64 { return float64(l.good) / float64(max(1, len(l.times))) }

// quantile is how long the share q of the requests took at most.
func (l *tally) quantile(q float64) time.Duration {
	if len(l.times) == 0 {
		return 0
	}
	slices.Sort(l.times)
	return l.times[min(len(l.times)-1, int(q*float64(len(l.times))))].Round(time.Millisecond)
}

func (l *tally) String() string {
	return fmt.Sprintf("%d requests, %.4f %% good, p50 %v, p99 %v, p99.9 %v, longest %v; not good: %v", len(l.times), 100*l.share(),
		l.quantile(0.5), l.quantile(0.99), l.quantile(0.999), l.quantile(1), l.bad)
}

// ask makes one request and says how it ended: "", a status or an error.
func ask(c *http.Client, method, url, id string) string {
	request, err := http.NewRequest(method, url, strings.NewReader(strings.Repeat("x", 300)))
	if err != nil {
		panic(err)
	}
	if method == "GET" {
		request.Body, request.ContentLength = nil, 0
	}
	request.Header.Set("X-Id", id)
	res, err := c.Do(request)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return "body: " + err.Error()
	case res.StatusCode != 200:
		return res.Status
	case !strings.HasSuffix(string(body), id):
		return "another request's answer"
	}
	return ""
}

// TestChaos has 5 of 20 endpoints refuse, be deaf, hang, reset, err and dawdle, others all
// the time. What may be repeated succeeds; what may not is never done twice; and
// none takes longer than its tries may. Once with retries alone, once with outlier
// detection, too, which spares those that may not be repeated; and once with hedges.
func TestChaos(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]struct{ route, cluster string }{
		"retries":  {},
		"hedges":   {route: ", hedge: {on_timeout: true}"},
		"outliers": {cluster: ", outlier: {errors: 2, success_rate: off, every: 100ms, eject: 300ms, max_eject: 1s, max: 50%}"},
	} {
		t.Run(name, func(t *testing.T) { testChaos(t, config.route, config.cluster) })
	}
}

func testChaos(t *testing.T, route, cluster string) {
	t.Parallel()
	long := 4 * time.Second
	if harness.Full() {
		long = 2 * time.Minute
	}
	var seen counts
	var pods []*pod
	for range 20 {
		pods = append(pods, startPod(t, &seen))
	}
	g := serve(t, nil, chaosConfig(pods, route, cluster))
	v := &visitors{t: t, addr: g.Addr}
	idempotent, other := &tally{}, &tally{}
	for i := range 12 {
		c := visitor(i%4 == 3)
		defer c.CloseIdleConnections()
		method, into, path := "GET", idempotent, "/"
		if i%3 == 0 {
			method, into = "POST", other
		}
		if i%2 == 1 {
			path = "/two"
		}
		v.each(2*time.Millisecond, func(n int) {
			id := fmt.Sprintf("%s-%d-%d", method, i, n)
			began := time.Now()
			into.add(ask(c, method, "http://"+g.Addr+path, id), time.Since(began))
		})
	}
	stop, over := make(chan struct{}), make(chan struct{})
	wrong := newChaos(pods, 5, 1)
	go func() {
		defer close(over)
		wrong.run(stop)
	}()
	time.Sleep(long)
	close(stop)
	<-over
	v.end()
	t.Logf("what went wrong: %v", wrong.begun)
	t.Logf("GET:  %v", idempotent)
	t.Logf("POST: %v", other)
	// In a short run one that was cut in the middle of its answer, which nobody can
	// repeat, is more than a thousandth.
	if bad := len(idempotent.times) - idempotent.good; idempotent.share() < 0.999 && bad > 2 {
		t.Errorf("%.4f %% of the requests that may be repeated succeeded", 100*idempotent.share())
	}
	var twice []string
	for _, d := range seen.duplicates() {
		if strings.HasPrefix(d, "POST") {
			twice = append(twice, d)
		}
	}
	if twice != nil {
		t.Errorf("%d requests that may not be repeated were done more than once: %v", len(twice), twice[:min(len(twice), 8)])
	}
	for kind, l := range map[string]*tally{"GET": idempotent, "POST": other} {
		if longest := l.quantile(1); longest > chaosBound+chaosSlack {
			t.Errorf("a %s took %v, longer than its tries may: %v", kind, longest, chaosBound)
		}
		if l.bad["another request's answer"] != 0 {
			t.Errorf("%s: an answer went astray", kind)
		}
	}
	// When all is well again, everything is answered, and nothing hangs on.
	c := visitor(false)
	defer c.CloseIdleConnections()
	for i := range 100 {
		if failed := ask(c, "POST", "http://"+g.Addr+"/", fmt.Sprint("after-", i)); failed != "" {
			t.Errorf("when all was well again: %s", failed)
			break
		}
	}
	for _, p := range pods {
		g.nothingOn(p.at)
	}
}

// nothingOn waits until the ledger has no stream on an endpoint, and all its
// connections are idle.
func (g *gateway) nothingOn(at string) {
	g.t.Helper()
	var page string
	eventually(g.t, "no stream is left on "+at, func() bool {
		page = g.show("/ledger?format=json&endpoint=" + at)
		var entries []struct{ Streams, Connections, Idle int }
		if err := json.Unmarshal([]byte(page), &entries); err != nil || len(entries) != 1 {
			g.t.Fatalf("%v: %s", err, page)
		}
		return entries[0].Streams == 0 && entries[0].Connections == entries[0].Idle
	})
}
