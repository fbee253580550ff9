package snapshot

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"longmen/gateway/resource"
	"longmen/gateway/source/yaml"
)

func edit(text, old, new string) string { return strings.Replace(text, old, new, 1) }

func TestEqualResourcesAreShared(t *testing.T) {
	before := compile(t, plain, nil)
	after := compile(t, plain, before)
	if after.Version != before.Version {
		t.Errorf("versions %s and %s", before.Version, after.Version)
	}
	for i := range before.Listeners {
		if after.Listeners[i] != before.Listeners[i] {
			t.Errorf("listener %d is another one", i)
		}
	}
	for i := range before.Clusters {
		if after.Clusters[i] != before.Clusters[i] {
			t.Errorf("cluster %d is another one", i)
		}
	}
}

func TestOnlyWhatChangedIsNew(t *testing.T) {
	before := compile(t, plain, nil)
	for name, test := range map[string]struct {
		text                                   string
		a, b, http, other, allTable, moreTable bool // the same?
	}{
		"an endpoint":   {edit(plain, "10.0.0.2:80", "10.0.0.3:80"), true, false, true, true, true, true},
		"a rule":        {edit(plain, "prefix: /a", "prefix: /b"), true, true, false, true, false, true},
		"an address":    {edit(plain, "8081", "8082"), true, true, true, false, true, true},
		"a table's use": {edit(plain, "routes: more", "routes: all"), true, true, true, false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			after := compile(t, test.text, before)
			if after.Version == before.Version {
				t.Error("the version is the same")
			}
			for what, is := range map[string][2]bool{
				"a":     {after.Clusters[0] == before.Clusters[0], test.a},
				"b":     {after.Clusters[1] == before.Clusters[1], test.b},
				"http":  {after.Listeners[0] == before.Listeners[0], test.http},
				"other": {after.Listeners[1] == before.Listeners[1], test.other},
				"all":   {after.Listeners[0].Routes == before.Listeners[0].Routes, test.allTable},
				"more":  {after.Listeners[1].Routes == before.Listeners[1].Routes, test.moreTable},
			} {
				if is[0] != is[1] {
					t.Errorf("%s: shared is %v, want %v", what, is[0], is[1])
				}
			}
		})
	}
}

// A line more above moves what is written below: rules say so in the log, so they
// are new; clusters, with their health and connections, and sockets are not.
func TestMovedLines(t *testing.T) {
	before := compile(t, plain, nil)
	after := compile(t, "# one more line\n"+plain, before)
	if after.Version != before.Version || after.Clusters[0] != before.Clusters[0] || after.Listeners[0].Hash != before.Listeners[0].Hash {
		t.Error("nothing but places has changed")
	}
	if got := first(t, after, "/a").Origin; got == first(t, before, "/a").Origin {
		t.Errorf("the rule is still at %s", got)
	}
	if after.Listeners[0].RoutesHash != before.Listeners[0].RoutesHash {
		t.Error("the routes say the same")
	}
}

func TestListenerHashIsWithoutRoutes(t *testing.T) {
	inline := `listeners: {http: {bind: ":8080", routes: [{hosts: ["*"], rules: [{respond: {status: 204}}]}]}}`
	a, b := compile(t, inline, nil), compile(t, edit(inline, "204", "205"), nil)
	if a.Listeners[0].Hash != b.Listeners[0].Hash {
		t.Error("other routes must not change the hash")
	}
	c := compile(t, edit(inline, "routes:", "backlog: 7, routes:"), nil)
	if a.Listeners[0].Hash == c.Listeners[0].Hash {
		t.Error("another backlog must")
	}
}

