// Package origintest has endpoints for tests: one that does what the test says,
// one that refuses connections, one where connecting never ends.
package origintest

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Origin is an endpoint on a port that the kernel chose.
type Origin struct {
	At       netip.AddrPort
	Accepted atomic.Int32 // connections so far

	mu    sync.Mutex
	conns []net.Conn
	ended bool
	all   sync.WaitGroup
}

// New serves every connection by serve, on a goroutine of its own, with the
// connection's number from 1; it is closed when serve returns. At the test's
// end all connections are closed, and every serve must then return.
func New(t testing.TB, serve func(c net.Conn, n int)) *Origin {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &Origin{At: ln.Addr().(*net.TCPAddr).AddrPort()}
	o.all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			n := int(o.Accepted.Add(1))
			o.mu.Lock()
			o.conns = append(o.conns, c)
			if o.ended {
				c.Close()
			}
			o.mu.Unlock()
			o.all.Go(func() {
				defer c.Close()
				serve(c, n)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		o.mu.Lock()
		o.ended = true
		o.mu.Unlock()
		o.CloseConnections()
		o.all.Wait()
	})
	return o
}

// Connection is the n-th connection of those accepted since the last
// CloseConnections, from 1.
func (o *Origin) Connection(n int) net.Conn {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.conns[n-1]
}

// CloseConnections ends the connections that are open.
func (o *Origin) CloseConnections() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.conns {
		c.Close()
	}
	o.conns = nil
}

// ClosedPort is an address that refuses connections.
func ClosedPort(t testing.TB) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// DeafPort is an address where connecting never ends: the backlog is full.
func DeafPort(t testing.TB) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(sa.(*unix.SockaddrInet4).Port))
	for range 2 { // a backlog of one holds two
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	return at
}
