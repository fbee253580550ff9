package proxy

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/cluster/outlier"
	"longmen/gateway/router"
)

// start runs the stage's clusters: endpoints are checked and ejected.
func (s *stage) start() {
	runtime := cluster.NewRuntime(slog.New(slog.NewTextHandler(s.Output(), nil)), nil)
	for _, c := range s.shared {
		c.Start(runtime)
		<-c.Ready()
	}
	s.Cleanup(func() {
		for _, c := range s.shared {
			c.Close()
		}
		runtime.Close()
	})
}

// endpoint is the one of cluster 0 at an address.
func (s *stage) endpoint(at netip.AddrPort) *cluster.Endpoint {
	s.Helper()
	for _, e := range s.shared[0].Hosts().Endpoints {
		if e.Address() == at {
			return e
		}
	}
	s.Fatalf("no endpoint %v", at)
	return nil
}

// uses waits until requests go to so many endpoints.
func (s *stage) uses(n int) {
	s.Helper()
	s.until(fmt.Sprintf("%d endpoints are used", n), func() bool { return len(s.shared[0].Hosts().Usable()) == n })
}

// An endpoint that answers 5xx so many times is left out, and comes back.
func TestEjection(t *testing.T) {
	var status, asked atomic.Int64
	status.Store(500)
	bad := newOrigin(t, func(p *peer, _ int) {
		for {
			if r, _ := p.ask(); r == nil {
				return
			}
			asked.Add(1)
			p.send("HTTP/1.1 %d Status\r\ncontent-length: 0\r\n\r\n", status.Load())
		}
	})
	good := newOrigin(t, func(p *peer, _ int) {
		for {
			if r, _ := p.ask(); r == nil {
				return
			}
			p.ok("")
		}
	})
	config := clusterOf("c", bad.At, good.At)
	outliers := outlier.Defaults()
	outliers.MaxEjectionPercent, outliers.BaseEjectionTime = 50, 300*time.Millisecond
	config.Outlier = &outliers
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}, clusters: []*cluster.Config{config}})
	s.start()
	for asked.Load() < 5 {
		s.get("/")
	}
	s.uses(1)
	if stats := s.shared[0].Outliers().Stats(); stats.Enforced[outlier.By5xx] != 1 {
		t.Errorf("%+v", stats)
	}
	for s.endpoint(bad.At).Outlier().Ejected() {
		before := asked.Load()
		resp, _ := s.get("/")
		if resp.StatusCode != 200 && s.endpoint(bad.At).Outlier().Ejected() || asked.Load() != before && resp.StatusCode == 200 {
			t.Errorf("status %d, asked %d times", resp.StatusCode, asked.Load())
		}
		status.Store(200)
	}
	s.uses(2)
	for before := asked.Load(); asked.Load() == before; {
		if resp, _ := s.get("/"); resp.StatusCode != 200 {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
}

// What a try came to is told as what it is, whichever way the request took.
func TestWhatOutlierDetectionIsTold(t *testing.T) {
	var script atomic.Pointer[func(p *peer)]
	origin := newOrigin(t, func(p *peer, _ int) { (*script.Load())(p) })
	config := clusterOf("c", origin.At)
	outliers := outlier.Defaults()
	outliers.Consecutive5xx, outliers.ConsecutiveGatewayFailure, outliers.ConsecutiveLocalOriginFailure = 1, 1, 1
	outliers.SplitLocalOrigin, outliers.MaxEjectionPercent, outliers.Enforcing = true, 100, outlier.Enforcing{}
	outliers.ConsecutiveRefused = 0
	config.Outlier = &outliers
	config.ResponseTimeout = 2 * time.Second
	s := newStage(t, settings{routes: []*router.Route{
		to("/slow", func(f *router.Forward) { f.Timeout = 50 * time.Millisecond }),
		to("/", nil),
	}, clusters: []*cluster.Config{config}})
	s.start()
	say := func(text string) func(p *peer) {
		return func(p *peer) { p.ask(); p.send("%s", text) }
	}
	grpc := func(status int) func(p *peer) {
		return say(fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: %d\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", status))
	}
	wait := func(p *peer) { p.ask(); p.ended() }
	call := []string{"content-type: application/grpc", "te: trailers"}
	for _, c := range []struct {
		name   string
		do     func(p *peer)
		path   string
		fields []string
		want   string // the causes
	}{
		{"500", say("HTTP/1.1 500 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"), "/", nil, "consecutive_5xx"},
		{"503", say("HTTP/1.1 503 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"), "/", nil, "consecutive_5xx consecutive_gateway_failure"},
		{"404", say("HTTP/1.1 404 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"), "/", nil, ""},
		{"reset", func(p *peer) { p.ask(); p.reset() }, "/", nil, "consecutive_local_origin_failure"},
		{"closed", func(p *peer) { p.ask() }, "/", nil, "consecutive_local_origin_failure"},
		{"no HTTP", say("SSH-2.0\r\n\r\n"), "/", nil, "consecutive_local_origin_failure"},
		{"cut body", say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha"), "/", nil, "consecutive_local_origin_failure"},
		{"route's timeout", wait, "/slow", nil, "consecutive_local_origin_failure"},
		{"gRPC unavailable", grpc(14), "/", call, "consecutive_5xx consecutive_gateway_failure"},
		{"gRPC internal", grpc(13), "/", call, "consecutive_5xx"},
		{"gRPC not found", grpc(5), "/", call, ""},
		{"grpc-status of another response", grpc(14), "/", nil, ""},
		{"the client's own deadline", wait, "/", append(call, "grpc-timeout: 20m"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := s.shared[0].Outliers().Stats().Detected
			script.Store(&c.do)
			p := s.dial()
			p.send("GET %s HTTP/1.1\r\nHost: test\r\nconnection: close\r\n%s\r\n", c.path, lines(c.fields))
			io.Copy(io.Discard, p)
			s.quiet()
			// What comes after is told after.
			marker := say("HTTP/1.1 501 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
			script.Store(&marker)
			var got []string
			expected := strings.Count(c.want, "consecutive_5xx") + 1
			if strings.Contains(c.want, "5xx") {
				s.until("the failure is found", func() bool { return s.shared[0].Outliers().Stats().Detected[outlier.By5xx] > before[outlier.By5xx] })
			}
			s.get("/")
			s.until("the failure after it is found", func() bool {
				return s.shared[0].Outliers().Stats().Detected[outlier.By5xx] >= before[outlier.By5xx]+uint64(expected)
			})
			after := s.shared[0].Outliers().Stats().Detected
			after[outlier.By5xx]--
			for cause := range outlier.CauseCount {
				for range after[cause] - before[cause] {
					got = append(got, cause.String())
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

// A connection that is refused moves requests to the other endpoints at once, and none fails
// where the route allows another try.
func TestRefusedConnectionMovesRequests(t *testing.T) {
	good := newOrigin(t, func(p *peer, _ int) {
		for {
			if r, _ := p.ask(); r == nil {
				return
			}
			p.ok("")
		}
	})
	for _, way := range []struct {
		name string
		edit func(*cluster.Config)
	}{
		{"outlier detection", func(c *cluster.Config) {
			outliers := outlier.Defaults()
			outliers.MaxEjectionPercent = 50
			c.Outlier = &outliers
		}},
		{"active checks", func(c *cluster.Config) {
			c.Health = []cluster.HealthConfig{{TCP: &cluster.TCPHealth{}, Every: time.Hour, Timeout: patience}}
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			dying, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer dying.Close()
			at := netip.MustParseAddrPort(dying.Addr().String())
			config := clusterOf("c", at, good.At)
			way.edit(config)
			s := newStage(t, settings{routes: []*router.Route{to("/", func(f *router.Forward) {
				f.Retry = &router.Retry{Attempts: 1, On: router.OnConnectFailure}
			})}, clusters: []*cluster.Config{config}})
			s.start()
			s.uses(2)
			dying.Close()
			ask := func() {
				if resp, _ := s.get("/"); resp.StatusCode != 200 {
					t.Errorf("status %d", resp.StatusCode)
				}
			}
			e := s.endpoint(at)
			for n := uint64(0); n == 0; n, _ = e.ConnectFailures() {
				ask()
			}
			s.uses(1)
			before, _ := e.ConnectFailures()
			for range 20 {
				ask()
			}
			if after, _ := e.ConnectFailures(); after != before {
				t.Errorf("%d more connections were tried", after-before)
			}
		})
	}
}
