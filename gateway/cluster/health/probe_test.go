package health

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// origin answers each connection with answer, once it got a request head (or
// want bytes), and returns what it got. With hold it keeps the connection open.
func origin(t *testing.T, answer string, want int, hold bool) (address string, got <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	received := make(chan string, 16)
	ended := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-ended })
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			var head strings.Builder
			if want > 0 {
				io.CopyN(&head, conn, int64(want))
			} else {
				for r := bufio.NewReader(conn); !strings.HasSuffix(head.String(), "\r\n\r\n"); {
					line, err := r.ReadString('\n')
					if head.WriteString(line); err != nil {
						break
					}
				}
			}
			received <- head.String()
			io.WriteString(conn, answer)
			if hold {
				io.Copy(io.Discard, conn)
			}
			conn.Close()
		}
	}()
	return listener.Addr().String(), received
}

func check(t *testing.T, address string, config *Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return probe(ctx, &net.Dialer{}, &Target{Config: config, Hostname: "cart.local", Address: func() string { return address }})
}

func TestHTTP(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, c := range []struct {
		name    string
		answer  string
		http    HTTP
		hold    bool
		problem string
		network bool
	}{
		{name: "200", answer: ok + "Content-Length: 0\r\n\r\n"},
		{name: "head is enough", answer: ok + "Content-Length: 10\r\n\r\n", hold: true},
		{name: "503", answer: "HTTP/1.1 503 No\r\n\r\n", problem: "status 503 is not in 200..299"},
		{name: "301", answer: "HTTP/1.1 301 Moved\r\n\r\n", http: HTTP{Expected: []Statuses{{200, 400}}}},
		{name: "exact", answer: "HTTP/1.1 204 No\r\n\r\n", http: HTTP{Expected: []Statuses{{200, 201}}}, problem: "status 204 is not 200"},
		{name: "interim", answer: "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n" + ok + "\r\n"},
		{name: "HTTP/1.0", answer: "HTTP/1.0 200 OK\r\n\r\n"},
		{name: "text", answer: ok + "Content-Length: 7\r\n\r\nall ok!", http: HTTP{Expect: [][]byte{[]byte("ok!")}}},
		{name: "text before the end", answer: ok + "\r\nall ok!", http: HTTP{Expect: [][]byte{[]byte("ok!")}}, hold: true},
		{name: "chunked text", answer: ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nal\r\n5\r\nl ok!\r\n0\r\n\r\n", http: HTTP{Expect: [][]byte{[]byte("all ok!")}}},
		{name: "no text", answer: ok + "Content-Length: 3\r\n\r\nbad", http: HTTP{Expect: [][]byte{[]byte("ok")}}, problem: "the body lacks the expected text"},
		{name: "text at 64 KiB", answer: ok + "\r\n" + strings.Repeat("x", maxSearch-2) + "ok", http: HTTP{Expect: [][]byte{[]byte("ok")}}},
		{name: "text after 64 KiB", answer: ok + "\r\n" + strings.Repeat("x", maxSearch-1) + "ok", http: HTTP{Expect: [][]byte{[]byte("ok")}}, hold: true, problem: "the body lacks the expected text"},
		{name: "cut body", answer: ok + "Content-Length: 30\r\n\r\nshort", http: HTTP{Expect: [][]byte{[]byte("ok")}}, problem: "response body: unexpected EOF", network: true},
		{name: "garbage", answer: "SECRET garbage\r\n\r\n", problem: "response: not an HTTP/1.1 response", network: true},
		{name: "nothing", answer: "", problem: "response: closed before its head was complete", network: true},
		{name: "half a head", answer: ok + "Server: x", problem: "response: closed before its head was complete", network: true},
		{name: "endless head", answer: ok + strings.Repeat("X-Fill: "+strings.Repeat("y", 1000)+"\r\n", 80), hold: true, problem: "the response head is larger than 65536 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, _ := origin(t, c.answer, 0, c.hold)
			expectProblem(t, check(t, address, &Config{HTTP: &c.http}), c.problem, c.network)
		})
	}
}

