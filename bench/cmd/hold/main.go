// Command hold opens connections of HTTP/2 with requests that are never
// answered, prints "established CONNECTIONS" when the server has them all, and
// holds them until its standard input is closed. Then it prints "lost N", the
// requests that the server ended meanwhile.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"

	"longmen/bench/hold"
)

func main() {
	var c hold.Config
	addr := flag.String("addr", "", "`address` to connect to, as 127.0.0.1:8080")
	flag.StringVar(&c.Host, "host", "bench.example.com", ":authority of the requests")
	flag.StringVar(&c.Path, "path", "/hold", "path of the requests")
	flag.IntVar(&c.Conns, "c", 100, "connections")
	flag.IntVar(&c.Streams, "m", 10, "requests on each")
	flag.Parse()
	if err := run(*addr, c); err != nil {
		fmt.Fprintln(os.Stderr, "hold:", err)
		os.Exit(1)
	}
}

func run(addr string, c hold.Config) (err error) {
	if c.Addr, err = netip.ParseAddrPort(addr); err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	lost, err := hold.Hold(ctx, c, func() { fmt.Println("established", c.Conns) })
	if err != nil {
		return err
	}
	fmt.Println("lost", lost)
	return nil
}
