package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"longmen/gateway/cluster"
)

func TestDrain(t *testing.T) {
	h := newHouse(t, Options{AdminBind: "127.0.0.1:0"})
	origin := newGated(t)
	l := forwards(t, "a", "c")
	h.applied(having(snap("1", l), cluster.New(clusterOf("c", origin.Addr()))))
	if ok, _ := h.ready(); !ok {
		t.Error("not ready")
	}
	busy, idle := dial(t, h.address("a")), dial(t, h.address("a"))
	idle.ask("/idle")
	<-origin.asked
	origin.more <- true
	idle.answer()
	busy.ask("/busy")
	<-origin.asked
	if state := h.drainState(); state.Draining || state.Connections != 2 || state.Requests != 1 || !state.Since.IsZero() {
		t.Errorf("%+v", state)
	}

	h.Drain()
	h.Drain() // twice is well
	idle.closed()
	for h.connections() > 1 || h.accepting() {
		time.Sleep(time.Millisecond)
	}
	if ok, why := h.ready(); ok || why != "draining" {
		t.Errorf("%v %s", ok, why)
	}
	if state := h.drainState(); !state.Draining || state.Connections != 1 || state.Requests != 1 || state.Deadline.Sub(state.Since) != patience {
		t.Errorf("%+v", state)
	}
	if !h.describeListeners()[0].Draining {
		t.Error("the listener does not say that it drains")
	}
	if resp, err := http.Get("http://" + h.log.find("admin API address=") + "/ready"); err != nil || resp.StatusCode != 503 {
		t.Errorf("%v %v", resp, err)
	} else {
		resp.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	}
	origin.more <- true
	resp, body := busy.answer()
	if body != "done" || !resp.Close {
		t.Errorf("%q, close %t", body, resp.Close)
	}
	busy.closed()
	if err := h.run(); err != nil {
		t.Error(err)
	}
	if err := h.Apply(snap("2")); err == nil {
		t.Error("a snapshot is applied while draining")
	}
}

func TestDrainOfNothing(t *testing.T) {
	h := newHouse(t, Options{})
	h.Drain()
	if err := h.run(); err != nil {
		t.Error(err)
	}
}

func TestDrainDeadline(t *testing.T) {
	h := newHouse(t, Options{DrainTimeout: 100 * time.Millisecond})
	origin := newGated(t)
	l := forwards(t, "a", "c")
	read := logsTo(t, l)
	c := cluster.New(clusterOf("c", origin.Addr()))
	h.applied(having(snap("1", l), c))
	busy := dial(t, h.address("a"))
	busy.ask("/busy")
	<-origin.asked
	h.Drain()
	busy.closed()
	if err := h.run(); err != nil {
		t.Error(err)
	}
	if h.log.find("the drain deadline has passed; connections are cut off connections=1") != "" {
		t.Error("more was cut off")
	}
	if got := read(); got != "/busy 0 LR\n" {
		t.Errorf("log: %q", got)
	}
	if connections, _, requests, _ := c.InUse(); connections+requests != 0 {
		t.Errorf("%d connections, %d requests in use", connections, requests)
	}
}

// A request that came before the drain, on a connection that no worker has
// accepted yet, is answered.
func TestDrainAnswersTheBacklog(t *testing.T) {
	h := newHouse(t, Options{Workers: 1})
	h.applied(snap("1", listens(t, "a", "late")))
	const n = 30
	var clients []*client
	held := make(chan bool)
	h.workers[0].loop.Post(func() {
		for range n {
			c := dial(t, h.address("a"))
			c.ask("/")
			clients = append(clients, c)
		}
		h.workers[0].drain()
		close(held)
	})
	<-held
	for i, c := range clients {
		resp, body := c.answer()
		if body != "late" || !resp.Close {
			t.Fatalf("%d: %q, close %t", i, body, resp.Close)
		}
		c.closed()
	}
	h.Drain()
	if err := h.run(); err != nil {
		t.Error(err)
	}
}

