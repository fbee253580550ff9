package supervisor

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/ledger"
)

func addressOf(o net.Listener) netip.AddrPort { return o.Addr().(*net.TCPAddr).AddrPort() }

// look is what the ledger says at once of one endpoint.
func (h *house) look(at netip.AddrPort) ledger.Entry {
	return h.Ledger(context.Background(), []netip.AddrPort{at}, 0)[0]
}

// onBoth holds streams at the origin until both workers have one, and returns
// their connections.
func (h *house) onBoth(origin *gated) []*client {
	h.Helper()
	var all []*client
	for {
		c := dial(h, h.address("a"))
		c.ask("/held")
		all = append(all, c)
		<-origin.asked
		e := h.look(addressOf(origin))
		if e.Streams != len(all) || e.Connections != len(all) || e.Idle != 0 {
			h.Fatalf("%+v, with %d streams", e, len(all))
		}
		if len(e.Workers[0].Holdings) > 0 && len(e.Workers[1].Holdings) > 0 && e.Workers[0].Holdings[0].Streams > 0 && e.Workers[1].Holdings[0].Streams > 0 {
			return all
		}
		if len(all) == 100 {
			h.Fatal("all connections come to one worker")
		}
	}
}

// An endpoint is removed while streams of both workers are on it.
func TestLedger(t *testing.T) {
	h := newHouse(t, Options{})
	origin, other := newGated(t), newGated(t)
	at := addressOf(origin)
	if e := h.look(at); e.Gone || !strings.HasPrefix(e.Held, "no configuration is in use yet; ") {
		t.Errorf("%+v, before the start", e)
	}
	l := forwards(t, "a", "c")
	first := having(snap("1", l), cluster.New(clusterOf("c", origin.Addr())))
	h.applied(first)
	e := h.look(at)
	if e.Gone || e.State != ledger.Serving || e.Held != "serving in cluster c" || len(e.Workers) != 2 ||
		e.Configuration != (ledger.Configuration{Received: "1", InUse: "1"}) {
		t.Errorf("%+v", e)
	}
	for _, w := range e.Workers {
		if w.Configuration != "1" || !w.Current || w.Hosts["c"] != e.Clusters[0].Hosts || len(w.Holdings) != 1 || !w.Holdings[0].Pickable {
			t.Errorf("%+v", w)
		}
	}
	held := h.onBoth(origin)

	next := cluster.New(clusterOf("c", other.Addr()))
	l2 := *l
	h.applied(having(snap("2", &l2), next))
	e = h.look(at)
	if e.Gone || e.State != ledger.Leaving || e.Streams != len(held) || !strings.Contains(e.Held, " on 2 workers, oldest ") ||
		len(e.Clusters) != 1 || e.Clusters[0].State != ledger.Departed || e.Clusters[0].Left.IsZero() || e.Clusters[0].Hosts != next.Hosts().Version {
		t.Errorf("%+v", e)
	}
	for _, w := range e.Workers {
		if w.Configuration != "2" || w.Hosts["c"] != next.Hosts().Version || w.Holdings[0].Pickable {
			t.Errorf("%+v", w)
		}
	}
	if all := h.Ledger(context.Background(), nil, 0); len(all) != 1 || all[0].Endpoint != at || all[0].Streams != len(held) {
		t.Errorf("on their way out: %+v", all)
	}
	done := make(chan ledger.Entry, 1)
	go func() { done <- h.Ledger(context.Background(), []netip.AddrPort{at}, time.Hour)[0] }()
	for h.asking() == 0 {
		time.Sleep(time.Millisecond)
	}
	for i, c := range held {
		select {
		case e := <-done:
			t.Fatalf("%+v, with %d streams", e, len(held)-i)
		default:
		}
		origin.more <- true
		if _, body := c.answer(); body != "done" {
			t.Errorf("%q", body)
		}
	}
	select {
	case e = <-done:
	case <-time.After(patience):
		t.Fatal("nobody says that it is gone")
	}
	if !e.Gone || e.State != ledger.Departed || e.Streams != 0 || e.Connections != 0 {
		t.Errorf("%+v", e)
	}
	if n := h.asking(); n != 0 {
		t.Errorf("%d wait still", n)
	}
	// The cluster goes altogether, and the other endpoint with it.
	h.applied(snap("3", listens(t, "a", "no cluster")))
	e = h.Ledger(context.Background(), []netip.AddrPort{addressOf(other)}, time.Hour)[0]
	if !e.Gone {
		t.Errorf("%+v", e)
	}
}

// asking is how many wait at the desk.
func (h *house) asking() int {
	h.desk.mu.Lock()
	defer h.desk.mu.Unlock()
	return len(h.desk.askers)
}

