// Command bench measures Longmen beside nginx, HAProxy, h2o, nghttpx and a
// minimal C forwarder, on the same work in alternation, and prints tables of medians and
// ratios. bench/README.md says how and what the figures mean.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"longmen/bench/harness"
)

func main() {
	// Children are pinned and guarded through the thread that starts them.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if ctx.Err() != nil {
		err = errors.New("interrupted; everything started has been ended")
	}
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	pattern := f.String("case", "", "name of a case, or a regular `expression` for several; all by default")
	proxies := f.String("proxies", "longmen,nginx,haproxy,h2o,nghttpx,floor", "what to measure, a `list`")
	reps := f.Int("reps", 5, "repetitions of every run")
	duration := f.Duration("duration", 3*time.Second, "of every run")
	quick := f.Bool("quick", false, "2 repetitions of 1 s each: a look, not a measurement")
	workers := f.Int("workers", 1, "workers (threads, processes) of every proxy")
	layout := f.String("layout", "", "which CPUs run what: `shared`, split or none (default split where client and origin can have a CPU each, else shared)")
	proxyCPUs := f.String("proxy-cpus", "", "pin the proxies to this `list` of CPUs instead")
	clientCPUs := f.String("client-cpus", "", "pin the load generator to this `list` of CPUs instead")
	originCPUs := f.String("origin-cpus", "", "pin the origin to this `list` of CPUs instead")
	lowRate := f.Float64("low-rate", 15000, "the low fixed rate, in requests a `second`")
	idle := f.String("idle-levels", "4000,10000,18000", "connections of the idle case, an ascending `list`")
	jsonFile := f.String("json", "", "write every sample to this `file`, too")
	timeout := f.Duration("timeout", 2*time.Hour, "give up after this")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("what is %q?", f.Arg(0))
	}
	o := harness.Options{Reps: *reps, Duration: *duration, Workers: *workers, LowRate: *lowRate, Log: os.Stderr}
	if *quick {
		o.Reps, o.Duration = 2, time.Second
	}
	if o.Reps < 1 || o.Duration < 100*time.Millisecond || o.Workers < 1 || o.LowRate <= 0 {
		return errors.New("-reps, -workers and -low-rate must be positive, and -duration 100ms or more")
	}
	var err error
	if o.Cases, err = harness.Select(*pattern); err != nil {
		return fmt.Errorf("-case: %w", err)
	}
	for name := range strings.SplitSeq(*proxies, ",") {
		if !slices.Contains([]string{"longmen", "nginx", "haproxy", "h2o", "nghttpx", "floor"}, name) {
			return fmt.Errorf("-proxies: unknown proxy %q", name)
		}
		o.Proxies = append(o.Proxies, name)
	}
	if o.Layout, err = harness.NewLayout(*layout, o.Workers); err != nil {
		return err
	}
	for _, l := range []struct {
		name, text string
		to         *[]int
	}{
		{"-proxy-cpus", *proxyCPUs, &o.Layout.Proxy}, {"-client-cpus", *clientCPUs, &o.Layout.Client},
		{"-origin-cpus", *originCPUs, &o.Layout.Origin}, {"-idle-levels", *idle, &o.IdleLevels},
	} {
		if l.text == "" {
			continue
		}
		if *l.to, err = numbers(l.text); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	// Unless told where to run what, handshakes have the proxy's CPU to
	// themselves: client and proxy both compute, and neither is to be charged
	// for the other's caches.
	o.Apart = o.Layout
	if *layout+*proxyCPUs+*clientCPUs+*originCPUs == "" {
		if l, err := harness.NewLayout("split", o.Workers); err == nil {
			o.Apart = l
		}
	}
	if !slices.IsSorted(o.IdleLevels) || o.IdleLevels[0] < 1 {
		return errors.New("-idle-levels must be positive and ascending")
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	root, err := harness.Root(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d cases, about %v\n", len(o.Cases), o.Estimate().Round(time.Second))
	report, err := harness.Run(ctx, o, root)
	if err != nil {
		return err
	}
	report.Print(os.Stdout)
	if *jsonFile != "" {
		if err := report.JSON(*jsonFile); err != nil {
			return err
		}
	}
	if n := report.Errors(); n > 0 {
		return fmt.Errorf("%d requests failed: the figures of those runs do not count", n)
	}
	return nil
}

func numbers(text string) ([]int, error) {
	var list []int
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is not a number", part)
		}
		list = append(list, n)
	}
	return list, nil
}
