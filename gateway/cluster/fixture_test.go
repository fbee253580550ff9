package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"longmen/gateway/cluster/dns"
	"longmen/gateway/cluster/eventlog"
	"longmen/gateway/cluster/health"
)

// world is a Runtime whose name servers and endpoints are the test's: nothing
// leaves the process, and time is synctest's.
type world struct {
	runtime *Runtime
	log     strings.Builder

	mu       sync.Mutex
	updates  map[string]func(dns.Result)
	status   map[string]int // by address; 0 refuses, none is 200
	requests []string       // "address Host" of the checks
	changes  int
}

func newWorld(t *testing.T) *world {
	w := &world{updates: map[string]func(dns.Result){}, status: map[string]int{}}
	options := &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "time" || a.Key == "next" {
			return slog.Attr{}
		}
		return a
	}}
	w.runtime = &Runtime{
		resolver: w,
		checks:   health.NewScheduler(0),
		dialer:   func(*TCP) health.Dialer { return w },
		log:      slog.New(slog.NewTextHandler(&w.log, options)),
		changed: func(*Cluster) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changes++
		},
	}
	w.runtime.events = eventlog.New(w.runtime.log)
	t.Cleanup(w.runtime.Close)
	return w
}

// Watch implements resolver: the test answers by resolve.
func (w *world) Watch(ctx context.Context, name string, _ *dns.Config, update func(dns.Result)) {
	w.mu.Lock()
	w.updates[name] = update
	w.mu.Unlock()
	<-ctx.Done()
	w.mu.Lock()
	delete(w.updates, name)
	w.mu.Unlock()
}

// resolve gives a name's watcher a result and waits until it has had its effect.
func (w *world) resolve(name string, err error, addresses ...string) {
	synctest.Wait()
	result := dns.Result{Err: err, Next: time.Second}
	for _, a := range addresses {
		result.Addresses = append(result.Addresses, netip.MustParseAddr(a))
	}
	w.mu.Lock()
	update := w.updates[name]
	w.mu.Unlock()
	update(result)
	time.Sleep(2 * settle)
	synctest.Wait()
}

// set says what an endpoint answers to checks from now on.
func (w *world) set(status int, addresses ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range addresses {
		w.status[a] = status
	}
}

// DialContext implements health.Dialer.
func (w *world) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	status, set := w.status[address]
	if !set {
		status = 200
	}
	if status == 0 {
		return nil, errors.New("refused")
	}
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		request, err := http.ReadRequest(bufio.NewReader(theirs))
		if err != nil {
			return
		}
		w.mu.Lock()
		w.requests = append(w.requests, address+" "+request.Host)
		w.mu.Unlock()
		io.WriteString(theirs, "HTTP/1.1 "+strconv.Itoa(status)+" X\r\nContent-Length: 0\r\n\r\n")
	}()
	return ours, nil
}

// sent is what checks have sent so far.
func (w *world) sent() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.requests)
}

// addresses is the endpoints as text, in order.
func addresses(endpoints []*Endpoint) string {
	var list []string
	for _, e := range endpoints {
		list = append(list, e.Address().String())
	}
	return strings.Join(list, " ")
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// find is the endpoint of an address.
func find(t *testing.T, c *Cluster, address string) *Endpoint {
	t.Helper()
	for _, e := range c.Hosts().Endpoints {
		if e.Address().String() == address {
			return e
		}
	}
	t.Fatalf("no endpoint %s among %s", address, addresses(c.Hosts().Endpoints))
	return nil
}

// uniqueIDs checks that IDs are an index: unique, and not above limit.
func uniqueIDs(t *testing.T, endpoints []*Endpoint, limit uint32) {
	t.Helper()
	var seen []uint32
	for _, e := range endpoints {
		if slices.Contains(seen, e.ID) || e.ID > limit {
			t.Errorf("ID %d of %s is taken or above %d", e.ID, e, limit)
		}
		seen = append(seen, e.ID)
	}
}

func static(hosts ...string) *Config {
	c := &Config{Name: "web"}
	for _, host := range hosts {
		at := netip.MustParseAddrPort(host)
		c.Endpoints = append(c.Endpoints, EndpointConfig{Host: at.Addr().String(), Port: at.Port(), Weight: 1})
	}
	return c
}

func named(discovery Discovery, names ...string) *Config {
	c := &Config{Name: "web", Discovery: discovery}
	for _, name := range names {
		c.Endpoints = append(c.Endpoints, EndpointConfig{Host: name, Port: 8080, Weight: 1})
	}
	return c
}

func checks() []HealthConfig {
	return []HealthConfig{{HTTP: &HTTPHealth{Path: "/healthz"}, Every: 5 * time.Second, Timeout: time.Second, Healthy: 2, Unhealthy: 3}}
}

func isReady(c *Cluster) bool {
	select {
	case <-c.Ready():
		return true
	default:
		return false
	}
}

func numbered(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("10.%d.%d.%d:80", i>>16, i>>8&255, i&255)
	}
	return list
}

// setHealth is what checks would say.
func (c *Cluster) setHealth(e *Endpoint, healthy bool) {
	e.health.Store(&Health{Healthy: healthy})
	c.changes = append(c.changes, e)
}

// made is a cluster whose endpoints are there.
func made(config *Config) *Cluster {
	c := New(config)
	c.Hosts()
	return c
}