// An endpoint that drains is gone when its last stream has ended, and is not when
// it serves again.
func TestLedgerDraining(t *testing.T) {
	h := newHouse(t, Options{})
	origin, other := newGated(t), newGated(t)
	at := addressOf(origin)
	l := forwards(t, "a", "c")
	version := 0
	apply := func(draining bool) {
		t.Helper()
		version++
		config := clusterOf("c", origin.Addr(), other.Addr())
		config.Endpoints[0].Draining = draining
		same := *l
		h.applied(having(snap(string(rune('0'+version)), &same), cluster.New(config)))
	}
	apply(false)
	apply(true)
	if e := h.look(at); !e.Gone || e.State != ledger.Draining {
		t.Errorf("%+v", e)
	}
	if all := h.Ledger(context.Background(), nil, 0); len(all) != 1 || all[0].Endpoint != at || !all[0].Gone {
		t.Errorf("on their way out: %+v", all)
	}
	apply(false)
	if e := h.look(at); e.Gone || e.State != ledger.Serving {
		t.Errorf("%+v", e)
	}
	done := make(chan ledger.Entry, 1)
	go func() { done <- h.Ledger(context.Background(), []netip.AddrPort{at}, time.Hour)[0] }()
	for h.asking() == 0 {
		time.Sleep(time.Millisecond)
	}
	apply(true) // who waits is told of a snapshot, too
	select {
	case e := <-done:
		if !e.Gone {
			t.Errorf("%+v", e)
		}
	case <-time.After(patience):
		t.Fatal("nobody says that it is gone")
	}
}

// A worker that does not answer may still use what it likes.
func TestLedgerOfASilentWorker(t *testing.T) {
	h := newHouse(t, Options{})
	h.applied(snap("1", listens(t, "a", "x")))
	block := make(chan bool)
	h.workers[1].loop.Post(func() { <-block })
	e := h.look(netip.MustParseAddrPort("192.0.2.1:80"))
	close(block)
	if e.Gone || e.Held != "worker 1 does not answer" || !e.Workers[1].Silent || e.Workers[0].Silent {
		t.Errorf("%+v", e)
	}
	if e := h.look(netip.MustParseAddrPort("192.0.2.1:80")); !e.Gone || e.State != ledger.Unknown {
		t.Errorf("%+v", e)
	}
}

// Those who wait are bounded, and none holds up the end.
func TestLedgerWaits(t *testing.T) {
	h := newHouse(t, Options{})
	origin := newGated(t)
	at := []netip.AddrPort{addressOf(origin)}
	h.applied(having(snap("1", forwards(t, "a", "c")), cluster.New(clusterOf("c", origin.Addr()))))
	ended := make(chan bool, mostAskers)
	for range mostAskers {
		go func() { h.Ledger(context.Background(), at, time.Hour); ended <- true }()
	}
	for h.asking() < mostAskers {
		time.Sleep(time.Millisecond)
	}
	if e := h.Ledger(context.Background(), at, time.Hour)[0]; e.Gone { // answered at once
		t.Errorf("%+v", e)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.desk.leave(nil) // nobody: nothing happens
	h.stopped()
	for range mostAskers {
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatal("somebody waits for ever")
		}
	}
	h.Ledger(ctx, at, time.Hour)
}

// Who waits is told of what concerns it, and of nothing else.
func TestDeskTells(t *testing.T) {
	at, elsewhere := netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("10.0.0.2:80")
	address := func(a netip.AddrPort) net.Addr { return net.TCPAddrFromAddrPort(a) }
	var d desk
	a := d.join([]netip.AddrPort{at})
	told := func() bool {
		select {
		case <-a.news:
			return true
		default:
			return false
		}
	}
	stands := func(state ledger.State, left time.Time) []ledger.Entry {
		return []ledger.Entry{{Endpoint: at, Clusters: []ledger.Standing{{Cluster: "had", State: state, Left: left}}}}
	}
	other := cluster.New(clusterOf("other", address(elsewhere)))
	if d.changed(other); !told() {
		t.Error("not told before its first look")
	}
	d.looked(a, stands(ledger.Serving, time.Time{}))
	if d.changed(other); told() {
		t.Error("told of a cluster without the endpoint")
	}
	if d.changed(cluster.New(clusterOf("has", address(at)))); !told() {
		t.Error("not told of a cluster that has the endpoint")
	}
	if d.changed(cluster.New(clusterOf("had", address(elsewhere)))); !told() {
		t.Error("not told of a cluster that had the endpoint")
	}
	d.looked(a, stands(ledger.Departed, time.Now()))
	if d.changed(cluster.New(clusterOf("had", address(elsewhere)))); told() {
		t.Error("told of a cluster that the endpoint left long since")
	}
	if d.vacated(elsewhere); told() {
		t.Error("told of another address")
	}
	if d.vacated(at); !told() {
		t.Error("not told that the last stream has left")
	}
	d.applied()
	if d.applied(); !told() || told() {
		t.Error("not told once of another configuration")
	}
}
