// Package fault breaks origins and clients at every byte of what they send,
// and judges what the client is told, what the access log says of it, and that
// nothing is left over.
package fault

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"longmen/conformance/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// An outcome is a way in which a case may end.
type outcome int

const (
	refused   outcome = 1 << iota // an error status, whole
	truncated                     // a response that visibly lacks its end
	complete                      // a whole response
)

// A trial is one fault and its expectation.
type trial struct {
	name     string
	path     string           // of the request, made by add
	request  string           // all bytes; a GET of path if empty
	script   harness.Script   // of the origin
	outcomes outcome          // those allowed
	statuses []int            // of a refusal
	flags    []string         // in the log; "" for a request without fault
	phases   []string         // in the log, of those with a flag
	side     string           // in the log; "upstream" if empty
	once     bool             // the origin may see the request only once
	client   func(*rawClient) // does the client's part, in place of one request and one response
	check    func(harness.Record) string
}

type rawClient struct {
	*harness.Client
	request string
}

// A group is trials that run before one proxy.
type group struct {
	name   string
	opt    harness.Options
	trials []*trial
	side   int // how many run side by side
}

func (g *group) add(t trial) {
	t.path = "/" + g.name + "/" + t.name
	if t.request == "" {
		t.request = "GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"
	}
	t.request = strings.ReplaceAll(t.request, "{path}", t.path)
	g.trials = append(g.trials, &t)
}

// thin keeps the trials of every nth offset in the quick run.
func every(full, quick int) int {
	if harness.Full() {
		return full
	}
	return quick
}

