package proxy

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"longmen/gateway/cluster"
	"longmen/gateway/filter"
	"longmen/gateway/router"
	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// filterFunc is a filter of a function.
type filterFunc func(s *stream.Stream, next stream.Handler) (*stream.Response, error)

func (f filterFunc) Serve(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
	return f(s, next)
}

// filteredStage forwards /a and /b through a filter.
func filteredStage(t *testing.T, f filterFunc) *stage {
	t.Helper()
	o := mirrorOrigin(t, "X-Theirs: 1")
	edited := to("/b", nil)
	edited.Request = &router.HeaderEdits{Fields: []router.HeaderEdit{{Name: "x-route", Value: format(t, "b"), Action: router.SetAlways}}}
	return newStage(t, settings{
		http: snapshot.HTTP{ServerName: "longmen", Via: "edge", MaxBody: 100}, clusters: []*cluster.Config{clusterOf("c", o.At)},
		routes: []*router.Route{to("/a", nil), edited, {Name: "said", Match: router.Match{RawPrefix: "/said"}, Respond: &router.Respond{Status: 202}}},
		chain:  filter.Chain{{Name: "test", Filter: f}},
	})
}

func TestFilterOnBothWays(t *testing.T) {
	s := filteredStage(t, func(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
		s.Request.Header.AddString("x-there", "1")
		resp, err := next(s)
		if err == nil {
			resp.Header.AddString("x-back", "1")
		}
		return resp, err
	})
	for range 3 {
		resp, body := s.get("/a")
		if got := arrived(t, body); got.Get("X-There") != "1" || resp.Header.Get("X-Back") != "1" || resp.Header.Get("X-Theirs") != "1" || resp.Header.Get("Via") != "1.1 edge" {
			t.Errorf("%v, %v", got, resp.Header)
		}
	}
	if resp, _ := s.get("/said"); resp.StatusCode != 202 || resp.Header.Get("X-Back") != "1" || len(resp.Header.Values("Server")) != 1 || len(resp.Header.Values("Via")) != 1 {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if resp, _ := s.get("/nowhere"); resp.StatusCode != 404 || resp.Header.Get("X-Back") != "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

func TestFilterThatAnswers(t *testing.T) {
	s := filteredStage(t, func(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
		return s.Respond(403, "", []byte("no")), nil
	})
	resp, body := s.get("/a")
	if resp.StatusCode != 403 || body != "no" || resp.Header.Get("Server") != "longmen" || resp.Header.Get("Via") != "1.1 edge" {
		t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
}

func TestFilterThatChangesErrors(t *testing.T) {
	s := filteredStage(t, func(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
		resp, err := filter.Answer(s, next)
		if err == nil {
			resp.Header.AddString("x-seen", "1")
		}
		return resp, err
	})
	resp, _ := s.get("/nowhere")
	if resp.StatusCode != 404 || resp.Header.Get("X-Seen") != "1" || len(resp.Header.Values("Server")) != 1 {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if r := s.record(); r.Err == nil || r.Err.Flag != stream.NoRoute {
		t.Errorf("%v", r.Err)
	}
}

// A panic in a filter ends its stream with a 500, and no other.
func TestFilterThatPanics(t *testing.T) {
	s := filteredStage(t, func(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
		if s.Request.Header.Has("x-panic") {
			panic("a filter")
		}
		return next(s)
	})
	p := s.dial()
	p.send("GET /a HTTP/1.1\r\nHost: test\r\nX-Panic: 1\r\n\r\nGET /a HTTP/1.1\r\nHost: test\r\n\r\n")
	if resp, _ := p.answer("GET"); resp.StatusCode != 500 {
		t.Errorf("%d", resp.StatusCode)
	}
	if resp, _ := p.answer("GET"); resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
}

// Who calls next again gives up the answer that it had; nothing is held twice.
func TestFilterThatTriesAgain(t *testing.T) {
	s := filteredStage(t, func(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
		if _, err := next(s); err != nil {
			return nil, err
		}
		return next(s)
	})
	for range 2 {
		if resp, body := s.get("/a"); resp.StatusCode != 200 || arrived(t, body).Get("Target") != "/a" {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
}

func TestFilterThatReroutes(t *testing.T) {
	s := filteredStage(t, func(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
		s.Request.Path = []byte("/b/new")
		s.Reroute = true
		return next(s)
	})
	resp, body := s.get("/a")
	if got := arrived(t, body); resp.StatusCode != 200 || got.Get("Target") != "/b/new" || got.Get("X-Route") != "b" {
		t.Errorf("%d %v", resp.StatusCode, got)
	}
	if r := s.record(); r.Route != "to /b" {
		t.Errorf("%s", r.Route)
	}
}

// The client's body is bounded before a filter sees it, whatever the filter makes of it.
func TestFilterOfBodies(t *testing.T) {
	s := filteredStage(t, func(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
		var all []byte
		for {
			p, err := s.Request.Body.Next(s.Co)
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, err
			}
			all = append(all, p...)
		}
		all = append(all, all...)
		all = append(all, all...)
		s.Request.Body, s.Request.Length = stream.NewBytes(all), int64(len(all))
		return next(s)
	})
	p := s.dial()
	for _, send := range []string{"content-length: 50\r\n\r\n" + strings.Repeat("x", 50), "transfer-encoding: chunked\r\n\r\n32\r\n" + strings.Repeat("x", 50) + "\r\n0\r\n\r\n"} {
		p.send("POST /a HTTP/1.1\r\nHost: test\r\n%s", send)
		if resp, body := p.answer("POST"); resp.StatusCode != 200 || arrived(t, body).Get("Length") != "200" {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
	for _, send := range []string{"content-length: 101\r\n\r\n" + strings.Repeat("x", 101), "transfer-encoding: chunked\r\n\r\n65\r\n" + strings.Repeat("x", 101) + "\r\n0\r\n\r\n"} {
		p := s.dial()
		p.send("POST /a HTTP/1.1\r\nHost: test\r\n%s", send)
		if resp, _ := p.answer("POST"); resp.StatusCode != 413 {
			t.Errorf("%d", resp.StatusCode)
		}
	}
}

// slowHandshake is one that is not complete until somebody waits for it.
type slowHandshake struct{ waited atomic.Int32 }

func (h *slowHandshake) Confirmed() bool { return h.waited.Load() > 0 }
func (h *slowHandshake) Confirm(*worker.Coroutine) error {
	h.waited.Add(1)
	return nil
}

// A request that may be served early by its route waits when a filter sends it another way.
func TestEarlyDataIsNotRerouted(t *testing.T) {
	hand := &slowHandshake{}
	s := filteredStage(t, func(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
		s.Early = hand
		s.Request.Path, s.Reroute = []byte("/b"), true
		return next(s)
	})
	if resp, _ := s.get("/a"); resp.StatusCode != 200 || hand.waited.Load() != 1 {
		t.Errorf("%d, waited %d times", resp.StatusCode, hand.waited.Load())
	}
}
