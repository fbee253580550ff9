package harness

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"longmen/bench/peers"
	"longmen/bench/proc"
)

// CaseResult has all samples of a case.
type CaseResult struct {
	Name     string        `json:"name"`
	About    string        `json:"about"`
	TLS      bool          `json:"tls,omitempty"`
	HTTP2    bool          `json:"http2,omitempty"`
	New      bool          `json:"new,omitempty"`
	HalfRate float64       `json:"half_rate,omitempty"` // requests a second
	LowRate  float64       `json:"low_rate,omitempty"`
	Proxies  []ProxyResult `json:"proxies"`
}

// ProxyResult has all samples of one proxy in a case.
type ProxyResult struct {
	Name   string      `json:"name"`
	Full   []Sample    `json:"full,omitempty"` // closed loop, as fast as it goes
	Half   []Sample    `json:"half,omitempty"` // at half of what the slowest does
	Low    []Sample    `json:"low,omitempty"`
	Memory proc.Memory `json:"memory"` // after the work
	Idle   []Idle      `json:"idle,omitempty"`
	Storm  []Storm     `json:"storm,omitempty"`
	Start  []Start     `json:"start,omitempty"`
}

// measure makes a case with all proxies. They run side by side and take turns,
// so that whatever disturbs the machine for a while disturbs them all.
func (b *Bench) measure(ctx context.Context, c Case) (r *CaseResult, err error) {
	r = &CaseResult{Name: c.Name, About: c.About, TLS: c.TLS != "", HTTP2: c.HTTP2, New: c.New}
	targets, err := b.writeTargets(c)
	if err != nil {
		return nil, err
	}
	if err := b.certify(c); err != nil {
		return nil, err
	}
	if err := b.writeContent(c); err != nil {
		return nil, err
	}
	switch {
	case c.Idle:
		return r, b.measureIdle(ctx, c, targets, r)
	case c.Start:
		return r, b.measureStart(ctx, c, targets, r)
	}
	var turns []*turn
	defer func() {
		for _, t := range turns {
			t.stop()
		}
	}()
	for _, p := range b.selected(c) {
		t, err := b.start(ctx, p, c)
		if errors.Is(err, exec.ErrNotFound) {
			b.note("%s is left out: %v", p.Name, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		turns = append(turns, t)
		r.Proxies = append(r.Proxies, ProxyResult{Name: p.Name})
	}
	if len(turns) == 0 {
		return nil, errors.New("no proxy to measure")
	}
	if c.Storm {
		err = b.storm(ctx, c, targets, turns, r)
	} else {
		err = b.full(ctx, c, targets, turns, r)
	}
	if err != nil {
		return nil, err
	}
	if c.Rates {
		if err := b.fixed(ctx, c, targets, turns, r); err != nil {
			return nil, err
		}
	}
	for i, t := range turns {
		pids, err := proc.Tree(t.process.pid())
		if err != nil {
			return nil, err
		}
		if r.Proxies[i].Memory, err = proc.ReadMemory(pids); err != nil {
			return nil, err
		}
	}
	for _, t := range turns {
		t.process.stop()
		if err := t.logged(c); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// full loads the proxies as fast as they go.
func (b *Bench) full(ctx context.Context, c Case, targets string, turns []*turn, r *CaseResult) error {
	for rep := range b.Reps {
		for i, t := range turns {
			if rep == 0 { // caches, pools and page tables fill first
				if _, err := b.sample(ctx, t, c, targets, 0, b.Duration/4); err != nil {
					return err
				}
			}
			s, err := b.sample(ctx, t, c, targets, 0, b.Duration)
			if err != nil {
				return err
			}
			if b.perf {
				if s.User, s.Kernel, err = b.instructions(ctx, t, c, targets); err != nil {
					return err
				}
			}
			r.Proxies[i].Full = append(r.Proxies[i].Full, s)
			fmt.Fprintf(b.Log, "  %d/%d %-8s %8.2f µs CPU  %8.0f requests/s\n", rep+1, b.Reps, t.peer.Name, s.CPU, s.RPS)
		}
	}
	return nil
}

// fixed asks all proxies for the same number of requests a second.
func (b *Bench) fixed(ctx context.Context, c Case, targets string, turns []*turn, r *CaseResult) error {
	slowest := 0.0
	for i, p := range r.Proxies {
		rps := median(p.Full, func(s Sample) float64 { return s.RPS })
		if i == 0 || rps < slowest {
			slowest = rps
		}
	}
	r.HalfRate = float64(int(slowest/200)) * 100 // in whole hundreds
	if r.HalfRate == 0 {
		r.HalfRate = slowest / 2
	}
	if b.LowRate <= slowest*3/4 {
		r.LowRate = b.LowRate
	} else {
		b.note("%s: no run at %.0f requests/s, which is above three quarters of the slowest proxy's %.0f", c.Name, b.LowRate, slowest)
	}
	for rep := range b.Reps {
		for i, t := range turns {
			p := &r.Proxies[i]
			for _, at := range []struct {
				rate float64
				to   *[]Sample
			}{{r.HalfRate, &p.Half}, {r.LowRate, &p.Low}} {
				if at.rate == 0 {
					continue
				}
				s, err := b.sample(ctx, t, c, targets, at.rate, b.Duration)
				if err != nil {
					return err
				}
				*at.to = append(*at.to, s)
				fmt.Fprintf(b.Log, "  %d/%d %-8s at %6.0f/s: p99 %8.0f µs\n", rep+1, b.Reps, t.peer.Name, at.rate, s.Latency.P99)
			}
		}
	}
	return nil
}

// Estimate is about how long the measurements take.
func (o Options) Estimate() time.Duration {
	total := time.Duration(0)
	for _, c := range o.Cases {
		runs := o.Reps
		if c.Rates {
			runs *= 3
		}
		d := time.Duration(runs)*(o.Duration+200*time.Millisecond) + o.Duration
		switch {
		case c.Idle:
			d = time.Duration(min(o.Reps, idleReps)) * 8 * time.Second
		case c.Start:
			d = time.Duration(min(o.Reps, startReps)) * (time.Duration(c.Certs)*time.Second/touchRate + 8*time.Second)
		case c.Storm:
			d = time.Duration(o.Reps) * (3*o.Duration + 2*time.Second)
		}
		proxies := 0
		for _, p := range peers.All("", "") {
			if slices.Contains(o.Proxies, p.Name) && p.Serves(c.HTTP2, c.Upstream2, c.TLS) {
				proxies++
			}
		}
		total += d * time.Duration(proxies)
	}
	return total
}