// run plays a group against a proxy, before an origin that knows the scripts.
func (g *group) run(t *testing.T, kind string) []harness.Verdict {
	t.Helper()
	scripts := map[string]harness.Script{}
	for _, tr := range g.trials {
		scripts[tr.path] = tr.script
	}
	o, err := harness.StartOrigin(func(x *harness.Exchange) {
		if s := scripts[x.Request.Target]; s != nil {
			s(x)
			return
		}
		harness.Echo(x)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	p := harness.Start(t, kind, o.Addr, g.opt)
	return g.against(t, p, o)
}

func (g *group) against(t *testing.T, p *harness.Proxy, o *harness.Origin) []harness.Verdict {
	t.Helper()
	before := g.warm(t, p, o)
	verdicts := make([]harness.Verdict, len(g.trials))
	work := make(chan int)
	done := make(chan bool)
	for range max(g.side, 1) {
		go func() {
			for i := range work {
				tr := g.trials[i]
				verdicts[i] = harness.Verdict{Name: g.name + "/" + tr.name, Fault: tr.play(p, o)}
			}
			done <- true
		}()
	}
	for i := range g.trials {
		work <- i
	}
	close(work)
	for range max(g.side, 1) {
		<-done
	}
	if p.Kind == harness.Longmen {
		g.judgeLogs(t, p, verdicts)
	}
	return append(verdicts, g.leaks(p, o, before))
}

// warm sends some requests, so that what a proxy sets up once is there before
// its state is taken, then lets it close what is idle.
func (g *group) warm(t *testing.T, p *harness.Proxy, o *harness.Origin) harness.State {
	t.Helper()
	for range 5 {
		// Before an origin that is down this fails, and warms as well.
		harness.Do(p.Addr, "GET /warm HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	}
	o.CloseConns()
	if p.Kind == harness.Longmen {
		if left := p.Quiet(); left != "" {
			t.Fatalf("%s: after plain requests: %s", g.name, left)
		}
	}
	s, err := p.State()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (g *group) leaks(p *harness.Proxy, o *harness.Origin, before harness.State) harness.Verdict {
	o.CloseConns()
	v := harness.Verdict{Name: g.name + "/no-leak"}
	if p.Kind == harness.Longmen {
		v.Fault = p.Quiet()
	}
	if v.Fault == "" {
		v.Fault = p.SettlesTo(before, 4)
	}
	return v
}

func (tr *trial) play(p *harness.Proxy, o *harness.Origin) string {
	c, err := harness.Dial(p.Addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	if tr.client != nil {
		tr.client(&rawClient{c, tr.request})
		return tr.record(o)
	}
	io.WriteString(c, tr.request)
	method, _, _ := strings.Cut(tr.request, " ")
	res, err := c.Response(method)
	if fault := tr.judge(res, err); fault != "" {
		return fault
	}
	return tr.record(o)
}

func (tr *trial) record(o *harness.Origin) string {
	if !tr.once && tr.check == nil {
		return ""
	}
	rec := o.Record()
	if tr.check != nil {
		return tr.check(rec)
	}
	n := 0
	for _, r := range rec.Requests {
		if r.Target == tr.path {
			n++
		}
	}
	if n > 1 {
		return fmt.Sprintf("the origin was sent the request %d times", n)
	}
	return ""
}

func (tr *trial) judge(res *harness.Response, err error) string {
	var v *harness.Violation
	what := "no response"
	if res != nil {
		what = fmt.Sprintf("status %d, %d bytes of body", res.Status, res.BodySize)
	}
	switch {
	case harness.IsTimeout(err):
		return "hang: " + what
	case errors.As(err, &v):
		return "the client received no HTTP: " + v.Error()
	case res == nil:
		return fmt.Sprintf("the client was told nothing: %v", err)
	case err != nil:
		if tr.outcomes&truncated == 0 {
			return fmt.Sprintf("truncated: %s, %v", what, err)
		}
	case res.Status >= 500 || slices.Contains(tr.statuses, res.Status):
		if tr.outcomes&refused == 0 || !slices.Contains(tr.statuses, res.Status) {
			return fmt.Sprintf("refused with %s; allowed are %v", what, tr.statuses)
		}
	default:
		if tr.outcomes&complete == 0 {
			return "delivered as if it were whole: " + what
		}
	}
	return ""
}

// judgeLogs looks up what the access log says of each trial.
func (g *group) judgeLogs(t *testing.T, p *harness.Proxy, verdicts []harness.Verdict) {
	t.Helper()
	var paths []string
	for _, tr := range g.trials {
		if tr.flags != nil {
			paths = append(paths, tr.path)
		}
	}
	lines, err := p.WaitLogs(paths)
	if err != nil {
		t.Fatal(err)
	}
	for i, tr := range g.trials {
		switch l := lines[tr.path]; {
		case tr.flags == nil:
		case verdicts[i].Fault == "":
			verdicts[i].Fault = tr.judgeLog(l)
		case l != nil:
			verdicts[i].Fault += "; " + said(l)
		}
	}
}

func (tr *trial) judgeLog(l harness.LogLine) string {
	if l == nil {
		return "the access log has no line of it"
	}
	side := tr.side
	if side == "" {
		side = "upstream"
	}
	flag := l.Flag()
	said := said(l)
	switch {
	case !slices.Contains(tr.flags, flag):
		return fmt.Sprintf("%s; want a flag of %q", said, tr.flags)
	case flag == "":
		return ""
	case l.Text("side") != side:
		return said + "; want side " + side
	case len(tr.phases) > 0 && !slices.Contains(tr.phases, l.Text("phase")):
		return fmt.Sprintf("%s; want a phase of %q", said, tr.phases)
	case strings.Trim(l.Text("cause"), "- ") == "":
		return said + "; want a cause"
	}
	return ""
}

func said(l harness.LogLine) string {
	return fmt.Sprintf("the access log says status=%s flag=%q side=%q phase=%q cause=%q", l.Text("status"), l.Flag(), l.Text("side"), l.Text("phase"), l.Text("cause"))
}

func TestFaults(t *testing.T) {
	for _, kind := range harness.Kinds() {
		t.Run(kind, func(t *testing.T) {
			var verdicts []harness.Verdict
			for _, g := range []*group{cuts(), garbage(), hangs(), early(), pooled(), clients()} {
				verdicts = append(verdicts, g.run(t, kind)...)
			}
			verdicts = append(verdicts, unreachable(t, kind)...)
			harness.Report(t, "fault", kind, verdicts)
		})
	}
}
