// Package load generates HTTP/1.1 load from one thread on epoll, closed loop
// (each connection sends its next request when its last answer has come) or
// open loop (requests are due at a fixed rate, and latency counts from when a
// request was due, not from when the generator got round to sending it).
package load

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"longmen/bench/tlsclient"
)

// Target is one thing to ask for.
type Target struct {
	Host string // the Host header
	Path string
}

// Config says what load to make.
type Config struct {
	Addr     netip.AddrPort
	Targets  []Target // asked for in turn; at least one
	Method   string
	Body     int64         // request content, in bytes, sent with a Content-Length
	Conns    int           // connections
	New      bool          // a new connection for each request, closed by the server
	Rate     float64       // requests a second over all connections; 0 is closed loop
	Duration time.Duration // how long requests are begun
	Timeout  time.Duration // of one request, and of what is under way at the end
	Status   int           // what every answer must have; 0 is any below 400
	Length   int64         // content length every answer must have; negative is any

	TLS    tlsclient.Protocol // empty is none; the server name is the target's host, on kept connections the first one's
	Resume bool               // with TLS: handshakes by ticket; one that is not is an error
}

func (c *Config) check() error {
	switch {
	case !c.Addr.IsValid() || c.Addr.Port() == 0:
		return errors.New("no address to connect to")
	case len(c.Targets) == 0:
		return errors.New("no target")
	case c.Method == "" || strings.ContainsAny(c.Method, " \r\n"):
		return fmt.Errorf("bad method %q", c.Method)
	case c.Conns < 1:
		return fmt.Errorf("%d connections: at least one is needed", c.Conns)
	case c.Body < 0:
		return fmt.Errorf("body of %d bytes", c.Body)
	case c.Rate < 0:
		return fmt.Errorf("rate of %v a second", c.Rate)
	case c.Timeout <= 0:
		return fmt.Errorf("timeout of %v: must be positive", c.Timeout)
	case c.TLS != "" && c.Body > inlineBody:
		return fmt.Errorf("body of %d bytes: over TLS at most %d", c.Body, inlineBody)
	case c.TLS == "" && c.Resume:
		return errors.New("resumption without TLS")
	}
	for _, t := range c.Targets {
		if t.Host == "" || !strings.HasPrefix(t.Path, "/") || strings.ContainsAny(t.Host+t.Path, " \r\n") {
			return fmt.Errorf("bad target %q %q", t.Host, t.Path)
		}
	}
	return nil
}

// inlineBody is how much content goes into the same buffer as the head.
const inlineBody = 4 << 10

// requests are the heads of all targets, in one block of memory in the order
// they are sent, each with the content if that is short.
func (c *Config) requests() [][]byte {
	var all []byte
	ends := make([]int, len(c.Targets))
	for i, t := range c.Targets {
		all = fmt.Appendf(all, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: longmen-bench\r\nAccept: */*\r\n", c.Method, t.Path, t.Host)
		if c.Body > 0 || c.Method == "POST" || c.Method == "PUT" {
			all = fmt.Appendf(all, "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n", c.Body)
		}
		if c.New {
			all = append(all, "Connection: close\r\n"...)
		}
		all = append(all, "\r\n"...)
		if c.Body <= inlineBody {
			all = append(all, bytes.Repeat([]byte("x"), int(c.Body))...)
		}
		ends[i] = len(all)
	}
	heads := make([][]byte, len(ends))
	from := 0
	for i, end := range ends {
		heads[i] = all[from:end:end]
		from = end
	}
	return heads
}

// sources are the client addresses that connections come from in turn. On
// loopback one address has only some 28,000 ports for one server, and a closed
// connection may hold its port for a minute; 64 addresses are never short.
func (c *Config) sources() []netip.Addr {
	if !c.Addr.Addr().Is4() || !c.Addr.Addr().IsLoopback() {
		return []netip.Addr{{}}
	}
	list := make([]netip.Addr, 64)
	for i := range list {
		list[i] = netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)})
	}
	return list
}
