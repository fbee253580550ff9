package scenario

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// A datacentre is a gateway and its service in a network of their own. The gateway
// listens on 10.77.0.n:8080.
type datacentre struct {
	*netns
	t       *testing.T
	wide    *netns
	name    string
	at      string // of the gateway
	origins []*harness.Origin
	admin   http.Client
	log     string
	out     output
	exited  chan struct{}
}

// endpoints is how many each service has.
const endpoints = 10

// datacentres starts count of them, each of which fails over to all others.
func datacentres(t *testing.T, count int) []*datacentre {
	t.Helper()
	networks, wide := networks(t, count)
	var all []*datacentre
	for i, n := range networks {
		d := &datacentre{netns: n, t: t, wide: wide, name: fmt.Sprintf("dc%d", i+1), at: fmt.Sprintf("10.77.0.%d:8080", i+1), exited: make(chan struct{})}
		d.admin = http.Client{Timeout: patience, Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(context.Context, string, string) (net.Conn, error) { return n.dial("127.0.0.1:15000") },
		}}
		for range endpoints {
			d.origins = append(d.origins, d.origin())
		}
		all = append(all, d)
	}
	for i, d := range all {
		d.start(all, i)
	}
	for _, d := range all {
		for _, name := range []string{"web", "dc1", "dc2", "dc3"} {
			if name != d.name {
				d.capacity(name, 1)
			}
		}
	}
	return all
}

// origin starts an endpoint of the service, which answers with the data centre's name. It does
// so in one piece: a response whose beginning a client has cannot be had again.
func (d *datacentre) origin() (o *harness.Origin) {
	d.t.Helper()
	var err error
	d.do(func() {
		o, err = harness.StartOrigin(func(x *harness.Exchange) {
			if x.ReadBody() == nil {
				fmt.Fprintf(writer(x.Write), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(d.name), d.name)
			}
		})
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(o.Close)
	return o
}

type writer func(b []byte) error

func (w writer) Write(b []byte) (int, error) { return len(b), w(b) }

// start starts the gateway. Its health checks of the others ask for a path that is
// answered by their own endpoints alone: one that fails over would always be well.
// "ring" is what one should not do: the gateways point at each other, with no endpoint
// behind any.
func (d *datacentre) start(all []*datacentre, i int) {
	d.t.Helper()
	var addresses []string
	for _, o := range d.origins {
		addresses = append(addresses, `"`+o.Addr+`"`)
	}
	own := "[" + strings.Join(addresses, ", ") + "]"
	var others, clusters []string
	for _, o := range all {
		if o == d {
			continue
		}
		others = append(others, o.name)
		clusters = append(clusters, fmt.Sprintf(`  %s: {endpoints: ["%s"], peer: %s, health: {http: /healthz, every: 250ms, timeout: 250ms, up: 1, down: 2}}`+"\n", o.name, o.at, o.name))
	}
	dir := d.t.TempDir()
	d.log = filepath.Join(dir, "access.log")
	config := fmt.Sprintf(`workers: 2
loop_guard: {id: %[1]s, hops: 5}
access_log: {path: %[2]s, format: json}
listeners:
  http: {bind: "0.0.0.0:8080", routes: main}
routes:
  main:
    - hosts: ["*"]
      rules:
        - {match: {path: /healthz}, to: own}
        - {match: {prefix: /ring}, to: ring}
        - {to: web, retry: {attempts: 3, on: [connect-failure, reset]}}
clusters:
  web: {endpoints: %[3]s, failover: [%[4]s], health: {http: /, every: 250ms, timeout: 250ms, up: 1, down: 2}}
  own: {endpoints: %[3]s, health: {http: /, every: 250ms, timeout: 250ms, up: 1, down: 2}}
  ring: {endpoints: [], failover: [next]}
  next: {endpoints: ["%[5]s"]}
%[6]s`, d.name, d.log, own, strings.Join(others, ", "), all[(i+1)%len(all)].at, strings.Join(clusters, ""))
	file := filepath.Join(dir, "gateway.yaml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		d.t.Fatal(err)
	}
	cmd := exec.Command(binary(), "run", "-c", file)
	cmd.Stdout, cmd.Stderr = &d.out, &d.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	d.do(func() { err = cmd.Start() })
	if err != nil {
		d.t.Fatal(err)
	}
	go func() {
		cmd.Wait()
		close(d.exited)
	}()
	d.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-d.exited:
		case <-time.After(patience):
			cmd.Process.Kill()
			d.t.Errorf("%s does not stop", d.name)
		}
		if text := d.out.String(); d.t.Failed() || strings.Contains(text, "panic") {
			d.t.Errorf("%s wrote:\n%s", d.name, tail(text, 4<<10))
		}
	})
	eventually(d.t, d.name+" is ready", func() bool {
		select {
		case <-d.exited:
			d.t.Fatalf("%s ended:\n%s\n%s", d.name, d.out.String(), config)
		default:
		}
		res, err := d.admin.Get("http://127.0.0.1:15000/ready")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == 200
	})
}

