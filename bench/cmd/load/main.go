// Command load makes HTTP/1.1 load and prints what came of it as JSON, or with
// -idle holds idle connections until its standard input is closed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"longmen/bench/load"
	"longmen/bench/tlsclient"
)

type options struct {
	cfg     load.Config
	addr    string
	host    string
	paths   []string
	targets string
	idle    int
	nice    int
}

func main() {
	var o options
	flag.StringVar(&o.addr, "addr", "", "`address` to connect to, as 127.0.0.1:8080")
	flag.StringVar(&o.host, "host", "bench.example.com", "Host header of every -path")
	flag.Func("path", "path to ask for (default /1k); may be given several times, they take turns", func(p string) error {
		o.paths = append(o.paths, p)
		return nil
	})
	flag.StringVar(&o.targets, "targets", "", "`file` of lines \"HOST PATH\" instead of -host and -path")
	flag.StringVar(&o.cfg.Method, "method", "GET", "request method")
	flag.Int64Var(&o.cfg.Body, "body", 0, "request content in `bytes`")
	flag.IntVar(&o.cfg.Conns, "c", 64, "connections")
	flag.BoolVar(&o.cfg.New, "new", false, "a new connection for each request")
	flag.Float64Var(&o.cfg.Rate, "rate", 0, "requests a `second` that are due, whatever the answers do; 0 is as fast as answers come")
	flag.DurationVar(&o.cfg.Duration, "duration", 2*time.Second, "how long")
	flag.DurationVar(&o.cfg.Timeout, "timeout", 5*time.Second, "of one request")
	flag.IntVar(&o.cfg.Status, "status", 200, "expected status; 0 is any below 400")
	flag.Int64Var(&o.cfg.Length, "length", -1, "expected content length in `bytes`; -1 is any")
	flag.Func("tls", "speak `tls1.3`, tls1.2, tlcp or rfc8998", func(p string) error {
		o.cfg.TLS = tlsclient.Protocol(p)
		return nil
	})
	flag.BoolVar(&o.cfg.Resume, "resume", false, "with -tls: handshakes by ticket")
	flag.IntVar(&o.nice, "nice", 0, "run at this niceness")
	flag.IntVar(&o.idle, "idle", 0, "hold this many idle connections instead, until standard input is closed")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "load: what is %q?\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	addr, err := netip.ParseAddrPort(o.addr)
	if err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	o.cfg.Addr = addr
	if o.targets != "" {
		if o.cfg.Targets, err = readTargets(o.targets); err != nil {
			return err
		}
	}
	if len(o.cfg.Targets) == 0 {
		if len(o.paths) == 0 {
			o.paths = []string{"/1k"}
		}
		for _, p := range o.paths {
			o.cfg.Targets = append(o.cfg.Targets, load.Target{Host: o.host, Path: p})
		}
	}
	if o.nice != 0 {
		// The thread that makes the load; others have little to do.
		runtime.LockOSThread()
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, o.nice); err != nil {
			return fmt.Errorf("setpriority: %w", err)
		}
	}
	if o.idle > 0 {
		return hold(ctx, o)
	}
	result, err := load.Run(ctx, o.cfg)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// hold keeps idle connections until standard input ends.
func hold(ctx context.Context, o options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	o.cfg.Conns = o.idle
	lost, err := load.Idle(ctx, o.cfg, func() { fmt.Println("established", o.idle) })
	if errors.Is(err, context.Canceled) {
		return errors.New("told to stop before all connections were established")
	}
	if err != nil {
		return err
	}
	fmt.Println("lost", lost)
	return nil
}

func readTargets(name string) ([]load.Target, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []load.Target
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		host, path, ok := strings.Cut(lines.Text(), " ")
		if !ok {
			return nil, fmt.Errorf("%s:%d: want \"HOST PATH\", got %q", name, n, lines.Text())
		}
		list = append(list, load.Target{Host: host, Path: path})
	}
	return list, lines.Err()
}
