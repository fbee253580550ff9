package harness

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"longmen/bench/proc"
)

// idleReps bounds the repetitions of the idle case: memory hardly varies.
const idleReps = 3

// settle is how long a proxy is left alone before its memory is read.
const settle = time.Second

// Idle is one repetition of the idle case.
type Idle struct {
	Levels   []int         `json:"levels"`    // connections held
	Memory   []proc.Memory `json:"memory"`    // at each level
	SlopeRSS float64       `json:"slope_rss"` // bytes for each further connection
	SlopePSS float64       `json:"slope_pss"`
}

func (b *Bench) measureIdle(ctx context.Context, c Case, targets string, r *CaseResult) error {
	levels := b.levels(c)
	if len(levels) < 2 {
		return errors.New("a slope wants two levels at least")
	}
	skip := map[string]bool{}
	for rep := range min(b.Reps, idleReps) {
		for _, p := range b.selected(c) {
			if skip[p.Name] {
				continue
			}
			if c.Streams > 0 { // the origin's side of the one before is gone
				if err := b.awaitHeld(ctx, c, 0); err != nil {
					return err
				}
			}
			t, err := b.start(ctx, p, c)
			if errors.Is(err, exec.ErrNotFound) {
				b.note("%s is left out: %v", p.Name, err)
				skip[p.Name] = true
				continue
			}
			if err != nil {
				return err
			}
			idle, err := b.holdIdle(ctx, t, c, targets, levels)
			t.process.stop()
			if err == nil {
				err = t.logged(c)
			}
			said := t.process.said()
			t.stop()
			if err != nil {
				return fmt.Errorf("%s: %w\n%s", p.Name, err, said)
			}
			result := r.of(p.Name)
			result.Idle = append(result.Idle, idle)
			result.Memory = idle.Memory[len(idle.Memory)-1]
			fmt.Fprintf(b.Log, "  %d/%d %-8s %8.0f bytes a connection\n", rep+1, min(b.Reps, idleReps), p.Name, idle.SlopePSS)
		}
	}
	if len(r.Proxies) == 0 {
		return errors.New("no proxy to measure")
	}
	return nil
}

// levels are the numbers of connections that a case holds: as many as a process
// may open files, where an origin of HTTP/1.1 has one for each held request.
func (b *Bench) levels(c Case) (levels []int) {
	wanted, each := b.IdleLevels, 1
	if c.Levels != nil {
		wanted = c.Levels
		if !c.Upstream2 {
			each += c.Streams
		}
	}
	for _, n := range wanted {
		if n*each+200 > b.files {
			b.note("%s: no level of %d connections, a process may open %d files", c.Name, n, b.files)
			continue
		}
		levels = append(levels, n)
	}
	return levels
}

// holdIdle reads a proxy's memory with more and more connections held.
func (b *Bench) holdIdle(ctx context.Context, t *turn, c Case, targets string, levels []int) (idle Idle, err error) {
	idle.Levels = levels
	var releases []func() error
	defer func() {
		for _, release := range releases {
			err = errors.Join(err, release())
		}
	}()
	held := 0
	for _, level := range levels {
		release, err := b.hold(ctx, t, c, targets, level-held)
		if err != nil {
			return idle, err
		}
		releases = append(releases, release)
		held = level
		if c.Streams > 0 {
			if err := b.awaitHeld(ctx, c, held*c.Streams); err != nil {
				return idle, err
			}
		}
		m, err := t.settled(ctx)
		if err != nil {
			return idle, err
		}
		idle.Memory = append(idle.Memory, m)
	}
	idle.SlopeRSS = slope(levels, idle.Memory, func(m proc.Memory) int64 { return m.RSS })
	idle.SlopePSS = slope(levels, idle.Memory, func(m proc.Memory) int64 { return m.PSS })
	return idle, nil
}

// hold opens n connections in a process of their own. release closes them and
// fails if the proxy has closed any before.
func (b *Bench) hold(ctx context.Context, t *turn, c Case, targets string, n int) (release func() error, err error) {
	cmd := exec.Command(b.tools.Load, append(b.loadArgs(t, c, targets, 0, time.Second), "-idle", strconv.Itoa(n))...)
	if c.HTTP2 {
		cmd = exec.Command(b.tools.Hold, "-addr", fmt.Sprintf("127.0.0.1:%d", t.site.Port), "-host", c.Hosts()[0].Name,
			"-path", c.Path, "-c", strconv.Itoa(n), "-m", strconv.Itoa(c.Streams))
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	guard(cmd)
	if err := pinned(b.place(c).Client, cmd.Start); err != nil {
		return nil, err
	}
	lines := make(chan string, 2)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
	}()
	kill := func(why error) error {
		cmd.Process.Kill()
		for range lines {
		}
		cmd.Wait()
		return fmt.Errorf("%w %s", why, errs.String())
	}
	expect := func(want string) error {
		select {
		case line := <-lines:
			if line != want {
				return kill(fmt.Errorf("load -idle %d said %q, not %q", n, line, want))
			}
			return nil
		case <-time.After(2 * time.Minute):
			return kill(fmt.Errorf("load -idle %d said nothing for two minutes", n))
		case <-ctx.Done():
			return kill(context.Cause(ctx))
		}
	}
	if err := expect(fmt.Sprintf("established %d", n)); err != nil {
		return nil, err
	}
	return func() error {
		if err := in.Close(); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			return kill(err)
		}
		if err := expect("lost 0"); err != nil {
			return err
		}
		for range lines {
		}
		return cmd.Wait()
	}, nil
}

// slope is by least squares over all levels.
func slope(levels []int, memory []proc.Memory, of func(proc.Memory) int64) float64 {
	var x, y, xx, xy float64
	n := float64(len(levels))
	for i, level := range levels {
		lx, ly := float64(level), float64(of(memory[i]))
		x, y, xx, xy = x+lx, y+ly, xx+lx*lx, xy+lx*ly
	}
	return (n*xy - x*y) / (n*xx - x*x)
}
