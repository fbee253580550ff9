package supervisor

import (
	"fmt"
	"math"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/overload"
	"longmen/gateway/telemetry/metrics"
)

// pressed lets every worker act on actions, and waits until all have.
func (h *house) pressed(actions map[overload.Action]overload.Taken) {
	state := &overload.State{}
	for a, taken := range actions {
		state.Actions[a] = taken
	}
	h.press(state)
	for _, w := range h.workers {
		w.loop.Do(func() {})
	}
}

// shedOf is what a listener's workers have refused.
func (h *house) shedOf(name string, why metrics.Shed) (n uint64) {
	for _, w := range h.workers {
		n += w.metrics.Listener(name).RequestsShed[why].Load()
	}
	return n
}

var memoryShort = overload.Taken{Level: 1, Why: overload.Memory, At: 0.934}

// New requests are told to come again later, and the log says why; what is under way
// goes on, and so does a listener that is not to notice.
func TestRequestsAreShed(t *testing.T) {
	h := newHouse(t, Options{Overload: overload.Config{RetryAfter: 1500 * time.Millisecond}})
	origin := newGated(t)
	a, spared := forwards(t, "a", "c"), listens(t, "spared", "fine")
	spared.BypassOverload = true
	read := logsTo(t, a)
	h.applied(having(snap("1", a, spared), cluster.New(clusterOf("c", origin.Addr()))))
	busy, other := dial(t, h.address("a")), dial(t, h.address("a"))
	busy.ask("/busy")
	<-origin.asked

	h.pressed(map[overload.Action]overload.Taken{overload.RefuseRequests: memoryShort})
	for range 3 {
		other.ask("/new")
		if resp, _ := other.answer(); resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "2" || resp.Close {
			t.Errorf("%v", resp)
		}
	}
	fmt.Fprint(other, "POST /a.B/C HTTP/1.1\r\nHost: test\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n")
	if resp, _ := other.answer(); resp.StatusCode != 200 || resp.Header.Get("Grpc-Status") != "14" || resp.Header.Get("Grpc-Message") != "the gateway is overloaded" || resp.Header.Get("Retry-After") != "2" {
		t.Errorf("gRPC: %v", resp)
	}
	if got := dial(t, h.address("spared")).get("/"); got != "fine" {
		t.Errorf("spared: %q", got)
	}
	origin.more <- true
	if resp, _ := busy.answer(); resp.StatusCode != 200 {
		t.Errorf("what was under way: %v", resp)
	}
	if n := h.shedOf("a", metrics.ShedOverload); n != 4 {
		t.Errorf("%d were shed", n)
	}
	h.pressed(nil)
	other.ask("/again")
	<-origin.asked
	origin.more <- true
	if resp, _ := other.answer(); resp.StatusCode != 200 || resp.Header.Get("Retry-After") != "" {
		t.Errorf("after the overload: %v", resp)
	}
	h.stopped()
	lines := strings.Split(strings.TrimSpace(read()), "\n")
	slices.Sort(lines) // workers write in their own time
	if got := strings.Join(lines, ", "); got != "/a.B/C 200 OM, /again 200 -, /busy 200 -, /new 503 OM, /new 503 OM, /new 503 OM" {
		t.Errorf("log: %s", got)
	}
}

// In a range a part of the requests is refused.
func TestAPartIsShed(t *testing.T) {
	h := newHouse(t, Options{Workers: 1})
	h.applied(snap("1", listens(t, "a", "fine")))
	h.pressed(map[overload.Action]overload.Taken{overload.RefuseRequests: {Level: 0.3, Why: overload.CPU, At: 0.9}})
	c := dial(t, h.address("a"))
	const n = 2000
	for range n {
		c.ask("/")
		c.answer()
	}
	if shed := float64(h.shedOf("a", metrics.ShedOverload)); math.Abs(shed-0.3*n) > 6*math.Sqrt(n*0.3*0.7) {
		t.Errorf("%v of %d", shed, n)
	}
}

