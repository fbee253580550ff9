package origin

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func start(t *testing.T) string {
	t.Helper()
	s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), 2)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnswers(t *testing.T) {
	addr := start(t)
	big := make([]byte, 3<<20)
	for _, c := range []struct {
		method, path string
		body         io.Reader
		status, size int
	}{
		{"GET", "/1k", nil, 200, 1024},
		{"GET", "/any/prefix/1k?x=1", nil, 200, 1024},
		{"GET", "/64k", nil, 200, 65536},
		{"GET", "/b/0", nil, 200, 0},
		{"GET", "/b/5000000", nil, 200, 5000000},
		{"HEAD", "/64k", nil, 200, 0},
		{"GET", "/b/67108865", nil, 404, 0},
		{"GET", "/b/-1", nil, 404, 0},
		{"GET", "/", nil, 404, 0},
		{"POST", "/x", bytes.NewReader(big), 200, 1024},                        // content-length
		{"POST", "/x", io.LimitReader(bytes.NewReader(big), 1<<20), 200, 1024}, // chunked
	} {
		req, err := http.NewRequest(c.method, "http://"+addr+c.path, c.body)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", c.method, c.path, err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != c.status || len(b) != c.size {
			t.Errorf("%s %s: %d, %d bytes, %v; want %d, %d bytes", c.method, c.path, res.StatusCode, len(b), err, c.status, c.size)
		}
		if _, err := http.ParseTime(res.Header.Get("Date")); err != nil {
			t.Errorf("%s %s: Date: %v", c.method, c.path, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestPipeliningBehindABlockedAnswer(t *testing.T) {
	c := dial(t, start(t))
	const pairs = 40
	wire := strings.Repeat("GET /b/1000000 HTTP/1.1\r\nHost: o\r\n\r\nPOST /p HTTP/1.1\r\nHost: o\r\nContent-Length: 3\r\n\r\nabc", pairs)
	if _, err := io.WriteString(c, wire+"GET /64k HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	read := func(want int64) {
		t.Helper()
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, res.Body)
		if err != nil || n != want {
			t.Fatalf("%d bytes, %v; want %d", n, err, want)
		}
	}
	for range pairs {
		read(1000000)
		read(1024)
	}
	read(65536)
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("after Connection: close: %v, want EOF", err)
	}
}

func TestExpectAndGarbage(t *testing.T) {
	addr := start(t)
	c := dial(t, addr)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: o\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	fmt.Fprint(c, "ok")
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if line, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
		t.Fatalf("%q, %v", line, err)
	}

	c = dial(t, addr)
	fmt.Fprint(c, "garbage\r\n\r\n")
	if b, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(b, []byte("HTTP/1.1 400 ")) {
		t.Errorf("%q, %v", b, err)
	}
}
