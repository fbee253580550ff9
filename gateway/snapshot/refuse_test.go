package snapshot

//lint:file-ignore SA1019 control planes still send fields that Envoy calls deprecated

import (
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// refuse compiles plain after a change and expects one problem that holds want.
func refuse(t *testing.T, want string, change func(*resource.Set)) {
	t.Helper()
	set := read(t, plain)
	change(set)
	s, problems := Compile(set, nil)
	if s != nil || len(problems.Errors()) != 1 || !strings.Contains(problems.Errors()[0].String(), want) {
		t.Errorf("want %q, got %v", want, problems)
	}
}

// manage changes the first listener's HttpConnectionManager.
func manage(t *testing.T, set *resource.Set, change func(*hcm.HttpConnectionManager)) {
	t.Helper()
	filter := set.Listeners[0].GetFilterChains()[0].GetFilters()[0]
	var m hcm.HttpConnectionManager
	if err := filter.GetTypedConfig().UnmarshalTo(&m); err != nil {
		t.Fatal(err)
	}
	change(&m)
	if err := filter.GetTypedConfig().MarshalFrom(&m); err != nil {
		t.Fatal(err)
	}
}

// What a control plane may send and gateway.yaml cannot say.
func TestRefusedResources(t *testing.T) {
	rule := func(set *resource.Set) *route.Route { return set.Routes[0].GetVirtualHosts()[0].GetRoutes()[0] }
	seconds := func(n int64) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Second) }
	for _, test := range []struct {
		want   string
		change func(*resource.Set)
	}{
		{"listeners.http.tls: TransportSocket.typed_config is missing", func(set *resource.Set) {
			set.Listeners[0].GetFilterChains()[0].TransportSocket = &core.TransportSocket{Name: "tls"}
		}},
		{"gateway.yaml:3:3: listeners.http: 2 filter chains: exactly one is supported by this version", func(set *resource.Set) {
			set.Listeners[0].DefaultFilterChain = set.Listeners[0].GetFilterChains()[0]
		}},
		{"HttpConnectionManager.strip_matching_host_port is not supported by this version yet", func(set *resource.Set) {
			manage(t, set, func(m *hcm.HttpConnectionManager) { m.StripMatchingHostPort = true })
		}},
		{"the router filter is missing", func(set *resource.Set) {
			manage(t, set, func(m *hcm.HttpConnectionManager) { m.HttpFilters = nil })
		}},
		{"Rds", func(set *resource.Set) {
			manage(t, set, func(m *hcm.HttpConnectionManager) { m.GetRds().ProtoReflect().SetUnknown([]byte{0x98, 0x06, 0x01}) })
		}},
		{"HttpConnectionManager.route_specifier is missing", func(set *resource.Set) {
			manage(t, set, func(m *hcm.HttpConnectionManager) { m.RouteSpecifier = nil })
		}},
		{"HttpConnectionManager has a field (number 99) that this version does not know", func(set *resource.Set) {
			manage(t, set, func(m *hcm.HttpConnectionManager) { m.ProtoReflect().SetUnknown([]byte{0x98, 0x06, 0x01}) })
		}},
		{"routes.all[0].rules[0]: RouteAction.internal_redirect_policy is not supported by this version yet", func(set *resource.Set) {
			rule(set).GetRoute().InternalRedirectPolicy = &route.InternalRedirectPolicy{}
		}},
		{"routes.all[0].rules[0].hash: HashPolicy.policy_specifier is missing", func(set *resource.Set) {
			rule(set).GetRoute().HashPolicy = []*route.RouteAction_HashPolicy{{}}
		}},
		{"routes.all[0].rules[0].timeout: -1s: a duration must not be negative", func(set *resource.Set) {
			rule(set).GetRoute().Timeout = seconds(-1)
		}},
		{"routes.all[0].rules[0].timeout: 9600h0m0s is longer than a year", func(set *resource.Set) {
			rule(set).GetRoute().Timeout = seconds(9600 * 3600)
		}},
		{"WeightedCluster.total_weight is 7, but the weights sum to 3", func(set *resource.Set) {
			rule(set).GetRoute().GetWeightedClusters().TotalWeight = wrapperspb.UInt32(7)
		}},
		{"the weights sum to 4294967296", func(set *resource.Set) {
			rule(set).GetRoute().GetWeightedClusters().GetClusters()[0].Weight = wrapperspb.UInt32(1<<32 - 2)
		}},
		{"routes.all[0].rules[0].match: RouteMatch.path_specifier is missing", func(set *resource.Set) { rule(set).Match.PathSpecifier = nil }},
		{"routes.all[0].rules[0]: what to do is missing", func(set *resource.Set) { rule(set).Action = nil }},
		{"Route.filter_action is not supported by this version yet", func(set *resource.Set) {
			rule(set).Action = &route.Route_FilterAction{FilterAction: &route.FilterAction{}}
		}},
		{`routes.all[0].rules[0].match.headers.:path: a match on ":path" is not supported by this version yet`, func(set *resource.Set) {
			rule(set).Match.Headers = []*route.HeaderMatcher{{Name: ":path", HeaderMatchSpecifier: &route.HeaderMatcher_PresentMatch{PresentMatch: true}}}
		}},
		{`clusters.a.endpoints.original_dst: an ORIGINAL_DST cluster has no endpoints of its own`, func(set *resource.Set) {
			set.Clusters[0].ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST}
		}},
		{`clusters.a.lb: both Cluster.load_balancing_policy and lb_policy or its settings`, func(set *resource.Set) {
			set.Clusters[0].LbPolicy = clusterv3.Cluster_MAGLEV
			set.Clusters[0].LoadBalancingPolicy = read(t, strings.Replace(plain, "  a: {", "  a: {lb: random, ", 1)).Clusters[0].GetLoadBalancingPolicy()
		}},
		{"clusters.a.endpoints: the cluster has no endpoints", func(set *resource.Set) { set.Clusters[0].LoadAssignment = nil }},
		{"LocalityLbEndpoints.proximity is not supported by this version yet", func(set *resource.Set) {
			set.Clusters[0].GetLoadAssignment().GetEndpoints()[0].Proximity = wrapperspb.UInt32(1)
		}},
		{"clusters.a.endpoints[0].priority: there is priority 1, but not 0", func(set *resource.Set) {
			set.Clusters[0].GetLoadAssignment().GetEndpoints()[0].Priority = 1
		}},
		{`clusters.a: "a" is there twice`, func(set *resource.Set) { set.Clusters = append(set.Clusters, set.Clusters[0]) }},
		{`clusters.a: Metadata.typed_filter_metadata["strange"] is not supported by this version yet`, func(set *resource.Set) {
			set.Clusters[0].Metadata = &core.Metadata{TypedFilterMetadata: map[string]*anypb.Any{"strange": {}}}
		}},
		{`want "BadURL"`, func(set *resource.Set) {
			set.Clusters[0].Metadata = &core.Metadata{TypedFilterMetadata: map[string]*anypb.Any{resource.Extension: {TypeUrl: "type.googleapis.com/BadURL"}}}
		}},
	} {
		refuse(t, test.want, test.change)
	}
}

