package proxy

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"longmen/gateway/protocol/http1"
	"longmen/gateway/router"
	"longmen/gateway/upstream/origintest"
)

// Clients and endpoints that end connections at any moment, with bodies,
// retries, timeouts and small limits: every stream is logged once, and nothing
// is held afterwards.
func TestNothingIsHeldAfterChaos(t *testing.T) {
	serve := func(p *peer, n int) {
		random := rand.New(rand.NewPCG(1, uint64(n)))
		for {
			switch random.IntN(12) {
			case 0:
				return
			case 1:
				p.head()
				return
			case 2:
				p.head()
				p.reset()
				return
			case 3: // answers early, and reads no more for a while
				p.head()
				p.send("HTTP/1.1 413 Large\r\ncontent-length: 0\r\n\r\n")
				time.Sleep(5 * time.Millisecond)
				return
			case 4:
				if r, _ := p.ask(); r == nil {
					return
				}
				time.Sleep(30 * time.Millisecond) // longer than a try may take
				return
			case 5:
				if r, _ := p.ask(); r == nil {
					return
				}
				p.send("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n%s", strings.Repeat("x", 70000))
				return
			case 6:
				if r, _ := p.ask(); r == nil {
					return
				}
				p.send("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
			case 7:
				if r, _ := p.ask(); r == nil {
					return
				}
				p.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", 200000, strings.Repeat("x", 200000))
			default:
				if r, _ := p.ask(); r == nil {
					return
				}
				p.ok("well")
			}
		}
	}
	set := settings{routes: []*router.Route{to("/", func(f *router.Forward) {
		f.Timeout = 50 * time.Millisecond
		f.Retry = &router.Retry{Attempts: 3, On: router.On5xx | router.OnReset | router.OnConnectFailure, PerTry: 20 * time.Millisecond,
			BackoffBase: time.Millisecond, BackoffMax: 5 * time.Millisecond}
	})}, config: func(c *http1.Config) { c.BodyTimeout = 100 * time.Millisecond }}.with(newOrigin(t, serve), newOrigin(t, serve))
	set.clusters[0].Endpoints = append(set.clusters[0].Endpoints, clusterOf("", origintest.ClosedPort(t)).Endpoints...)
	set.clusters[0].Limits.Connections, set.clusters[0].Limits.Retries = 4, 3
	set.clusters[0].Pool.MaxRequests = 5
	s := newStage(t, set)
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(i)))
			for range 60 {
				chaos(s, random)
			}
		})
	}
	clients.Wait()
	s.quiet()
	s.until("client connections have ended", func() bool { return s.server.Connections() == 0 })
	statuses := map[int]int{}
	for len(s.records) > 0 {
		statuses[s.record().Status]++
	}
	if statuses[200] == 0 {
		t.Errorf("%v", statuses)
	}
	t.Logf("streams by status: %v", statuses)
}

// chaos is one client with one connection.
func chaos(s *stage, random *rand.Rand) {
	c := s.dial()
	defer c.Close()
	for range 1 + random.IntN(3) {
		method := []string{"GET", "PUT", "POST", "DELETE"}[random.IntN(4)]
		size := 0
		if method == "PUT" || method == "POST" {
			size = []int{1, 1000, 70_000, 400_000}[random.IntN(4)]
		}
		sent := size
		if random.IntN(5) == 0 {
			sent = size / 2
		}
		expect := ""
		if size > 0 && random.IntN(40) == 0 {
			expect = "Expect: 100-continue\r\n"
		}
		if size > 0 && random.IntN(2) == 0 {
			c.send("%s / HTTP/1.1\r\nHost: test\r\n%sTransfer-Encoding: chunked\r\n\r\n", method, expect)
			go fmt.Fprintf(c.TCPConn, "%x\r\n%s\r\n0\r\n\r\n", size, strings.Repeat("x", sent))
		} else {
			c.send("%s / HTTP/1.1\r\nHost: test\r\n%sContent-Length: %d\r\n\r\n", method, expect, size)
			go fmt.Fprint(c.TCPConn, strings.Repeat("x", sent))
		}
		switch random.IntN(8) {
		case 0:
			c.reset()
			return
		case 1:
			c.CloseWrite()
		case 2:
			c.r.Peek(1)
			c.reset()
			return
		}
		if sent < size {
			c.CloseWrite()
		}
		resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
		for err == nil && resp.StatusCode < 200 {
			resp, err = http.ReadResponse(c.r, &http.Request{Method: method})
		}
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Close {
			return
		}
	}
}
