package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"longmen/bench/proc"
)

const counters = "instructions:u,instructions:k"

// countsInstructions says whether perf stat can count here: it wants the tool,
// the right, and a processor (or hypervisor) with counters.
func (b *Bench) countsInstructions(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	file := filepath.Join(b.dir, "perf.probe")
	_, err := output(ctx, exec.Command("perf", "stat", "-x", ",", "-e", counters, "-o", file, "--", "true"), nil)
	if err == nil {
		_, _, err = readCounters(file)
	}
	if err != nil {
		b.note("instructions are not counted: %v", err)
	}
	return err == nil
}

// instructions makes a run of its own, because counting is not free, and
// returns the instructions of the proxy's processes for each request.
func (b *Bench) instructions(ctx context.Context, t *turn, c Case, targets string) (user, kernel float64, err error) {
	d := b.Duration / 2
	ctx, cancel := context.WithTimeout(ctx, d+30*time.Second)
	defer cancel()
	pids, err := proc.Tree(t.process.pid())
	if err != nil {
		return 0, 0, err
	}
	list := make([]string, len(pids))
	for i, pid := range pids {
		list[i] = strconv.Itoa(pid)
	}
	file := filepath.Join(b.dir, "perf.counts")
	args := []string{"stat", "-x", ",", "-e", counters, "-o", file, "-p", strings.Join(list, ","), "--"}
	g := b.generator(t, c, targets, 0, d)
	*g.cmd = *exec.Command("perf", append(args, g.cmd.Args...)...)
	out, err := output(ctx, g.cmd, b.place(c).Client)
	if err != nil {
		return 0, 0, err
	}
	r, err := g.read(out)
	if err != nil {
		return 0, 0, err
	}
	if user, kernel, err = readCounters(file); err != nil {
		return 0, 0, err
	}
	n := float64(max(r.Requests+r.Errors, 1))
	return user / n, kernel / n, nil
}

func readCounters(file string) (user, kernel float64, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	return parseCounters(string(b))
}

// parseCounters reads perf stat's -x, lines: value, unit, event, and more.
func parseCounters(text string) (user, kernel float64, err error) {
	found := 0
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ",")
		if len(f) < 3 {
			continue
		}
		to := map[string]*float64{"instructions:u": &user, "instructions:k": &kernel}[f[2]]
		if to == nil {
			continue
		}
		if *to, err = strconv.ParseFloat(f[0], 64); err != nil {
			return 0, 0, fmt.Errorf("perf stat says %s for %s", f[0], f[2])
		}
		found++
	}
	if found != 2 {
		return 0, 0, fmt.Errorf("perf stat gave %d of 2 counts", found)
	}
	return user, kernel, nil
}
