// Package slow attacks a gateway with clients that take their time, many at
// once, beside a client that behaves well and must not notice.
package slow

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"longmen/conformance/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// limits are those of every case. Peers are given the same timeouts; they have
// no least rates.
const limits = `timeouts: {header: 2s, body: 2s, idle: 3s, write: 2s}, min_rate: {request: 240, response: 240, grace: 1s}`

// Bounds of memory over that before the attack. Each connection may hold its
// buffers; the rest is what a collected heap may grow by.
const (
	bytesEach = 192 << 10
	bytesOnce = 64 << 20
)

func each() int {
	if harness.Full() {
		return 60
	}
	return 8
}

// An origin's view of large responses: who is told when one is cut.
type cuts struct {
	mu sync.Mutex
	to map[string]chan bool
}

func (c *cuts) of(path string) chan bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.to[path] == nil {
		c.to[path] = make(chan bool, 1)
	}
	return c.to[path]
}

func (c *cuts) serve(x *harness.Exchange) {
	if x.ReadBody() != nil {
		return
	}
	switch {
	case strings.HasPrefix(x.Request.Target, "/reads-"):
		fmt.Fprintf(x.Conn(), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", large)
		if _, err := io.Copy(x.Conn(), io.LimitReader(zeros{}, large)); err != nil {
			c.of(x.Request.Target) <- true
			x.Close()
		}
	case x.Request.Target == "/page":
		x.Answer(strings.Repeat("p", 64<<10))
	default:
		harness.Echo(x)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestSlowClients(t *testing.T) {
	for _, kind := range harness.Kinds() {
		t.Run(kind, func(t *testing.T) { assault(t, kind) })
	}
}

func assault(t *testing.T, kind string) {
	c := &cuts{to: map[string]chan bool{}}
	o, err := harness.StartOrigin(c.serve)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	p := harness.Start(t, kind, o.Addr, harness.Options{Listener: limits})
	if fault := ask(p.Addr, 20); fault != "" {
		t.Fatal("before the attack: ", fault)
	}
	o.CloseConns()
	before, err := p.State()
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan bool)
	good := make(chan string, 1)
	memory := make(chan int64, 1)
	go func() { good <- goodClient(p.Addr, over) }()
	go func() { memory <- watchMemory(p, over) }()

	all := attacks()
	verdicts := make([]harness.Verdict, len(all))
	var wg sync.WaitGroup
	for i, a := range all {
		verdicts[i].Name = a.name
		faults := make(chan string, each())
		for n := range each() {
			wg.Go(func() { faults <- a.once(p, c, fmt.Sprintf("/%s/%d", a.name, n)) })
		}
		wg.Go(func() {
			for range each() {
				if f := <-faults; f != "" {
					verdicts[i].Fault = f
				}
			}
		})
	}
	wg.Wait()
	close(over)
	peak := <-memory
	verdicts = append(verdicts, harness.Verdict{Name: "good-client", Fault: <-good})
	bound := before.RSS + bytesOnce + int64(len(all)*each())*bytesEach
	v := harness.Verdict{Name: "memory"}
	if peak > bound {
		v.Fault = fmt.Sprintf("%d KiB before, %d KiB at the peak, over the bound of %d KiB", before.RSS>>10, peak>>10, bound>>10)
	}
	t.Logf("%s: %d attackers, memory %d KiB before, %d KiB at the peak", kind, len(all)*each(), before.RSS>>10, peak>>10)
	verdicts = append(verdicts, v)
	if kind == harness.Longmen {
		judgeLogs(t, p, all, verdicts)
	}
	verdicts = append(verdicts, harness.Verdict{Name: "no-leak", Fault: leak(p, o, before)})
	harness.Report(t, "slow", kind, verdicts)
}

// once runs one attacker and says what is wrong with its end.
func (a attack) once(p *harness.Proxy, cuts *cuts, path string) string {
	c, err := harness.Dial(p.Addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.WaitAtMost(limit)
	got := a.run(&attacker{c, path, cuts.of(path)})
	switch {
	case a.answer != 0 && got == fmt.Sprint("status ", a.answer):
		return ""
	case a.answer != 0 && got == "":
		return fmt.Sprintf("closed without an answer, want %d", a.answer)
	case a.answer == 0 && got == "status 408":
		return "" // said to a client that has asked for nothing: no harm
	}
	return got
}

// goodClient asks one request after the other, on new and on kept connections,
// for as long as the attack goes on.
func goodClient(addr string, over chan bool) string {
	for {
		if fault := ask(addr, 20); fault != "" {
			return fault
		}
		select {
		case <-over:
			return ""
		default:
		}
	}
}

// ask sends n requests on one connection.
func ask(addr string, n int) string {
	c, err := harness.Dial(addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	for range n {
		io.WriteString(c, "GET /good HTTP/1.1\r\nHost: h\r\n\r\n")
		res, err := c.Response("GET")
		if err != nil {
			return err.Error()
		}
		if res.Status != 200 || string(res.Body) != "origin GET /good" {
			return fmt.Sprintf("status %d, body %q", res.Status, res.Body)
		}
	}
	return ""
}

// watchMemory returns the greatest resident size until the attack is over.
func watchMemory(p *harness.Proxy, over chan bool) int64 {
	var peak int64
	for {
		select {
		case <-over:
			return peak
		case <-time.After(50 * time.Millisecond):
			if s, err := p.RSS(); err == nil {
				peak = max(peak, s)
			}
		}
	}
}

// judgeLogs checks that the log tells of each attack that made a request.
func judgeLogs(t *testing.T, p *harness.Proxy, all []attack, verdicts []harness.Verdict) {
	t.Helper()
	var paths []string
	for _, a := range all {
		if a.logged {
			paths = append(paths, fmt.Sprintf("/%s/0", a.name))
		}
	}
	lines, err := p.WaitLogs(paths)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range all {
		if !a.logged || verdicts[i].Fault != "" {
			continue
		}
		l := lines[fmt.Sprintf("/%s/0", a.name)]
		said := fmt.Sprintf("the access log says status=%s flag=%q side=%q phase=%q cause=%q", l.Text("status"), l.Flag(), l.Text("side"), l.Text("phase"), l.Text("cause"))
		if l == nil || l.Text("side") != "downstream" || l.Flag() == "" || strings.Trim(l.Text("cause"), "-") == "" || a.answer != 0 && l.Text("status") != fmt.Sprint(a.answer) {
			verdicts[i].Fault = said
		}
	}
}

func leak(p *harness.Proxy, o *harness.Origin, before harness.State) string {
	o.CloseConns()
	if p.Kind == harness.Longmen {
		if left := p.Quiet(); left != "" {
			return left
		}
	}
	return p.SettlesTo(before, 4)
}
