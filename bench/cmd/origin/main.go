// Command origin serves the origin of the measurements until it is told to
// stop (SIGINT or SIGTERM). Once it listens it prints "listening ADDRESS".
package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"longmen/bench/origin"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`address` to listen on; port 0 lets the kernel choose")
	workers := flag.Int("workers", 1, "event loops, each with its own listening socket")
	flag.Parse()
	if err := run(*listen, *workers); err != nil {
		fmt.Fprintln(os.Stderr, "origin:", err)
		os.Exit(1)
	}
}

func run(listen string, workers int) error {
	addr, err := netip.ParseAddrPort(listen)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server, err := origin.Listen(addr, workers)
	if err != nil {
		return err
	}
	fmt.Println("listening", server.Addr())
	return server.Serve(ctx)
}
