// Package harness runs the proxies side by side on the same work, in
// alternation, and reads what each request costs them.
package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"longmen/bench/load"
	"longmen/bench/peers"
	"longmen/bench/proc"
)

// Options say how to measure.
type Options struct {
	Cases      []Case
	Proxies    []string // names, in the order in which they take turns
	Reps       int
	Duration   time.Duration // of each run
	Workers    int           // of each proxy
	Layout     Layout
	Apart      Layout  // for the cases in which the proxy has its CPUs to itself
	LowRate    float64 // requests a second
	IdleLevels []int   // connections, ascending
	Log        io.Writer
}

// Bench has all that measuring needs.
type Bench struct {
	Options
	tools  Tools
	dir    string
	shared place
	apart  place
	files  int
	certified
	perf  bool // instructions can be counted
	Notes []string
}

// A place is a layout with an origin in it.
type place struct {
	Layout
	origin netip.AddrPort
}

func (b *Bench) place(c Case) *place {
	if c.Apart {
		return &b.apart
	}
	return &b.shared
}

// Run measures all cases. The calling goroutine must be locked to its thread.
// It leaves no process and no file behind.
func Run(ctx context.Context, o Options, root string) (report *Report, err error) {
	dir, err := os.MkdirTemp("", "longmen-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b := &Bench{Options: o, dir: dir}
	if b.files, err = raiseFiles(); err != nil {
		return nil, err
	}
	if b.tools, err = build(ctx, root, dir, o.Proxies); err != nil {
		return nil, err
	}
	b.perf = b.countsInstructions(ctx)
	for _, p := range []struct {
		to     *place
		layout Layout
		wanted func(Case) bool
	}{
		{&b.shared, o.Layout, func(c Case) bool { return !c.Apart }},
		{&b.apart, o.Apart, func(c Case) bool { return c.Apart }},
	} {
		if !slices.ContainsFunc(o.Cases, p.wanted) {
			continue
		}
		stop, err := b.startOrigin(ctx, p.layout, p.to)
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	report = &Report{Options: o, Machine: machine()}
	for _, p := range peers.All(b.tools.Longmen, b.tools.Floor) {
		if !slices.Contains(o.Proxies, p.Name) {
			continue
		}
		if v, err := p.Version(ctx); err == nil && v != "" {
			report.Versions = append(report.Versions, v)
		}
	}
	for _, c := range o.Cases {
		fmt.Fprintf(o.Log, "%s: %s\n", c.Name, c.About)
		if c.HTTP2 && !c.Idle {
			if _, err := exec.LookPath("h2load"); err != nil {
				b.note("%s is left out: %v", c.Name, err)
				report.Notes = b.Notes
				continue
			}
		}
		r, err := b.measure(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		report.Cases = append(report.Cases, *r)
		report.Notes = b.Notes
	}
	return report, nil
}

// note remembers what a reader of the figures must know.
func (b *Bench) note(format string, args ...any) {
	n := fmt.Sprintf(format, args...)
	if !slices.Contains(b.Notes, n) {
		b.Notes = append(b.Notes, n)
		fmt.Fprintln(b.Log, "  note:", n)
	}
}

func (b *Bench) startOrigin(ctx context.Context, layout Layout, to *place) (stop func(), err error) {
	to.Layout = layout
	workers := max(1, len(layout.Origin))
	cmd := exec.Command(b.tools.Origin, "-workers", strconv.Itoa(workers))
	out, err := os.CreateTemp(b.dir, "origin-")
	if err != nil {
		return nil, err
	}
	out.Close()
	p, err := start("origin", cmd, layout.Origin, out.Name())
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		if addr, ok := strings.CutPrefix(p.said(), "listening "); ok {
			to.origin, err = netip.ParseAddrPort(addr)
			if err != nil {
				p.stop()
			}
			return p.stop, err
		}
		if p.ended() || time.Now().After(deadline) || ctx.Err() != nil {
			p.stop()
			return nil, fmt.Errorf("origin does not start: %s", p.said())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Sample is what one run came to.
type Sample struct {
	load.Result
	CPU    float64 `json:"cpu_us"`            // of the proxy's processes, in µs a request
	Busy   float64 `json:"busy"`              // CPU time over wall time; 1 is one whole CPU
	User   float64 `json:"instructions_user"` // a request; 0 when not counted
	Kernel float64 `json:"instructions_kernel"`
}

// A generator is the load of one run: a command, and what its output means.
type generator struct {
	cmd  *exec.Cmd
	read func(out []byte) (load.Result, error) // once the command has ended
}

func (b *Bench) generator(t *turn, c Case, targets string, rate float64, d time.Duration) *generator {
	if c.HTTP2 {
		return b.h2load(t, c, rate, d)
	}
	return &generator{
		cmd: exec.Command(b.tools.Load, b.loadArgs(t, c, targets, rate, d)...),
		read: func(out []byte) (r load.Result, err error) {
			err = json.Unmarshal(out, &r)
			return r, err
		},
	}
}

// loadArgs are our own load generator's for one run of a case.
func (b *Bench) loadArgs(t *turn, c Case, targets string, rate float64, d time.Duration) []string {
	args := []string{
		"-addr", fmt.Sprintf("127.0.0.1:%d", t.site.Port), "-targets", targets, "-method", c.Method,
		"-body", strconv.FormatInt(c.Body, 10), "-length", strconv.FormatInt(c.Length, 10),
		"-c", strconv.Itoa(c.Conns), "-duration", d.String(), "-rate", strconv.FormatFloat(rate, 'f', -1, 64),
	}
	if c.New {
		args = append(args, "-new")
	}
	if c.TLS != "" {
		args = append(args, "-tls", string(c.TLS))
	}
	if c.Resume {
		args = append(args, "-resume")
	}
	return args
}

// sample makes one run against one proxy.
func (b *Bench) sample(ctx context.Context, t *turn, c Case, targets string, rate float64, d time.Duration) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, d+30*time.Second)
	defer cancel()
	pids, err := proc.Tree(t.process.pid())
	if err != nil {
		return Sample{}, fmt.Errorf("%s has ended: %w\n%s", t.peer.Name, err, t.process.said())
	}
	before, err := proc.CPU(pids)
	if err != nil {
		return Sample{}, err
	}
	begin := time.Now()
	g := b.generator(t, c, targets, rate, d)
	out, err := output(ctx, g.cmd, b.place(c).Client)
	if err != nil {
		return Sample{}, fmt.Errorf("load on %s: %w\n%s", t.peer.Name, err, t.process.said())
	}
	wall := time.Since(begin)
	after, err := proc.CPU(pids)
	if err != nil {
		return Sample{}, fmt.Errorf("%s: %w\n%s", t.peer.Name, err, t.process.said())
	}
	var s Sample
	if s.Result, err = g.read(out); err != nil {
		return s, fmt.Errorf("load on %s: %w", t.peer.Name, err)
	}
	if s.Requests == 0 {
		return s, fmt.Errorf("%s: no request succeeded: %v %s", t.peer.Name, s.ErrorKinds, s.FirstError)
	}
	if s.Errors > 0 {
		b.note("%s: %s: %d errors %v %s", c.Name, t.peer.Name, s.Errors, s.ErrorKinds, s.FirstError)
	}
	s.CPU = float64(after-before) / 1e3 / float64(s.Requests+s.Errors)
	s.Busy = float64(after-before) / float64(wall)
	return s, nil
}

// writeTargets writes the load generator's list and returns its name.
func (b *Bench) writeTargets(c Case) (string, error) {
	var text []byte
	for _, t := range c.Targets() {
		text = fmt.Appendf(text, "%s %s\n", t.Host, t.Path)
	}
	name := filepath.Join(b.dir, c.Name+".targets")
	return name, os.WriteFile(name, text, 0o644)
}

// shuffled mixes the list, every time in the same way.
func shuffled[T any](list []T) {
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// selected are the peers to be measured in a case.
func (b *Bench) selected(c Case) []peers.Peer {
	var list []peers.Peer
	for _, name := range b.Proxies {
		for _, p := range peers.All(b.tools.Longmen, b.tools.Floor) {
			if p.Name == name && p.Name != c.Without && p.Serves(c.HTTP2, c.Upstream2, c.TLS) {
				list = append(list, p)
			}
		}
	}
	return list
}