func TestConnectionsAreShed(t *testing.T) {
	h := newHouse(t, Options{})
	h.applied(snap("1", listens(t, "a", "fine")))
	open := dial(t, h.address("a"))
	open.get("/")
	h.pressed(map[overload.Action]overload.Taken{overload.RefuseConnections: memoryShort, overload.EndKeepalive: memoryShort})
	for range 5 {
		refused(t, h.address("a"))
	}
	open.ask("/")
	if resp, _ := open.answer(); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("%v", resp)
	}
	open.closed()
	// A listener that comes meanwhile knows of it, too.
	h.applied(snap("2", listens(t, "a", "fine"), listens(t, "b", "new")))
	refused(t, h.address("b"))
	h.pressed(nil)
	for name, want := range map[string]string{"a": "fine", "b": "new"} {
		if got := dial(t, h.address(name)).get("/"); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestRequestsAtOnce(t *testing.T) {
	h := newHouse(t, Options{})
	origin := newGated(t)
	c := cluster.New(clusterOf("c", origin.Addr()))
	limited := func(version string, most int) {
		a := forwards(t, "a", "c")
		a.HTTP.MaxActiveRequests = most
		h.applied(having(snap(version, a), c))
	}
	limited("1", 2)
	var busy []*client
	hold := func() {
		c := dial(t, h.address("a"))
		c.ask("/busy")
		<-origin.asked
		busy = append(busy, c)
	}
	release := func() {
		for _, c := range busy {
			origin.more <- true
			if resp, _ := c.answer(); resp.StatusCode != 200 {
				t.Errorf("%v", resp)
			}
		}
		busy = nil
	}
	full := func(want uint64) {
		t.Helper()
		c := dial(t, h.address("a"))
		c.ask("/more")
		if resp, _ := c.answer(); resp.StatusCode != 503 || h.shedOf("a", metrics.ShedLimit) != want {
			t.Errorf("%v, %d shed", resp, h.shedOf("a", metrics.ShedLimit))
		}
	}
	hold()
	hold()
	full(1)
	release()
	hold()
	hold()
	full(2)
	// Those under way keep the limit that they began with, and it ends with them.
	limited("2", 0)
	hold()
	limited("3", 1)
	release()
	hold()
	full(3)
	release()
	if n := h.requests["a"].Open(); n != 0 {
		t.Errorf("%d under way", n)
	}
}

func TestConnectionsOfOneClient(t *testing.T) {
	h := newHouse(t, Options{})
	limited := func(version string, most int) {
		a := listens(t, "a", "fine")
		a.HTTP.MaxClientConnections = most
		h.applied(snap(version, a))
	}
	limited("1", 0)
	first, second := dial(t, h.address("a")), dial(t, h.address("a"))
	first.get("/")
	second.get("/")
	limited("2", 2) // those that are there count
	refused(t, h.address("a"))
	second.Close()
	for h.connections() > 1 {
		time.Sleep(time.Millisecond)
	}
	third := dial(t, h.address("a"))
	third.get("/")
	refused(t, h.address("a"))
	limited("3", 0)
	dial(t, h.address("a")).get("/")
	first.get("/")
}

// The process is measured against a size that it has long passed: it says so, does
// what is asked, and bounds its garbage.
func TestMemoryIsShort(t *testing.T) {
	config := overload.Config{Interval: 10 * time.Millisecond, MemoryLimit: 1 << 20}
	config.Triggers[overload.Memory][overload.RefuseRequests] = overload.Trigger{From: 0.9, To: 0.9}
	config.Triggers[overload.Memory][overload.Release] = overload.Trigger{From: 0.8, To: 0.8}
	h := newHouse(t, Options{Overload: config, AdminBind: "127.0.0.1:0"})
	h.applied(snap("1", listens(t, "a", "fine")))
	c := dial(t, h.address("a"))
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c.ask("/")
		resp, _ := c.answer()
		if resp.StatusCode == 503 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("requests are served although memory is short")
		}
	}
	if limit, want := debug.SetMemoryLimit(-1), int64(838860+ballastSize); limit != want {
		t.Errorf("Go's limit is %d, want %d", limit, want)
	}
	o := h.describeOverload()
	if len(o.Resources) != 1 || o.Resources[0].Name != "memory" || o.Resources[0].Pressure < 1 || len(o.Actions) != 2 || o.Actions[1].Name != "refuse_requests" ||
		o.Actions[1].Level != 1 || !strings.HasPrefix(o.Actions[1].Because, "memory ") || fmt.Sprint(o.Actions[1].Triggers) != "[memory 90%]" {
		t.Errorf("%+v", o)
	}
	if s := h.overloadStats(); len(s.Resources) != 1 || len(s.Actions) != int(overload.ActionCount) || s.Actions[overload.RefuseRequests].Starts != 1 {
		t.Errorf("%+v", s)
	}
	if h.log.find("overload: refusing requests begins action=refuse_requests because=memory ") == "" {
		t.Error("the log does not say so")
	}
	resp, err := http.Get("http://" + h.log.find("admin API address=") + "/overload?format=json")
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("%v %v", resp, err)
	} else {
		resp.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	}
	h.stopped()
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		t.Errorf("afterwards Go's limit is %d", limit)
	}
}

// A loop that is held up has a lag, also while it is.
func TestLag(t *testing.T) {
	h := newHouse(t, Options{})
	probe := &lagProbe{workers: h.workers}
	probe.measure()
	for _, w := range h.workers {
		w.loop.Do(func() {})
	}
	if lag := probe.measure(); lag > patience {
		t.Errorf("%v", lag)
	}
	held, goOn := make(chan bool), make(chan bool)
	h.workers[1].loop.Post(func() { held <- true; <-goOn })
	<-held
	for probe.probes[1].waited.Load() >= 0 {
		probe.measure() // until the one that is held up has a task
	}
	for probe.measure() < 20*time.Millisecond {
		time.Sleep(time.Millisecond)
	}
	close(goOn)
	h.workers[1].loop.Do(func() {})
	if lag := time.Duration(probe.probes[1].waited.Load()); lag < 20*time.Millisecond {
		t.Errorf("afterwards %v", lag)
	}
}
