//go:build !race

package supervisor

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"

	"longmen/gateway/cluster"
	"longmen/gateway/cluster/outlier"
)

// A request that is forwarded on kept connections, with its log line and its
// figures, and told to outlier detection, allocates nothing.
func TestRequestsAllocateNothing(t *testing.T) {
	h := newHouse(t, Options{Workers: 1})
	const answer = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
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
		reply := []byte(answer)
		for {
			n, err := c.Read(buf[got:])
			if err != nil {
				return
			}
			if got += n; bytes.HasSuffix(buf[:got], []byte("\r\n\r\n")) {
				got = 0
				if _, err := c.Write(reply); err != nil {
					return
				}
			}
		}
	}()
	t.Cleanup(func() { <-served })
	t.Cleanup(func() { ln.Close() })
	l := forwards(t, "a", "c")
	l.HTTP.Via, l.HTTP.Forwarded, l.HTTP.TrustedHops, l.HTTP.RequestIDInResponse = "edge", true, 1, true
	read := logsTo(t, l)
	config := clusterOf("c", ln.Addr())
	config.Balance = cluster.LeastRequest
	outliers := outlier.Defaults()
	config.Outlier = &outliers
	h.applied(having(snap("1", l), cluster.New(config)))

	c := dial(t, h.address("a"))
	request := []byte("GET /some/path?query=1 HTTP/1.1\r\nHost: test\r\nUser-Agent: test\r\nAccept: */*\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")
	c.Write(request)
	first, err := c.Read(make([]byte, 4096))
	if err != nil {
		t.Fatal(err)
	}
	response := make([]byte, first)
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
	each := float64(after.Mallocs-before.Mallocs) / n
	t.Logf("%.4f allocations a request, %d collections", each, after.NumGC-before.NumGC)
	if each >= 0.05 {
		t.Errorf("%.3f allocations a request", each)
	}
	if n := after.NumGC - before.NumGC; n > 2 {
		t.Errorf("%d collections", n)
	}
	h.stopped()
	if got := bytes.Count([]byte(read()), []byte("/some/path?query=1 200 -\n")); got != 1+2000+n {
		t.Errorf("%d lines are logged", got)
	}
}
