package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"longmen/gateway/cluster"
	"longmen/gateway/router"
	"longmen/gateway/upstream/origintest"
)

// ending is where a request's first try ends.
type ending struct {
	name string
	do   func(p *peer)
	on   router.RetryOn // the conditions that ask for another try
}

// part reads so many bytes of a request.
func (p *peer) part(n int) { io.CopyN(io.Discard, p.r, int64(n)) }

const gone = router.On5xx | router.OnGatewayError | router.OnReset

var endings = []ending{
	{"reset within the head", func(p *peer) { p.part(5); p.reset() }, gone},
	{"closed within the head", func(p *peer) { p.part(5) }, gone},
	{"reset after the head", func(p *peer) { p.head(); p.reset() }, gone},
	{"reset within the body", func(p *peer) { p.head(); p.part(3); p.reset() }, gone},
	{"reset after the request", func(p *peer) { p.ask(); p.reset() }, gone},
	{"closed after the request", func(p *peer) { p.ask() }, gone},
	{"closed after 103", func(p *peer) { p.ask(); p.send("HTTP/1.1 103 Early Hints\r\n\r\n") }, gone},
	{"closed within the response's head", func(p *peer) { p.ask(); p.send("HTTP/1.1 200 OK\r\ncontent-le") }, gone},
	{"silence", func(p *peer) { p.ask(); p.ended() }, gone},
	{"silence within the response's head", func(p *peer) { p.ask(); p.send("HTTP/1.1 200 OK\r\n"); p.ended() }, gone},
	{"503", func(p *peer) {
		p.ask()
		p.send("HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
	}, router.On5xx | router.OnGatewayError},
	{"500", func(p *peer) {
		p.ask()
		p.send("HTTP/1.1 500 Oops\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
	}, router.On5xx},
}

// repeatable are policies by their prefix.
var repeatable = map[string]*router.Retry{
	"/none":    nil,
	"/connect": {Attempts: 3, On: router.OnConnectFailure | router.OnRefusedStream | router.OnResetBeforeRequest},
	"/gateway": {Attempts: 3, On: router.OnGatewayError},
	"/all":     {Attempts: 3, On: 0xffff},
	"/unsafe":  {Attempts: 3, On: 0xffff, Unsafe: true},
	"/hedged":  {Attempts: 3, On: 0xffff},
}

// repeatableRoutes are routes with these policies; those under /timed end silence.
func repeatableRoutes() (routes []*router.Route) {
	for prefix, retry := range repeatable {
		for _, timed := range []string{"", "/timed"} {
			routes = append(routes, to(timed+prefix, func(f *router.Forward) {
				if timed != "" {
					f.Timeout = 100 * time.Millisecond
				}
				if retry == nil {
					return
				}
				copied := *retry
				f.Retry = &copied
				if timed != "" {
					f.Retry.PerTry = 10 * time.Millisecond
				}
				if prefix == "/hedged" {
					f.Hedge = &router.Hedge{InitialRequests: 1, OnPerTryTimeout: true}
				}
			}))
		}
	}
	return routes
}

// times counts the tries of each request that an endpoint saw anything of.
type times struct {
	sync.Mutex
	of map[string]int
}

// No request that an endpoint may have begun to run is given to an endpoint again,
// unless it is idempotent or the route says that it may: wherever the first try ends,
// with every kind of body and policy, counted where requests come.
func TestNoRequestRunsTwice(t *testing.T) {
	var mu sync.Mutex
	var script func(p *peer) // of the next connection
	tries := 0               // how often something of the request came
	serve := func(p *peer, _ int) {
		if _, err := p.r.Peek(1); err != nil {
			return
		}
		mu.Lock()
		do := script
		script = nil
		tries++
		mu.Unlock()
		if do != nil {
			do(p)
			return
		}
		if r, _ := p.ask(); r != nil {
			p.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
		}
	}
	s := newStage(t, settings{routes: repeatableRoutes()}.with(newOrigin(t, serve), newOrigin(t, serve)))
	large := strings.Repeat("x", maxReplay+1)
	for _, method := range []string{"GET", "PUT", "POST"} {
		for _, body := range []string{"", "some body", large} {
			for _, end := range endings {
				if body == "" && end.name == "reset within the body" {
					continue
				}
				for prefix, policy := range repeatable {
					name := fmt.Sprintf("%s %d bytes, %s, %s", method, len(body), end.name, prefix)
					silence := strings.HasPrefix(end.name, "silence") // the next try's time may be over, too
					path := prefix
					if silence {
						path = "/timed" + prefix
					}
					mu.Lock()
					script, tries = end.do, 0
					mu.Unlock()
					c := s.dial()
					go c.send("%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
					for {
						resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
						if err != nil || resp.StatusCode != 103 {
							break
						}
					}
					rec := s.record()
					c.Close()
					s.until("all is over", func() bool { return s.stats(0).RequestsActive.Load() == 0 })
					mu.Lock()
					n := tries
					mu.Unlock()
					idempotent := method != "POST"
					mayRepeat := idempotent || policy != nil && policy.Unsafe
					wants := policy != nil && policy.On&end.on != 0
					switch {
					case !mayRepeat && n != 1:
						t.Errorf("%s: %d tries: a request that may have run was repeated", name, n)
					case body == large && n != 1: // nobody has the body any more
						t.Errorf("%s: %d tries", name, n)
					case mayRepeat && wants && body != large && (n < 2 || n > 2 && !silence || rec.Status != 200 && !silence):
						t.Errorf("%s: %d after %d tries, want another one", name, rec.Status, n)
					case !wants && n != 1:
						t.Errorf("%s: %d tries, which nobody asked for", name, n)
					}
				}
			}
		}
	}
	s.quiet()
}

// Over HTTP/2 an endpoint may say what it did not process; all else may have run.
func TestNoRequestRunsTwiceOverHTTP2(t *testing.T) {
	type end struct {
		name        string
		do          func(k *origintest.Call)
		unprocessed bool
	}
	ends := []end{
		{"REFUSED_STREAM", func(k *origintest.Call) { k.Reset(xhttp2.ErrCodeRefusedStream) }, true},
		{"GOAWAY before it", func(k *origintest.Call) { k.GoAway(0) }, true},
		{"GOAWAY after it, closed", func(k *origintest.Call) { k.GoAway(k.ID); k.Close() }, false},
		{"INTERNAL_ERROR", func(k *origintest.Call) { k.Reset(xhttp2.ErrCodeInternal) }, false},
		{"CANCEL", func(k *origintest.Call) { k.Reset(xhttp2.ErrCodeCancel) }, false},
		{"closed", func(k *origintest.Call) { k.Close() }, false},
		{"silence", func(*origintest.Call) {}, false},
		{"refused within the response", func(k *origintest.Call) { k.Begin(10); k.Reset(xhttp2.ErrCodeRefusedStream) }, false},
	}
	runs := times{of: map[string]int{}}
	var mu sync.Mutex
	var script func(k *origintest.Call)
	do := func(k *origintest.Call) {
		mu.Lock()
		do := script
		script = nil
		mu.Unlock()
		runs.Lock()
		runs.of[k.Head.PseudoValue("path")]++
		runs.Unlock()
		if do == nil {
			do = (*origintest.Call).Answer
		}
		do(k)
	}
	config := clusterOf("c")
	config.Protocol = cluster.HTTP2Only
	for range 2 {
		o := origintest.NewHTTP2(t, func(o *origintest.HTTP2) { o.Do = do })
		config.Endpoints = append(config.Endpoints, clusterOf("", o.At).Endpoints...)
	}
	s := newStage(t, settings{routes: repeatableRoutes(), clusters: []*cluster.Config{config}})
	n := 0
	for _, method := range []string{"GET", "PUT", "POST"} {
		for _, body := range []string{"", "some body"} {
			for _, end := range ends {
				for prefix, policy := range repeatable {
					n++
					path := fmt.Sprintf("%s/%d", prefix, n)
					if end.name == "silence" {
						path = "/timed" + path
					}
					mu.Lock()
					script = end.do
					mu.Unlock()
					c := s.dial()
					c.send("%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
					io.Copy(io.Discard, c.r)
					s.record()
					c.Close()
					runs.Lock()
					ran := runs.of[path]
					if end.unprocessed {
						ran-- // the first one surely did not
					}
					runs.Unlock()
					mayRepeat := method != "POST" || policy != nil && policy.Unsafe
					if ran > 1 && !mayRepeat {
						t.Errorf("%s %s, %s: may have run %d times", method, path, end.name, ran)
					}
					if end.unprocessed && ran != 1 {
						t.Errorf("%s %s, %s: ran %d times", method, path, end.name, ran)
					}
				}
			}
		}
	}
	s.quiet()
}