// kill ends one endpoint: it is refused, and its connections are cut.
func (d *datacentre) kill(i int) { d.origins[i].Close() }

// metrics are the lines of /metrics.
func (d *datacentre) metrics() string {
	res, err := d.admin.Get("http://127.0.0.1:15000/metrics")
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return string(text)
}

// capacity waits until the gateway knows what the endpoints of a cluster can take.
func (d *datacentre) capacity(cluster string, part float64) {
	d.t.Helper()
	want := fmt.Sprintf("longmen_cluster_capacity{cluster=%q} %.3g", cluster, part)
	reached := false
	defer func() {
		if !reached {
			d.t.Log(d.metrics())
		}
	}()
	eventually(d.t, d.name+": "+want, func() bool {
		for line := range strings.Lines(d.metrics()) {
			var got float64
			if n, _ := fmt.Sscanf(line, "longmen_cluster_capacity{cluster=\""+cluster+"\"} %g", &got); n == 1 {
				reached = got > part-0.001 && got < part+0.001
				return reached
			}
		}
		return false
	})
}

// asks sends n requests to the gateway on one connection, and counts who answered. What is not
// answered with 200 is a failure; after one that is not answered at all there are no more.
func (d *datacentre) asks(n int) (by map[string]int, failed []string) {
	by = map[string]int{}
	c, err := d.wide.dial(d.at)
	if err != nil {
		return by, []string{err.Error()}
	}
	defer c.Close()
	k := harness.Client{TCPConn: c.(*net.TCPConn), R: harness.NewReader(c)}
	for range n {
		k.SetDeadline(time.Now().Add(patience))
		_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		var res *harness.Response
		if err == nil {
			res, err = k.Response("GET")
		}
		switch {
		case err != nil:
			return by, append(failed, fmt.Sprintf("%s: %v", d.name, err))
		case res.Status != 200:
			failed = append(failed, fmt.Sprintf("%s: %d", d.name, res.Status))
		default:
			by[string(res.Body)]++
		}
	}
	return by, failed
}

// demand asks all gateways without a pause until stop, and counts.
type demand struct {
	ending atomic.Bool
	all    sync.WaitGroup
	mu     sync.Mutex
	asked  int
	failed []string
}

func askAll(all []*datacentre) *demand {
	l := &demand{}
	for _, d := range all {
		l.all.Go(func() {
			for !l.ending.Load() {
				by, failed := d.asks(20)
				l.mu.Lock()
				for _, n := range by {
					l.asked += n
				}
				l.asked += len(failed)
				l.failed = append(l.failed, failed...)
				l.mu.Unlock()
				time.Sleep(5 * time.Millisecond) // it is a small machine's test
			}
		})
	}
	return l
}

func (l *demand) stop() {
	l.ending.Store(true)
	l.all.Wait()
}
