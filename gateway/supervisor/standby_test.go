package supervisor

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"longmen/gateway/admin"
	"longmen/gateway/cluster"
	"longmen/gateway/standby"
)

// side is an origin that answers with its name.
type side struct {
	*http.Server
	at     net.Addr
	served atomic.Int64
}

func newSide(t testing.TB, name string) *side {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &side{at: ln.Addr()}
	s.Server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.served.Add(1)
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, name)
	})}
	ended := make(chan bool)
	go func() {
		defer close(ended)
		s.Serve(ln)
	}()
	t.Cleanup(func() {
		s.Close()
		<-ended
	})
	return s
}

func withStandby(name string, at net.Addr, to string, state standby.State) *cluster.Config {
	c := clusterOf(name, at)
	c.Standby = &standby.Config{State: state, Local: 1, Forward: 99, To: to}
	return c
}

// While requests come without a pause, the switch is thrown again and again: nothing fails, and from
// every answer of the admin API on, no request follows what was before.
func TestStandbySwitchesUnderLoad(t *testing.T) {
	warm, active := newSide(t, "warm"), newSide(t, "active")
	h := newHouse(t, Options{AdminBind: "127.0.0.1:0"})
	h.applied(having(snap("1", forwards(t, "a", "c")), cluster.New(withStandby("c", warm.at, "active", standby.Active)), cluster.New(clusterOf("active", active.at))))
	at := h.address("a")

	var stop atomic.Bool
	var clients sync.WaitGroup
	var asked atomic.Int64
	for range 4 {
		clients.Go(func() {
			c := dial(t, at)
			for !stop.Load() {
				c.ask("/")
				resp, body := c.answer()
				if resp.StatusCode != 200 || body != "warm" && body != "active" {
					t.Errorf("%d %s", resp.StatusCode, body)
					return
				}
				asked.Add(1)
			}
		})
	}
	url := "http://" + h.log.find("admin API address=") + "/standby"
	post := func(query string) (change admin.StandbyChange) {
		resp, err := http.Post(url+"?format=json&"+query, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&change); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%d, %v", resp.StatusCode, err)
		}
		return change
	}
	probe := dial(t, at)
	for i := range 40 {
		state, want := "standby", "active"
		if i%2 == 1 {
			state, want = "active", "warm"
		}
		change := post("cluster=c&state=" + state)
		if change.Workers != 2 || len(change.Clusters) != 1 || change.Clusters[0].State != state || !change.Clusters[0].Override {
			t.Fatalf("%+v", change)
		}
		// In standby one of a hundred stays: of ten in a row at least nine go on.
		got := 0
		for range 10 {
			if probe.get("/") == want {
				got++
			}
		}
		if got < 8 || state == "active" && got != 10 {
			t.Errorf("after %s: %d of 10 by %s", state, got, want)
		}
	}
	stop.Store(true)
	clients.Wait()
	if n := warm.served.Load() + active.served.Load(); n < asked.Load() {
		t.Errorf("%d asked, %d served", asked.Load(), n)
	}
	http.DefaultClient.CloseIdleConnections()
	if !strings.Contains(strings.Join(h.log.lines, "\n"), "standby switched cluster=c from=active to=standby by=admin") {
		t.Error("the log does not tell of it")
	}
}

// What the admin API asked for lasts over reloads, until it is withdrawn or the standby is
// configured otherwise; "*" is all clusters that have one.
func TestStandbyOverReloads(t *testing.T) {
	warm, active := newSide(t, "warm"), newSide(t, "active")
	h := newHouse(t, Options{})
	make := func(version string, percent int) {
		c, d := withStandby("c", warm.at, "active", standby.Standby), withStandby("d", warm.at, "active", standby.Standby)
		c.Standby.Local, c.Standby.Forward = percent, 100-percent
		if len(version) > 1 {
			c.ConnectTimeout++ // another version of the cluster
		}
		h.applied(having(snap(version, forwards(t, "a", "c")), cluster.New(c), cluster.New(d), cluster.New(clusterOf("active", active.at))))
	}
	states := func() string {
		var all []string
		for _, s := range h.describeStandby() {
			text := s.Cluster + " " + s.State
			if s.Override {
				text += "!"
			}
			all = append(all, text)
		}
		return strings.Join(all, ", ")
	}
	want := func(what, want string) {
		t.Helper()
		if got := states(); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	make("1", 1)
	want("as configured", "c standby, d standby")
	if _, err := h.switchStandby("c", admin.StandbyActive); err != nil {
		t.Error(err)
	}
	want("one switched", "c active!, d standby")
	make("2b", 1)
	want("after a reload of something else", "c active!, d standby")
	c := dial(t, h.address("a"))
	for range 5 {
		if body := c.get("/"); body != "warm" {
			t.Errorf("an active cluster's request went to %s", body)
		}
	}
	if _, err := h.switchStandby("*", admin.StandbyActive); err != nil {
		t.Error(err)
	}
	want("all switched", "c active!, d active!")
	make("3", 5)
	want("after a reload of c's standby", "c standby, d active!")
	if _, err := h.switchStandby("*", admin.StandbyConfigured); err != nil {
		t.Error(err)
	}
	want("all withdrawn", "c standby, d standby")
	for name, want := range map[string]error{"active": admin.ErrNoStandby, "nobody": admin.ErrNoCluster} {
		if _, err := h.switchStandby(name, admin.StandbyActive); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// /clusters shows where requests go.
func TestFailoverIsDescribed(t *testing.T) {
	h := newHouse(t, Options{})
	web, far := clusterOf("web"), clusterOf("far", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1})
	for i := range 4 {
		web.Endpoints = append(web.Endpoints, cluster.EndpointConfig{Host: "127.0.0.1", Port: uint16(i + 1), Weight: 1, Down: i < 2})
	}
	web.Failover = []string{"gone", "far"}
	h.applied(having(snap("1", forwards(t, "a", "web")), cluster.New(web), cluster.New(far)))
	all := h.describeClusters()
	want := []admin.Share{{Cluster: "web", Percent: 70}, {Cluster: "far", Percent: 30}}
	if got := all[0].Failover; len(got) != 2 || got[0] != want[0] || got[1] != want[1] || all[1].Failover != nil {
		t.Errorf("%+v", all)
	}
}
