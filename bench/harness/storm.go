package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"longmen/bench/load"
)

const (
	// stormBusy is how much of its CPUs a proxy is to be busy in the storm.
	stormBusy = 0.9
	// stormSlack is by how much it may be more: then the rate is lowered to
	// stormLess of itself, and so on, in stormTries tries at most.
	stormSlack = 0.03
	stormLess  = 0.93
	stormTries = 6
	// streamRate is that of the requests on the established connections, a
	// second over all of them.
	streamRate = 1000
	// stormNice is the niceness of the client that makes the storm: it shares
	// its CPU with the client whose latency is measured.
	stormNice = 10
)

// Storm is one repetition of the storm case.
type Storm struct {
	Calm       load.Result `json:"calm"`       // the established connections alone
	Stormy     load.Result `json:"stormy"`     // and while others make handshakes
	Handshakes load.Result `json:"handshakes"` // those
	CalmBusy   float64     `json:"calm_busy"`  // CPU time of the proxy over wall time, of each of its workers' CPUs
	Busy       float64     `json:"busy"`
}

// storm measures requests at a low fixed rate on established connections, alone
// and with full handshakes at the rate that makes the proxy busy for nine
// tenths. That rate is each proxy's own; it follows from what a handshake took
// it in a closed loop just before.
func (b *Bench) storm(ctx context.Context, c Case, targets string, turns []*turn, r *CaseResult) error {
	handshakes := c
	handshakes.New, handshakes.Storm = true, false
	for rep := range b.Reps {
		for i, t := range turns {
			whole, err := b.sample(ctx, t, handshakes, targets, 0, b.Duration)
			if err != nil {
				return err
			}
			var s Storm
			calm, err := b.sample(ctx, t, c, targets, streamRate, b.Duration)
			if err != nil {
				return err
			}
			s.Calm, s.CalmBusy = calm.Result, calm.Busy/float64(b.Workers)
			// A request in a storm wakes nobody and takes about half of what it
			// takes in the calm. Where others use the proxy's CPU, too, its CPU
			// time promises more than it can do, and what it did is the bound.
			rate := min((stormBusy-s.CalmBusy/2)*float64(b.Workers)*1e6/whole.CPU, stormBusy*whole.RPS)
			// A proxy may do otherwise beside established streams: make signatures
			// where they cost more, and hold nobody up.
			for range stormTries {
				if err := b.stormy(ctx, t, c, targets, rate, &s); err != nil {
					return err
				}
				if s.Busy <= stormBusy+stormSlack {
					break
				}
				rate *= stormLess
			}
			r.Proxies[i].Storm = append(r.Proxies[i].Storm, s)
			fmt.Fprintf(b.Log, "  %d/%d %-8s p99 %8.0f µs, with %5.0f handshakes a second %8.0f µs\n", rep+1, b.Reps, t.peer.Name,
				s.Calm.Latency.P99, s.Handshakes.RPS, s.Stormy.Latency.P99)
		}
	}
	return nil
}

// stormy runs both clients side by side; the storm begins before the
// measurement and ends after it.
func (b *Bench) stormy(ctx context.Context, t *turn, c Case, targets string, rate float64, s *Storm) error {
	const margin = 500 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, b.Duration+30*time.Second)
	defer cancel()
	handshakes := c
	handshakes.New, handshakes.Conns = true, 512
	args := append(b.loadArgs(t, handshakes, targets, rate, b.Duration+2*margin), "-nice", strconv.Itoa(stormNice))
	storm, err := begin(exec.Command(b.tools.Load, args...), b.place(c).Client)
	if err != nil {
		return err
	}
	defer storm.kill()
	select {
	case <-time.After(margin):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	before, err := t.process.used()
	if err != nil {
		return err
	}
	started := time.Now()
	streams, err := b.sample(ctx, t, c, targets, streamRate, b.Duration)
	if err != nil {
		return err
	}
	after, err := t.process.used()
	if err != nil {
		return err
	}
	s.Stormy = streams.Result
	s.Busy = float64(after-before) / float64(time.Since(started)) / float64(b.Workers)
	out, err := storm.wait(ctx)
	if err != nil {
		return fmt.Errorf("the storm on %s: %w", t.peer.Name, err)
	}
	if err := json.Unmarshal(out, &s.Handshakes); err != nil {
		return err
	}
	if n := s.Handshakes.Errors; n > 0 {
		b.note("%s: %s: %d handshakes failed %v %s", c.Name, t.peer.Name, n, s.Handshakes.ErrorKinds, s.Handshakes.FirstError)
	}
	return nil
}
