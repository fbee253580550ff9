//go:build !race

package supervisor

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"

	"longmen/gateway/cluster"
	"longmen/gateway/protocol/cdnloop"
	"longmen/gateway/standby"
)

// A request that standby and failover send on, with a look at where it has been and the
// gateway's own token, allocates nothing.
func TestRequestsSentOnAllocateNothing(t *testing.T) {
	h := newHouse(t, Options{Workers: 1, LoopGuard: cdnloop.Guard{ID: "here"}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan bool)
	go func() { // answers without allocating
		defer close(served)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buf, got := make([]byte, 16<<10), 0
		reply := []byte("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
		token := []byte("cdn-loop: cdn.example;x=\"1\", here;sent=failover\r\n")
		for {
			n, err := c.Read(buf[got:])
			if err != nil {
				return
			}
			if got += n; bytes.HasSuffix(buf[:got], []byte("\r\n\r\n")) {
				if !bytes.Contains(buf[:got], token) {
					return
				}
				got = 0
				if _, err := c.Write(reply); err != nil {
					return
				}
			}
		}
	}()
	t.Cleanup(func() { <-served })
	t.Cleanup(func() { ln.Close() })
	first := clusterOf("c")
	first.Standby = &standby.Config{State: standby.Standby, Local: 0, Forward: 100, To: "active"}
	second := clusterOf("active")
	second.Failover = []string{"far", "farther"}
	far, farther := clusterOf("far"), clusterOf("farther", ln.Addr())
	far.Peer, farther.Peer = "dc2", "dc3"
	h.applied(having(snap("1", forwards(t, "a", "c")), cluster.New(first), cluster.New(second), cluster.New(far), cluster.New(farther)))

	c := dial(t, h.address("a"))
	request := []byte("GET / HTTP/1.1\r\nHost: test\r\nCDN-Loop: cdn.example;x=\"1\"\r\n\r\n")
	c.Write(request)
	answered, err := c.Read(make([]byte, 4096))
	if err != nil {
		t.Fatal(err)
	}
	response := make([]byte, answered)
	ask := func() {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c.Conn, response); err != nil || !bytes.HasSuffix(response, []byte("hello")) {
			t.Fatalf("%q %v", response, err)
		}
	}
	for range 2000 {
		ask()
	}
	const n = 10_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range n {
		ask()
	}
	runtime.ReadMemStats(&after)
	if each := float64(after.Mallocs-before.Mallocs) / n; each >= 0.05 {
		t.Errorf("%.3f allocations a request", each)
	}
	h.stopped() // which ends the origin's connection
}