// The end of Run's context cuts off what is under way, and all of it is logged.
func TestStop(t *testing.T) {
	h := newHouse(t, Options{Workers: 3})
	origin := newGated(t)
	l := forwards(t, "a", "c")
	read := logsTo(t, l)
	c := cluster.New(clusterOf("c", origin.Addr()))
	h.applied(having(snap("1", l), c))
	var clients []*client
	for range 12 {
		c := dial(t, h.address("a"))
		c.ask("/busy")
		clients = append(clients, c)
		<-origin.asked
	}
	idle := dial(t, h.address("a"))
	if err := h.stopped(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, c := range append(clients, idle) {
		io.Copy(io.Discard, c.r)
	}
	if got := read(); strings.Count(got, "/busy 0 LR\n") != len(clients) {
		t.Errorf("log: %q", got)
	}
	if connections, _, requests, _ := c.InUse(); connections+requests != 0 {
		t.Errorf("%d connections, %d requests in use", connections, requests)
	}
	for _, w := range h.workers {
		if n, _ := w.loop.Buffers.Lent(); n != 0 {
			t.Errorf("worker %d: %d buffers are lent", w.loop.ID, n)
		}
	}
}

func TestStopWhileDraining(t *testing.T) {
	h := newHouse(t, Options{})
	origin := newGated(t)
	h.applied(having(snap("1", forwards(t, "a", "c")), cluster.New(clusterOf("c", origin.Addr()))))
	busy := dial(t, h.address("a"))
	busy.ask("/busy")
	<-origin.asked
	h.Drain()
	h.stopped()
	busy.closed()
}

func TestDescriptions(t *testing.T) {
	h := newHouse(t, Options{Workers: 1})
	if ok, why := h.ready(); ok || why != "starting" {
		t.Errorf("%v %s", ok, why)
	}
	if h.describeListeners() != nil || h.describeClusters() != nil || h.endpointCounts() != nil || h.live() != nil {
		t.Error("something is there before the first snapshot")
	}
	origin := newGated(t)
	config := clusterOf("c", origin.Addr())
	config.Origin, config.Balance = "gateway.yaml:3", cluster.LeastRequest
	config.Endpoints = append(config.Endpoints, cluster.EndpointConfig{Host: "127.0.0.2", Port: 9, Weight: 3, Draining: true, Origin: "gateway.yaml:5"})
	l := forwards(t, "a", "c")
	l.RoutesName = "public"
	h.applied(having(snap("v1", l), cluster.New(config)))
	client := dial(t, h.address("a"))
	client.ask("/")
	<-origin.asked
	text, _ := json.Marshal(h.describeListeners())
	if want := `[{"name":"a","origin":"test","addresses":["127.0.0.1:0"],"routes":"public","version":"v1"`; !strings.HasPrefix(string(text), want) {
		t.Errorf("%s\nwant %s", text, want)
	}
	all := h.describeClusters()
	if len(all) != 1 || all[0].Name != "c" || all[0].Origin != "gateway.yaml:3" || all[0].Discovery != "static" || all[0].Balance != "least_request" || len(all[0].Endpoints) != 2 {
		t.Fatalf("%+v", all)
	}
	if e := all[0].Endpoints[0]; e.Address != origin.Addr().String() || e.Health != "unknown" || e.Active != 1 || e.Weight != 1 {
		t.Errorf("%+v", e)
	}
	if e := all[0].Endpoints[1]; e.Address != "127.0.0.2:9" || e.Health != "draining" || e.Active != 0 || e.Weight != 3 || e.Origin != "gateway.yaml:5" {
		t.Errorf("%+v", e)
	}
	if n := h.endpointCounts(); len(n) != 1 || n[0].Cluster != "c" || n[0].Healthy != 1 || n[0].Draining != 1 || n[0].Unhealthy != 0 {
		t.Errorf("%+v", n)
	}
	origin.more <- true
	client.answer()
}
