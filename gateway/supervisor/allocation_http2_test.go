//go:build !race

package supervisor

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"testing"

	"golang.org/x/net/http2"

	"longmen/gateway/cluster"
)

// answerHTTP2 answers every request on a connection of HTTP/2 with the same
// response, without allocating.
func answerHTTP2(c net.Conn, body string) {
	buf, got := make([]byte, 64<<10), 0
	out := append(make([]byte, 0, 64<<10), 0, 0, 0, byte(http2.FrameSettings), 0, 0, 0, 0, 0)
	more := func(least int) bool {
		for got < least {
			n, err := c.Read(buf[got:])
			if err != nil {
				return false
			}
			got += n
		}
		return true
	}
	drop := func(n int) { got = copy(buf, buf[n:got]) }
	if !more(len(http2.ClientPreface)) {
		return
	}
	drop(len(http2.ClientPreface))
	for {
		if len(out) > 0 && (got < 9 || len(out) > 32<<10) {
			if _, err := c.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
		if !more(9) {
			return
		}
		length := 9 + int(buf[0])<<16 + int(buf[1])<<8 + int(buf[2])
		if !more(length) {
			return
		}
		switch kind, flags := http2.FrameType(buf[3]), http2.Flags(buf[4]); {
		case kind == http2.FrameSettings && !flags.Has(http2.FlagSettingsAck):
			out = append(out, 0, 0, 0, byte(http2.FrameSettings), byte(http2.FlagSettingsAck), 0, 0, 0, 0)
		case kind == http2.FrameHeaders:
			id := binary.BigEndian.Uint32(buf[5:])
			out = append(out, 0, 0, 1, byte(http2.FrameHeaders), byte(http2.FlagHeadersEndHeaders))
			out = append(binary.BigEndian.AppendUint32(out, id), 0x88) // :status 200
			out = append(out, 0, 0, byte(len(body)), byte(http2.FrameData), byte(http2.FlagDataEndStream))
			out = append(binary.BigEndian.AppendUint32(out, id), body...)
		}
		drop(length)
	}
}

// A request that is forwarded as a stream of a shared connection allocates
// nothing.
func TestStreamsAllocateNothing(t *testing.T) {
	h := newHouse(t, Options{Workers: 1})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan bool)
	go func() {
		defer close(served)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		answerHTTP2(c, "hello")
	}()
	t.Cleanup(func() { <-served })
	t.Cleanup(func() { ln.Close() })
	config := clusterOf("c", ln.Addr())
	config.Balance, config.Protocol = cluster.LeastRequest, cluster.HTTP2Only
	h.applied(having(snap("1", forwards(t, "a", "c")), cluster.New(config)))

	c := dial(t, h.address("a"))
	request := []byte("POST /some/path?query=1 HTTP/1.1\r\nHost: test\r\nUser-Agent: test\r\nContent-Length: 4\r\n\r\nbody")
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
		if _, err := io.ReadFull(c.Conn, response); err != nil || !bytes.Contains(response, []byte("hello")) {
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
	t.Logf("%.4f allocations a request", each)
	if each >= 0.05 {
		t.Errorf("%.3f allocations a request", each)
	}
	h.stopped()
}