func expectProblem(t *testing.T, err error, problem string, network bool) {
	t.Helper()
	if problem == "" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	if err == nil || err.Error() != problem {
		t.Errorf("problem %v, want %s", err, problem)
	}
	if _, is := err.(*networkError); is != network {
		t.Errorf("network failure: %v, want %v (%v)", is, network, err)
	}
}

func TestRequest(t *testing.T) {
	address, got := origin(t, "HTTP/1.1 200 OK\r\n\r\n", 0, false)
	for _, c := range []struct {
		http HTTP
		want string
	}{
		{HTTP{}, "GET / HTTP/1.1\r\nHost: cart.local\r\nAccept: */*\r\nConnection: close\r\nUser-Agent: longmen-health-check\r\n\r\n"},
		{HTTP{Path: "/live?a=1", Host: "other:80", Method: "HEAD", Headers: map[string]string{"x-token": "t\r\nX-Evil: 1", "user-agent": "me"}},
			"HEAD /live?a=1 HTTP/1.1\r\nHost: other:80\r\nAccept: */*\r\nConnection: close\r\nUser-Agent: me\r\nX-Token: t  X-Evil: 1\r\n\r\n"},
	} {
		if err := check(t, address, &Config{HTTP: &c.http}); err != nil {
			t.Error(err)
		}
		if request := <-got; request != c.want {
			t.Errorf("sent %q\nwant %q", request, c.want)
		}
	}
	target := &Target{Config: &Config{HTTP: &HTTP{}}, Address: func() string { return address }}
	if err := probe(t.Context(), &net.Dialer{}, target); err != nil {
		t.Error(err)
	}
	if request := <-got; !strings.Contains(request, "\r\nHost: "+address+"\r\n") {
		t.Errorf("without a name the Host is not the address: %q", request)
	}
}

func TestTCP(t *testing.T) {
	t.Run("connect", func(t *testing.T) {
		address, _ := origin(t, "", 1, false)
		expectProblem(t, check(t, address, &Config{TCP: &TCP{}}), "", false)
	})
	t.Run("refused", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		expectProblem(t, check(t, listener.Addr().String(), &Config{TCP: &TCP{}}), "connect: connection refused", true)
	})
	t.Run("ping", func(t *testing.T) {
		address, got := origin(t, "+PONG\r\n", 6, true)
		expectProblem(t, check(t, address, &Config{TCP: &TCP{Send: []byte("PING\r\n"), Receive: [][]byte{[]byte("PONG")}}}), "", false)
		if sent := <-got; sent != "PING\r\n" {
			t.Errorf("sent %q", sent)
		}
	})
	t.Run("other answer", func(t *testing.T) {
		address, _ := origin(t, "-LOADING\r\n", 6, false)
		expectProblem(t, check(t, address, &Config{TCP: &TCP{Send: []byte("PING\r\n"), Receive: [][]byte{[]byte("PONG")}}}), "the answer lacks the expected text", false)
	})
	t.Run("broken off", func(t *testing.T) {
		address, got := origin(t, "", 4, true)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-got; cancel() }()
		err := probe(ctx, &net.Dialer{}, &Target{Config: &Config{TCP: &TCP{Send: []byte("PING"), Receive: [][]byte{[]byte("PONG")}}}, Address: func() string { return address }})
		if !errors.As(err, new(*networkError)) {
			t.Errorf("got %v", err)
		}
	})
}

// One real check through the scheduler.
func TestScheduledHTTP(t *testing.T) {
	address, _ := origin(t, "HTTP/1.1 500 Oh\r\n\r\n", 0, false)
	s := NewScheduler(0)
	defer s.Close()
	g := s.Group(&net.Dialer{})
	defer g.Close()
	events := make(chan Event, 1)
	g.Add(Target{Config: &Config{HTTP: &HTTP{}, Every: time.Hour, Timeout: 10 * time.Second}, Address: func() string { return address }, Report: func(e Event) { events <- e }})
	if e := <-events; e != (Event{Unchecked, Down, "status 500 is not in 200..299"}) {
		t.Errorf("event %+v", e)
	}
}
