package harness

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"longmen/bench/proc"
)

const (
	// startReps bounds the repetitions of the start cases, which are long.
	startReps = 2
	// touchRate is at how many a second each certificate is asked for once:
	// first uses may cost milliseconds, and a proxy is not to fall behind.
	touchRate = 400
)

// Start is one repetition of a start case.
type Start struct {
	Seconds float64     `json:"seconds"` // from the process's start until it serves
	CPU     float64     `json:"cpu_s"`   // that it took until then
	Ready   proc.Memory `json:"ready"`   // soon after
	Touched proc.Memory `json:"touched"` // after a handshake with each certificate
	Touch   Sample      `json:"touch"`   // those handshakes
}

// measureStart starts each proxy afresh and asks once for each name.
func (b *Bench) measureStart(ctx context.Context, c Case, targets string, r *CaseResult) error {
	skip := map[string]bool{}
	for rep := range min(b.Reps, startReps) {
		for _, p := range b.selected(c) {
			if skip[p.Name] {
				continue
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
			s, err := b.touch(ctx, t, c, targets)
			t.process.stop()
			if err == nil {
				err = t.logged(c)
			}
			t.stop()
			if err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
			result := r.of(p.Name)
			result.Start = append(result.Start, s)
			result.Memory = s.Touched
			fmt.Fprintf(b.Log, "  %d/%d %-8s %6.2f s, %6.1f MB\n", rep+1, min(b.Reps, startReps), p.Name, s.Seconds, float64(s.Ready.PSS)/1e6)
		}
	}
	if len(r.Proxies) == 0 {
		return errors.New("no proxy to measure")
	}
	return nil
}

func (b *Bench) touch(ctx context.Context, t *turn, c Case, targets string) (s Start, err error) {
	s.Seconds, s.CPU = t.ready.after.Seconds(), t.ready.cpu.Seconds()
	if s.Ready, err = t.settled(ctx); err != nil {
		return s, err
	}
	s.Touch, err = b.sample(ctx, t, c, targets, touchRate, time.Duration(c.Certs)*time.Second/touchRate)
	if err != nil {
		return s, err
	}
	s.Touched, err = t.settled(ctx)
	return s, err
}

// settled is a proxy's memory once it has been left alone for a while.
func (t *turn) settled(ctx context.Context) (m proc.Memory, err error) {
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return m, context.Cause(ctx)
	}
	pids, err := proc.Tree(t.process.pid())
	if err != nil {
		return m, err
	}
	return proc.ReadMemory(pids)
}

// of is the result of the proxy of that name, made when there is none yet.
func (r *CaseResult) of(name string) *ProxyResult {
	for i := range r.Proxies {
		if r.Proxies[i].Name == name {
			return &r.Proxies[i]
		}
	}
	r.Proxies = append(r.Proxies, ProxyResult{Name: name})
	return &r.Proxies[len(r.Proxies)-1]
}
