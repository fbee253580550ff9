package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"
)

// counting is a dialer that counts.
type counting struct {
	net.Dialer
	n atomic.Int64
}

func (d *counting) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d.n.Add(1)
	return d.Dialer.DialContext(ctx, network, address)
}

// again makes a check of the target, as a Check would.
func again(t *testing.T, d Dialer, target *Target) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return probe(ctx, d, target)
}

func TestReuseHTTP(t *testing.T) {
	for _, two := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", two), func(t *testing.T) {
			var status, closing atomic.Int64
			status.Store(200)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if closing.Load() != 0 {
					w.Header().Set("Connection", "close")
				}
				w.WriteHeader(int(status.Load()))
				w.Write(body)
				w.Write(make([]byte, 50_000)) // many of them fill windows
			}))
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetHTTP1(!two)
			s.Config.Protocols.SetUnencryptedHTTP2(two)
			s.Start()
			defer s.Close()
			d := &counting{}
			target := &Target{
				Config:  &Config{HTTP: &HTTP{Method: "PUT", Body: []byte("are you ok?"), Expect: [][]byte{[]byte("are"), []byte("ok")}}, Reuse: true},
				Address: s.Listener.Addr().String, HTTP2: two,
			}
			defer target.drop()
			for range 50 {
				if err := again(t, d, target); err != nil {
					t.Fatal(err)
				}
			}
			status.Store(503)
			for range 2 {
				expectProblem(t, again(t, d, target), "status 503 is not in 200..299", false)
			}
			status.Store(200)
			if err := again(t, d, target); err != nil || d.n.Load() != 1 {
				t.Fatalf("%v, %d connections", err, d.n.Load())
			}
			// One that the server ended meanwhile is no failure.
			s.CloseClientConnections()
			if err := again(t, d, target); err != nil || d.n.Load() != 2 {
				t.Errorf("%v, %d connections", err, d.n.Load())
			}
			if !two {
				closing.Store(1)
				for range 3 {
					if err := again(t, d, target); err != nil {
						t.Error(err)
					}
				}
				if d.n.Load() != 4 || target.kept != nil {
					t.Errorf("%d connections", d.n.Load())
				}
				closing.Store(0)
			}
			// The address has become another one's.
			if err := again(t, d, target); err != nil || target.kept == nil {
				t.Fatal(err)
			}
			target.Address = func() string { return "127.0.0.1:1" }
			if err := again(t, d, target); !errors.As(err, new(*networkError)) || target.kept != nil {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestReuseGRPC(t *testing.T) {
	address := grpcServer(t, map[string]grpc_health_v1.HealthCheckResponse_ServingStatus{"": grpc_health_v1.HealthCheckResponse_SERVING})
	d := &counting{}
	target := &Target{Config: &Config{GRPC: &GRPC{}, Reuse: true}, Address: func() string { return address }}
	defer target.drop()
	for range 50 {
		if err := again(t, d, target); err != nil {
			t.Fatal(err)
		}
	}
	if d.n.Load() != 1 {
		t.Errorf("%d connections", d.n.Load())
	}
}

// Without Reuse, and where a connection can't be used again, there is one for each check.
func TestNoReuse(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	for _, config := range []Config{{HTTP: &HTTP{}}, {TCP: &TCP{}, Reuse: true}} {
		d := &counting{}
		target := &Target{Config: &config, Address: s.Listener.Addr().String}
		for range 3 {
			if err := again(t, d, target); err != nil {
				t.Fatal(err)
			}
		}
		if d.n.Load() != 3 || target.kept != nil {
			t.Errorf("%d connections", d.n.Load())
		}
	}
}

// What is kept is closed when the checks end.
func TestKeptConnectionsAreClosed(t *testing.T) {
	for _, end := range []func(g *Group, c *Check){func(_ *Group, c *Check) { c.Remove() }, func(g *Group, _ *Check) { g.Close() }} {
		states := make(chan http.ConnState, 10)
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) { states <- state }
		s.Start()
		scheduler := NewScheduler(0)
		g := scheduler.Group(&net.Dialer{})
		passed := make(chan error, 1)
		c := g.Add(Target{
			Config:  &Config{HTTP: &HTTP{}, Every: time.Hour, Timeout: 10 * time.Second, Reuse: true},
			Address: s.Listener.Addr().String, Report: ignore, Result: func(err error) { passed <- err },
		})
		if err := <-passed; err != nil {
			t.Fatal(err)
		}
		end(g, c)
		for state := range states {
			if state == http.StateClosed {
				break
			}
		}
		g.Close()
		scheduler.Close()
		s.Close()
	}
}
