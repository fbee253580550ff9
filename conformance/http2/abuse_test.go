package http2

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// attackers is how many connections of an attack there are at once.
const attackers = 4

// Bounds of what an attack may cost.
const (
	// maxStreams is the gateway's default of streams on a connection. Twice as
	// many requests may be at the origin: those that were ended may not have
	// been noticed there.
	maxStreams = 100
	inFlight   = 2 * attackers * maxStreams
	// memory is what the gateway may grow by over what it had before.
	memory = 96 << 20
)

// limits are short so that what is slow comes to its end.
const limits = `timeouts: {header: 1s, body: 1s, idle: 2s, write: 1s, stream: 2s}, min_rate: {request: 240, response: 240, grace: 1s}`

// lasting is how long an attack goes on, and calmFor how long good clients are
// measured before.
func (a attack) lasting() time.Duration {
	if harness.Full() {
		return 30 * time.Second
	}
	return max(a.lasts, 700*time.Millisecond)
}

func calmFor() time.Duration {
	if harness.Full() {
		return 5 * time.Second
	}
	return 300 * time.Millisecond
}

// TestAbuse lets each attack loose on a gateway of one worker, with good
// clients beside: none of their requests may fail. How long they take, calm and
// attacked, is printed.
func TestAbuse(t *testing.T) {
	for _, kind := range harness.Kinds() {
		t.Run(kind, func(t *testing.T) {
			o := startVictim(t)
			p := harness.Start(t, kind, o.addr, harness.Options{HTTP2: true, Listener: limits})
			b := &abuse{t: t, kind: kind, o: o, p: p}
			var verdicts []harness.Verdict
			for _, a := range attacks() {
				verdicts = append(verdicts, harness.Verdict{Name: "abuse/" + a.name, Fault: b.run(a)})
				if !p.Alive() {
					break
				}
			}
			left := harness.Verdict{Name: "abuse/no-leak"}
			if kind == harness.Longmen {
				o.server.CloseClientConnections()
				left.Fault = p.Quiet()
			}
			harness.Report(t, "abuse", kind, append(verdicts, left))
		})
	}
}

// A victim is the origin: it counts what the attacker has under way there.
type victim struct {
	addr     string
	server   *origins
	now      atomic.Int64
	peak     atomic.Int64
	requests atomic.Int64
	refused  atomic.Int64 // requests that no gateway should let through
}

type origins struct {
	*http.Server
	mu    sync.Mutex
	conns map[net.Conn]bool
}

// CloseClientConnections closes all connections to the origin.
func (o *origins) CloseClientConnections() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.conns {
		c.Close()
	}
}

func startVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{server: &origins{conns: map[net.Conn]bool{}}}
	v.server.Server = &http.Server{Handler: v, ConnState: func(c net.Conn, s http.ConnState) {
		v.server.mu.Lock()
		defer v.server.mu.Unlock()
		if s == http.StateClosed || s == http.StateHijacked {
			delete(v.server.conns, c)
		} else {
			v.server.conns[c] = true
		}
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v.addr = l.Addr().String()
	go v.server.Serve(l)
	t.Cleanup(func() { v.server.Close() })
	return v
}

func (v *victim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/attack") {
		v.requests.Add(1)
		n := v.now.Add(1)
		defer v.now.Add(-1)
		for {
			peak := v.peak.Load()
			if n <= peak || v.peak.CompareAndSwap(peak, n) {
				break
			}
		}
	}
	switch r.URL.Path {
	case "/attack/refused":
		v.refused.Add(1)
	case "/attack/slow":
		select {
		case <-time.After(100 * time.Millisecond):
		case <-r.Context().Done():
		}
	case "/attack/hold":
		<-r.Context().Done()
	case "/attack/unread":
		time.Sleep(300 * time.Millisecond) // net/http does not see the end of a connection behind content
	case "/attack/large":
		io.Copy(w, io.LimitReader(zeros{}, 16<<20))
		return
	case "/attack/body":
		io.Copy(io.Discard, r.Body)
	}
	io.WriteString(w, "good")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

type abuse struct {
	t    *testing.T
	kind string
	o    *victim
	p    *harness.Proxy
}

// run makes one attack and says what is wrong.
func (b *abuse) run(a attack) (fault string) {
	b.o.peak.Store(b.o.now.Load())
	b.o.refused.Store(0)
	before, err := b.p.RSS()
	if err != nil {
		return err.Error()
	}
	good := []*goodClient{{name: "h2", http2: true}}
	if b.kind == harness.Longmen { // the peers' port speaks HTTP/2 alone
		good = append(good, &goodClient{name: "h1"})
	}
	for _, g := range good {
		g.run(b.p.Addr, &g.calm, time.After(calmFor()))
	}
	over := make(chan time.Time)
	var all sync.WaitGroup
	for _, g := range good {
		all.Go(func() { g.run(b.p.Addr, &g.attacked, over) })
	}
	left := make(chan int64, 1)
	time.AfterFunc(a.lasts-a.lasts/8, func() { left <- b.o.now.Load() })
	rss := make(chan int64, 1)
	go func() { rss <- b.greatest(over) }()
	r, err := assault(order{Name: a.name, Addr: b.p.Addr, Conns: attackers, Duration: a.lasting()})
	close(over)
	all.Wait()
	peak := <-rss
	if err != nil {
		return "the attacker: " + err.Error()
	}
	said := []string{r.text()}
	for _, g := range good {
		said = append(said, g.text())
	}
	b.t.Logf("%s: %s: %s; origin's peak %d; %+d KiB", b.kind, a.name, strings.Join(said, "; "), b.o.peak.Load(), (peak-before)>>10)
	var faults []string
	for end, n := range r.Ends {
		// The last ones may have had no time to be ended.
		last := end == alive && n <= attackers && slices.ContainsFunc(a.ends, func(end string) bool { return r.Ends[end] > 0 })
		if !slices.Contains(a.ends, end) && !last {
			faults = append(faults, fmt.Sprintf("%d connections ended with %s, not %s", n, end, strings.Join(a.ends, " or ")))
		}
	}
	for _, g := range good {
		if g.failed != "" {
			faults = append(faults, fmt.Sprintf("the good client of %s: %s", g.name, g.failed))
		}
	}
	if n := b.o.peak.Load(); n > inFlight {
		faults = append(faults, fmt.Sprintf("%d requests were at the origin at once", n))
	}
	if n := <-left; a.freed && n > 0 {
		faults = append(faults, fmt.Sprintf("%d requests were still at the origin", n))
	}
	if n := b.o.refused.Load(); n > 0 {
		faults = append(faults, fmt.Sprintf("%d bad requests came to the origin", n))
	}
	if peak-before > memory {
		faults = append(faults, fmt.Sprintf("memory grew by %d KiB", (peak-before)>>10))
	}
	if !b.p.Alive() {
		faults = append(faults, "the gateway has ended")
	}
	slices.Sort(faults)
	return strings.Join(faults, "; ")
}

// assault runs an attack in a process of its own, which gives way to others.
func assault(o order) (*result, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), attackEnv+"="+string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	timer := time.AfterFunc(o.Duration+30*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	r := new(result)
	return r, json.Unmarshal(out, r)
}

// greatest is the gateway's greatest resident memory until it is over.
func (b *abuse) greatest(over chan time.Time) (peak int64) {
	for {
		if n, err := b.p.RSS(); err == nil {
			peak = max(peak, n)
		}
		select {
		case <-over:
			return peak
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A goodClient asks one request after the other on a kept connection, a pause
// between them.
type goodClient struct {
	name           string
	http2          bool
	calm, attacked []time.Duration
	failed         string
}

func (g *goodClient) run(addr string, to *[]time.Duration, over <-chan time.Time) {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(g.http2)
	transport.Protocols.SetHTTP1(!g.http2)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: harness.Patience}
	for {
		began := time.Now()
		res, err := client.Get("http://" + addr + "/good")
		if err == nil {
			var body []byte
			body, err = io.ReadAll(res.Body)
			res.Body.Close()
			if err == nil && (res.StatusCode != 200 || string(body) != "good") {
				err = fmt.Errorf("status %d, body %q", res.StatusCode, body)
			}
		}
		if err != nil && g.failed == "" {
			g.failed = err.Error()
		}
		*to = append(*to, time.Since(began))
		select {
		case <-over:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func (g *goodClient) text() string {
	calm, attacked := p99(g.calm), p99(g.attacked)
	return fmt.Sprintf("%s p99 %v calm, %v attacked, × %.1f", g.name, calm.Round(time.Microsecond), attacked.Round(time.Microsecond), float64(attacked)/float64(calm))
}

func p99(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)*99/100]
}

func sorted(m map[string]int) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