func TestSeparateEndpoints(t *testing.T) {
	set := read(t, plain)
	assignment := set.Clusters[0].GetLoadAssignment()
	assignment.ClusterName = "elsewhere"
	set.Clusters[0].LoadAssignment = nil
	set.Clusters[0].ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
	set.Clusters[0].EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{ServiceName: "elsewhere"}
	set.Endpoints = []*endpoint.ClusterLoadAssignment{assignment}
	s, problems := Compile(set, nil)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if endpoints := s.Clusters[0].Config().Endpoints; len(endpoints) != 1 || endpoints[0].Host != "10.0.0.1" {
		t.Errorf("%+v", endpoints)
	}
	before := s.Clusters[0].Config().Hash
	assignment.GetEndpoints()[0].GetLbEndpoints()[0].LoadBalancingWeight = wrapperspb.UInt32(2)
	if s, _ = Compile(set, s); s.Clusters[0].Config().Hash == before {
		t.Error("other endpoints must make another cluster")
	}
}

func TestExtensionKeys(t *testing.T) {
	set := read(t, `listeners: {http: {bind: ":1", routes: [{hosts: ["*"], rules: [{respond: {status: 204}}]}], limits: {connections: 1, line: 512}}}`)
	if _, problems := Compile(set, nil); problems.Err() != nil {
		t.Fatal(problems.Err())
	}
	c := &compiler{set: set, previous: &Snapshot{}}
	e := c.extension("listeners.http", set.Listeners[0].GetMetadata(), resource.ListenerExtension)
	var n int
	e.count("max_connections", 0, 10, &n)
	e.count("max_line", 0, 100, &n)
	if len(c.problems) != 1 || n != 1 || !strings.HasSuffix(c.problems[0].String(), "listeners.http.max_line: 512: must be from 0 to 100") {
		t.Errorf("n is %d, problems %+v", n, c.problems)
	}
	c.problems = nil
	c.extension("listeners.http", set.Listeners[0].GetMetadata(), resource.RouteExtension)
	if len(c.problems) != 1 || !strings.Contains(c.problems[0].Text, "stands where") {
		t.Errorf("another resource's extension: %v", c.problems)
	}
}

func TestAddressesThatCollide(t *testing.T) {
	for _, test := range []struct {
		a, b    string
		collide bool
	}{
		{":8080", "127.0.0.1:8080", true},
		{":8080", "[::1]:8080", true},
		{":8080", ":8080", true},
		{"0.0.0.0:8080", "127.0.0.1:8080", true},
		{"0.0.0.0:8080", "[::1]:8080", false},
		{"127.0.0.1:8080", "127.0.0.2:8080", false},
		{"127.0.0.1:8080", "127.0.0.1:8081", false},
		{"[::1]:8080", "127.0.0.1:8080", false},
	} {
		text := strings.ReplaceAll(`
listeners: {a: {bind: "AAA", routes: x}, b: {bind: "BBB", routes: x}}
routes: {x: [{hosts: ["*"], rules: [{respond: {status: 204}}]}]}
`, "AAA", test.a)
		_, problems := Compile(read(t, strings.ReplaceAll(text, "BBB", test.b)), nil)
		if got := problems.Err() != nil; got != test.collide {
			t.Errorf("%s and %s: %v", test.a, test.b, problems)
		}
	}
}

func TestSecretOfNoKind(t *testing.T) {
	refuse(t, "secrets.shop: Secret.type is missing", func(set *resource.Set) {
		set.Secrets = []*tls.Secret{{Name: "shop"}}
	})
}

func TestAnEmptySetIsOdd(t *testing.T) {
	s, problems := Compile(&resource.Set{}, nil)
	if s == nil || len(s.Warnings) != 1 || !strings.Contains(problems[0].Text, "nothing is served") {
		t.Errorf("got %v", problems)
	}
}