// A cluster's slot stays with its name, and is given again when it is free in the
// snapshot before, too.
func TestSlotsAreStable(t *testing.T) {
	one := compile(t, plain, nil)
	withoutA := `
listeners: {http: {bind: ":8080", routes: all}}
routes: {all: [{hosts: ["*"], rules: [{to: {c: 1, b: 1}}]}]}
clusters:
  c: {endpoints: ["10.0.0.3:80"]}
  b: {endpoints: ["10.0.0.2:80"]}
`
	two := compile(t, withoutA, one)
	if _, gone := two.ClusterSlots["a"]; gone || two.Clusters[0] != nil || two.Clusters[1] != one.Clusters[1] || two.ClusterSlots["c"] != 2 || two.Clusters[2].Config().Name != "c" {
		t.Errorf("slots %v", two.ClusterSlots)
	}
	three := compile(t, plain, two)
	if three.ClusterSlots["a"] != 0 || three.Clusters[0] == nil || three.Clusters[0] == one.Clusters[0] || three.Clusters[2] != nil {
		t.Errorf("slots %v", three.ClusterSlots)
	}
	if len(one.ClusterSlots) != 2 {
		t.Error("an old snapshot has changed")
	}
}

// Names that are ever new need no more slots than two snapshots have clusters.
func TestSlotsAreBounded(t *testing.T) {
	var before *Snapshot
	for i := range 50 {
		text := fmt.Sprintf("listeners: {http: {bind: \":8080\", routes: all}}\nroutes: {all: [{hosts: [\"*\"], rules: [{to: {stable: 1, v%d: 1}}]}]}\n"+
			"clusters: {v%d: {endpoints: [\"10.0.0.1:80\"]}, stable: {endpoints: [\"10.0.0.2:80\"]}}\n", i, i)
		after := compile(t, text, before)
		if len(after.Clusters) > 3 || len(after.ClusterSlots) != 2 {
			t.Fatalf("after %d changes: %d slots, %v", i, len(after.Clusters), after.ClusterSlots)
		}
		name := fmt.Sprintf("v%d", i)
		if got := after.Clusters[after.ClusterSlots[name]]; got == nil || got.Config().Name != name {
			t.Fatalf("slot %d of %s holds another cluster", after.ClusterSlots[name], name)
		}
		if before != nil {
			if after.ClusterSlots["stable"] != before.ClusterSlots["stable"] {
				t.Fatal("a name that stays has another slot")
			}
			for slot, old := range before.Clusters {
				if now := after.Clusters[slot]; old != nil && now != nil && old.Config().Name != now.Config().Name {
					t.Fatalf("slot %d goes from %s to %s at once", slot, old.Config().Name, now.Config().Name)
				}
			}
		}
		before = after
	}
}

// What a table refers to is looked up anew although the table is shared.
func TestSharedRoutesAreCheckedAgain(t *testing.T) {
	before := compile(t, plain, nil)
	_, problems := Compile(read(t, edit(plain, "  b: {endpoints: [\"10.0.0.2:80\"]}\n", "")), before)
	if err := problems.Err(); err == nil || !strings.Contains(err.Error(), `no cluster named "b"`) {
		t.Errorf("got %v", err)
	}
}

func TestWarningsOfSharedRoutesStay(t *testing.T) {
	text := edit(plain, "{to: a}]", "{to: a}, {match: {path: /x}, to: a}]")
	before := compile(t, text, nil)
	after := compile(t, text, before)
	if len(before.Warnings) != 1 || len(after.Warnings) != 1 {
		t.Errorf("warnings %v, then %v", before.Warnings, after.Warnings)
	}
}

// The order in which a map was written within a packed message does not count.
func TestHashIsCanonical(t *testing.T) {
	text := `listeners: {http: {bind: ":1", routes: [], limits: {connections: 1, accept_rate: 2, line: 512, body: 9}, min_rate: {request: 1, response: 2}}}`
	result, _ := yaml.Decode("", []byte(text))
	l := result.Set.Listeners[0]
	want := hash(l)
	for range 20 {
		again := proto.CloneOf(l)
		packed := again.GetMetadata().GetTypedFilterMetadata()[resource.Extension]
		inner, err := packed.UnmarshalNew()
		if err != nil {
			t.Fatal(err)
		}
		if err := packed.MarshalFrom(inner); err != nil { // in random order
			t.Fatal(err)
		}
		if hash(again) != want {
			t.Fatal("equal messages, different hashes")
		}
	}
}
