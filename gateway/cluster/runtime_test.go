package cluster

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"longmen/gateway/cluster/dns"
)

// newTestRuntime is a real one with a hosts file of its own.
func newTestRuntime(t *testing.T, hosts string, changed func(*Cluster)) *Runtime {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, []byte(hosts), 0o600); err != nil {
		t.Fatal(err)
	}
	r := NewRuntime(slog.New(slog.DiscardHandler), changed)
	r.resolver = dns.NewResolver(file, file)
	return r
}

// Real names, connections and goroutines: everything works together, a change of
// health reaches whoever waits for it, and nothing is left over.
func TestRealCluster(t *testing.T) {
	before := runtime.NumGoroutine()
	func() {
		var mu sync.Mutex
		status := http.StatusOK
		origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			w.WriteHeader(status)
		}))
		defer origin.Close()
		at := netip.MustParseAddrPort(origin.Listener.Addr().String())

		changes := make(chan int, 64)
		r := newTestRuntime(t, "127.0.0.1 web.test\n", func(c *Cluster) { changes <- len(c.Hosts().Usable()) })
		defer r.Close()
		config := &Config{
			Name: "web", Discovery: StrictDNS, PanicThreshold: 0,
			Endpoints: []EndpointConfig{{Host: "web.test", Port: at.Port()}},
			DNS:       DNSConfig{Refresh: time.Millisecond},
			Health:    []HealthConfig{{HTTP: &HTTPHealth{}, Every: time.Millisecond, Timeout: 10 * time.Second, Healthy: 1, Unhealthy: 1}},
		}
		c := New(config)
		c.Start(r)
		<-c.Ready()
		if n := <-changes; n != 1 {
			t.Errorf("%d usable after the name was resolved", n)
		}
		mu.Lock()
		status = http.StatusServiceUnavailable
		mu.Unlock()
		if n := <-changes; n != 0 {
			t.Errorf("%d usable after the origin failed", n)
		}
		next := New(config)
		next.Inherit(c)
		next.Start(r)
		mu.Lock()
		status = http.StatusOK
		mu.Unlock()
		if n := <-changes; n != 1 {
			t.Errorf("%d usable after the origin recovered", n)
		}
		c.Close()
		next.Close()
		http.DefaultClient.CloseIdleConnections()
	}()
	// What the last connections of the origin leave ends by itself.
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if now := runtime.NumGoroutine(); now > before {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before\n%s", now, before, stacks[:runtime.Stack(stacks, true)])
	}
}

// Workers read while names, health and configurations change.
func TestReadersSeeWholeHostSets(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	at := netip.MustParseAddrPort(listener.Addr().String())
	r := newTestRuntime(t, "127.0.0.1 a.test\n127.0.0.2 a.test\n", nil)
	defer r.Close()
	config := func(i int) *Config {
		return &Config{
			Name: "web", Discovery: StrictDNS,
			Endpoints: []EndpointConfig{{Host: "a.test", Port: at.Port()}, {Host: fmt.Sprintf("127.0.1.%d", i), Port: at.Port(), Weight: uint32(i)}},
			DNS:       DNSConfig{Refresh: time.Millisecond},
			Health:    []HealthConfig{{TCP: &TCPHealth{}, Every: time.Millisecond, Timeout: 10 * time.Second, Healthy: 1, Unhealthy: 1}},
		}
	}
	first := New(config(1))
	first.Start(r)
	current := make(chan *Cluster, 1)
	current <- first
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c := <-current
				current <- c
				hosts := c.Hosts()
				if len(hosts.All.Groups[0].Weights) != len(hosts.Usable()) || len(hosts.Usable()) > len(hosts.Endpoints) {
					t.Errorf("%d weights, %d usable, %d endpoints", len(hosts.All.Groups[0].Weights), len(hosts.Usable()), len(hosts.Endpoints))
				}
				for _, e := range hosts.Endpoints {
					_, _, _ = e.Address(), e.Gone(), e.Health()
				}
				runtime.Gosched()
			}
		})
	}
	c := first
	for i := 2; i < 12; i++ {
		<-c.Ready()
		next := New(config(i))
		next.Inherit(c)
		<-current
		current <- next
		next.Start(r)
		c = next
	}
	<-c.Ready()
	close(stop)
	readers.Wait()
	c.Close()
}
