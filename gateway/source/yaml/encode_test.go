package yaml

import (
	"strings"
	"testing"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// What the vocabulary cannot say is an error that names the resource, never a
// text that says something else.
func TestEncodeRefuses(t *testing.T) {
	good := func() *resource.Set {
		return decodeGood(t, "good", []byte(`
listeners: {l: {bind: ":80", routes: r}}
routes: {r: [{hosts: [a, b], rules: [{to: c, headers: {request: {set: {a: b}, add: {a: c}}}}, {respond: {status: 200}}]}]}
clusters: {c: {endpoints: ["10.0.0.1:80"]}}
`)).Set
	}
	for want, change := range map[string]func(*resource.Set){
		`listener "l"`: func(s *resource.Set) { s.Listeners[0].Transparent = wrapperspb.Bool(true) },
		`listener "l": proto`: func(s *resource.Set) {
			s.Listeners[0].FilterChains[0].Filters[0].ConfigType = &listener.Filter_TypedConfig{TypedConfig: &anypb.Any{TypeUrl: "x/y"}}
		},
		`listener "m"`:         func(s *resource.Set) { s.Listeners = append(s.Listeners, &listener.Listener{Name: "m"}) },
		`route table "r"`:      func(s *resource.Set) { s.Routes[0].VirtualHosts[0].RequireTls = route.VirtualHost_ALL },
		`route table "a name"`: func(s *resource.Set) { s.Routes[0].Name = "a name" },
		`route table "r" `: func(s *resource.Set) { // the order of set and add
			add := s.Routes[0].VirtualHosts[0].Routes[0].RequestHeadersToAdd
			add[0], add[1] = add[1], add[0]
		},
		`cluster "c"`: func(s *resource.Set) { s.Clusters[0].LbPolicy = cluster.Cluster_RANDOM },
		`cluster "c": metadata`: func(s *resource.Set) {
			s.Clusters[0].Metadata = &core.Metadata{TypedFilterMetadata: map[string]*anypb.Any{resource.Extension: {}}}
		},
		"separate endpoints": func(s *resource.Set) { s.Endpoints = []*endpoint.ClusterLoadAssignment{{ClusterName: "c"}} },
	} {
		set := good()
		if text, err := Encode(set); err != nil || len(text) == 0 {
			t.Fatalf("the set is good: %v", err)
		}
		change(set)
		if _, err := Encode(set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error about %s, got %v", want, err)
		}
	}
}

func TestEncodeNothing(t *testing.T) {
	text, err := Encode(&resource.Set{})
	if err != nil || string(text) != "{}\n" {
		t.Errorf("%q, %v", text, err)
	}
}
