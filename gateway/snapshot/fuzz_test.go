package snapshot

import (
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"longmen/gateway/resource"
)

// Whatever a control plane sends, Compile ends without a panic, says the same
// twice, and shares all with itself.
func FuzzCompile(f *testing.F) {
	for _, text := range []string{rich, plain} {
		set := read(f, text)
		for i, l := range set.Listeners {
			f.Add(wire(f, l), wire(f, set.Routes[min(i, len(set.Routes)-1)]), wire(f, set.Clusters[0]), wire(f, set.Clusters[1]))
		}
		for i, cl := range set.Clusters[1:] {
			f.Add(wire(f, set.Listeners[0]), wire(f, set.Routes[0]), wire(f, cl), wire(f, set.Clusters[i]))
		}
	}
	f.Fuzz(func(t *testing.T, l, r, a, b []byte) {
		set := &resource.Set{
			Listeners: []*listener.Listener{{}},
			Routes:    []*route.RouteConfiguration{{}},
			Clusters:  []*clusterv3.Cluster{{}, {}},
		}
		for raw, m := range map[*[]byte]proto.Message{&l: set.Listeners[0], &r: set.Routes[0], &a: set.Clusters[0], &b: set.Clusters[1]} {
			if proto.Unmarshal(*raw, m) != nil {
				return
			}
		}
		first, problems := Compile(set, nil)
		again, sameProblems := Compile(set, first)
		if len(problems) != len(sameProblems) || (first == nil) != (again == nil) {
			t.Fatalf("first %v, then %v", problems, sameProblems)
		}
		if (first == nil) != (problems.Err() != nil) {
			t.Fatalf("a snapshot exactly when there is no error: %v, %v", first, problems)
		}
		if first == nil {
			return
		}
		if first.Version != again.Version || first.Listeners[0] != again.Listeners[0] || first.Clusters[0] != again.Clusters[0] {
			t.Fatal("the same set is not shared")
		}
	})
}

func wire(f *testing.F, m proto.Message) []byte {
	f.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	return raw
}
