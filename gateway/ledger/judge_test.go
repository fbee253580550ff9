package ledger

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

var endpoint = netip.MustParseAddrPort("10.0.0.7:8080")

// entry is one that is judged; its workers have what is given, the first is worker 0.
func entry(clusters []Standing, holdings ...[]Holding) *Entry {
	e := &Entry{Endpoint: endpoint, Configuration: Configuration{"v2", "v2"}, Clusters: clusters}
	for i, h := range holdings {
		e.Workers = append(e.Workers, Worker{ID: i, Configuration: "v2", Current: true, Holdings: h})
	}
	e.Judge()
	return e
}

func standing(cluster string, s State) []Standing {
	return []Standing{{Cluster: cluster, State: s, Origin: "gateway.yaml:7:3"}}
}

func TestJudge(t *testing.T) {
	left := []Holding{{Cluster: "web", Streams: 2, Connections: 3, Idle: 1, Oldest: Seconds(12500 * time.Millisecond)}}
	for name, test := range map[string]struct {
		e     *Entry
		state State
		held  string
	}{
		"never here":          {entry(nil, nil, nil), Unknown, ""},
		"was here":            {entry(standing("web", Departed), nil, nil), Departed, ""},
		"draining":            {entry(standing("web", Draining), nil, nil), Draining, ""},
		"draining, with idle": {entry(standing("web", Draining), []Holding{{Cluster: "web", Connections: 4, Idle: 4}}), Draining, ""},
		"serving":             {entry(standing("web", Serving), nil, nil), Serving, "serving in cluster web (gateway.yaml:7:3)"},
		"ejected":             {entry(standing("web", Ejected), nil), Ejected, "ejected in cluster web (gateway.yaml:7:3)"},
		"unhealthy":           {entry(standing("web", Unhealthy), nil), Unhealthy, "unhealthy in cluster web (gateway.yaml:7:3)"},
		"one cluster drains, one serves": {entry(append(standing("a", Draining), standing("b", Serving)...), nil), Serving,
			"serving in cluster b (gateway.yaml:7:3)"},
		"streams are left": {entry(standing("web", Departed), left, left), Leaving,
			"4 streams on 2 workers, oldest 12 s, cluster web"},
		"a cluster that is closed keeps streams": {entry(nil, left, nil), Leaving, "2 streams on 1 worker, oldest 12 s, cluster web"},
		"streams of two clusters": {entry(standing("web", Draining), left, []Holding{{Cluster: "api", Streams: 1, Oldest: Seconds(3 * time.Hour)}}), Draining,
			"3 streams on 2 workers, oldest 3 h 0 min, clusters api, web"},
		"a worker that is behind": {entry(standing("web", Departed), nil, []Holding{{Cluster: "web", Pickable: true, Connections: 1, Idle: 1}}), Departed,
			"1 worker may still pick it for cluster web"},
		"pickable where it serves is said once": {entry(standing("web", Serving), []Holding{{Cluster: "web", Pickable: true}}), Serving,
			"serving in cluster web (gateway.yaml:7:3)"},
	} {
		if test.e.State != test.state || test.e.Held != test.held || test.e.Gone != (test.held == "") {
			t.Errorf("%s: %s, held by %q, gone %t", name, test.e.State, test.e.Held, test.e.Gone)
		}
	}
}

// What is in doubt is not gone.
func TestJudgeDoubt(t *testing.T) {
	for held, change := range map[string]func(*Entry){
		"worker 1 does not answer":               func(e *Entry) { e.Workers[1] = Worker{ID: 1, Silent: true} },
		"worker 0 is between two configurations": func(e *Entry) { e.Workers[0].Current = false },
		"no configuration is in use yet":         func(e *Entry) { e.Configuration.InUse = "" },
	} {
		e := entry(standing("web", Departed), nil, nil)
		if !e.Gone {
			t.Fatal("not gone to begin with")
		}
		change(e)
		if e.Judge(); e.Gone || e.Held != held {
			t.Errorf("gone %t, held by %q, want %q", e.Gone, e.Held, held)
		}
	}
}

func TestJudgeSums(t *testing.T) {
	e := entry(standing("web", Serving),
		[]Holding{{Cluster: "web", Streams: 2, Connections: 5, Idle: 3, Oldest: Seconds(time.Second)}, {Cluster: "api", Streams: 1, Connections: 1}},
		[]Holding{{Cluster: "web", Streams: 4, Connections: 6, Idle: 2, Oldest: Seconds(2 * time.Second)}})
	if e.Streams != 7 || e.Connections != 12 || e.Idle != 5 || e.Oldest != Seconds(2*time.Second) {
		t.Errorf("%+v", e)
	}
}

func TestJSON(t *testing.T) {
	e := entry(standing("web", Departed), []Holding{{Cluster: "web", Streams: 1, Connections: 1, Oldest: Seconds(1234567 * time.Microsecond)}})
	e.Clusters[0].Left = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"endpoint":"10.0.0.7:8080"`, `"oldest_seconds":1.234`, `"gone":false`, `"left":"2026-01-02T03:04:05Z"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	var back Entry
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	e.Oldest, e.Workers[0].Holdings[0].Oldest = Seconds(1234*time.Millisecond), Seconds(1234*time.Millisecond)
	if !reflect.DeepEqual(&back, e) {
		t.Errorf("%+v\nwant %+v", back, e)
	}
}

func TestHistory(t *testing.T) {
	var h History
	now := time.Unix(1e9, 0)
	at := func(i int) netip.AddrPort { return netip.AddrPortFrom(endpoint.Addr(), uint16(i+1)) }
	for i := range historySize {
		h.Left(at(i), "web", now)
	}
	h.Left(at(0), "web", now.Add(time.Second)) // again
	h.Left(at(0), "api", now.Add(2*time.Second))
	if got := h.Of(at(0)); len(got) != 2 || got[0] != (Departure{"web", now.Add(time.Second)}) || got[1].Cluster != "api" {
		t.Errorf("%v", got)
	}
	h.Left(at(historySize), "web", now) // one too many: the oldest goes
	if len(h.Of(at(0))) != 0 || len(h.Of(at(1))) != 1 || len(h.Of(at(historySize))) != 1 || len(h.left) != historySize {
		t.Errorf("%d are remembered", len(h.left))
	}
	for i := range 3 * historyClusters {
		h.Left(at(5), fmt.Sprint(i), now)
	}
	if got := h.Of(at(5)); len(got) != historyClusters || got[historyClusters-1].Cluster != fmt.Sprint(3*historyClusters-1) {
		t.Errorf("%v", got)
	}
	var none *History
	none.Left(at(0), "web", now)
	if none.Of(at(0)) != nil {
		t.Error("nil remembers")
	}
}
