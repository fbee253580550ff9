package snapshot

import (
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	aggregate "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/cluster"
	"longmen/gateway/cluster/balance"
	"longmen/gateway/resource"
	"longmen/gateway/router"
)

// balanced compiles one cluster, and gives what is said of its balancing.
func balanced(t *testing.T, text string) *cluster.Config {
	t.Helper()
	s := compile(t, "listeners: {l: {bind: \":1\", routes: [{hosts: [\"*\"], rules: [{to: c}]}]}}\nclusters:\n  c: "+text+"\n", nil)
	return s.Clusters[s.ClusterSlots["c"]].Config()
}

var onlyBalance = cmpopts.IgnoreFields(cluster.Config{}, "Name", "Origin", "Hash", "Discovery", "DNS", "ConnectTimeout", "Limits", "HighLimits", "Pool", "HTTP2", "Endpoints", "TLS", "TCP")

func TestBalance(t *testing.T) {
	const one = `{endpoints: [{address: "10.0.0.1:80", zone: a}, {address: "10.0.0.2:80", zone: b}], `
	weighted := cluster.Spread{Localities: cluster.LocalityWeighted}
	for _, test := range []struct {
		text string
		want cluster.Config
	}{
		{`lb: round_robin, slow_start: {window: 9s, aggression: 2, min_weight: 5%}, panic: 50, overprovisioning: 120, weighted_health: true}`, cluster.Config{
			Balance: cluster.RoundRobin, Choices: 2, PanicThreshold: 50, Spread: cluster.Spread{Overprovisioning: 120, WeightedHealth: true},
			SlowStart: cluster.SlowStart{Window: 9 * time.Second, Aggression: 2, MinWeightPercent: 5},
		}},
		{`lb: {least_request: {choices: 5, bias: 0}}, locality: {weighted: {a: 1, b: 2}}}`, cluster.Config{
			Balance: cluster.LeastRequest, Choices: 5, Spread: weighted,
			Balancing: balance.Settings{LeastRequest: balance.LeastRequestSettings{Biased: true}},
		}},
		{`lb: {least_request: {full_scan: true}}}`, cluster.Config{
			Balance: cluster.LeastRequest, Choices: 2, Balancing: balance.Settings{LeastRequest: balance.LeastRequestSettings{FullScan: true}},
		}},
		{`lb: random, locality: {zone_aware: {share: 50%, min_endpoints: 3, force_local: 2, fail_in_panic: true}}}`, cluster.Config{
			Balance: cluster.Random, Choices: 2, Spread: cluster.Spread{
				Localities: cluster.LocalityZoneAware, PanicFails: true, ZoneAware: cluster.ZoneAware{Enabled: 50, MinEndpoints: 3, ForceLocal: 2},
			},
		}},
		{`lb: {peak_ewma: {decay: 5s, choices: 3}}, locality: zone_aware}`, cluster.Config{
			Balance: cluster.PeakEWMA, Choices: 3, Spread: cluster.Spread{Localities: cluster.LocalityZoneAware},
			Balancing: balance.Settings{PeakEWMA: balance.PeakEWMASettings{Decay: 5 * time.Second}},
		}},
		{`lb: {ring_hash: {min: 10, max: 100, hash: murmur2, bounded_load: 125%, by: source_ip}}, locality: {weighted: {a: 1, b: 2}}}`, cluster.Config{
			Balance: cluster.RingHash, Choices: 2, HashBalanceFactor: 125, Spread: weighted,
			Balancing: balance.Settings{RingHash: balance.RingHashSettings{MinSize: 10, MaxSize: 100, Hash: balance.Murmur2}},
		}},
		{`lb: {maglev: {table: 251, by: path}}, subsets: {by: [[b, a], {by: [a, b, c], fallback: keys, keys: [b]}], fallback: none, panic_any: true}}`, cluster.Config{
			Balance: cluster.Maglev, Choices: 2, Balancing: balance.Settings{Maglev: balance.MaglevSettings{TableSize: 251}},
			Subsets: &cluster.Subsets{
				Fallback: cluster.FallbackNone, PanicAny: true,
				Selectors: []cluster.SubsetSelector{
					{Keys: []string{"a", "b"}, Fallback: cluster.FallbackNone},
					{Keys: []string{"a", "b", "c"}, Fallback: cluster.FallbackKeys, FallbackKeys: []string{"b"}},
				},
			},
		}},
	} {
		if diff := cmp.Diff(test.want, *balanced(t, one+test.text), onlyBalance, cmpopts.EquateEmpty(), cmpopts.EquateComparable()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.text, diff)
		}
	}
}

func TestPlacesOfEndpoints(t *testing.T) {
	config := balanced(t, `
    endpoints:
      - {address: "10.0.0.1:80", region: eu, zone: a, labels: {hash_key: k, v: [2, 1]}, health: {port: 81, address: "::1"}}
      - {address: "10.0.0.2:80", region: eu, zone: a, hostname: two}
      - {address: "10.0.0.3:80", priority: 1, health: {off: true}}
    lb: {maglev: {key: hostname}}`)
	a := cluster.Locality{Region: "eu", Zone: "a"}
	want := []cluster.EndpointConfig{
		{Host: "10.0.0.1", Port: 80, Weight: 1, Locality: a, HashKey: "k", HealthHost: "::1", HealthPort: 81,
			Labels: []cluster.Label{{Key: "hash_key", Value: "k"}, {Key: "v", Value: "2"}, {Key: "v", Value: "1"}}},
		{Host: "10.0.0.2", Port: 80, Weight: 1, Locality: a, Hostname: "two", HashKey: "two"},
		{Host: "10.0.0.3", Port: 80, Weight: 1, Priority: 1, Unchecked: true},
	}
	if diff := cmp.Diff(want, config.Endpoints, cmpopts.IgnoreFields(cluster.EndpointConfig{}, "Origin")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOriginalDestinations(t *testing.T) {
	want := cluster.OriginalDestination{Header: "x-dst", Port: 8080, Unused: time.Minute, Most: 10}
	config := balanced(t, `{endpoints: {original_dst: {header: X-Dst, port: 8080, unused: 1m, max_endpoints: 10}}}`)
	if config.Discovery != cluster.OriginalDst || config.OriginalDestination != want {
		t.Errorf("%v, %+v", config.Discovery, config.OriginalDestination)
	}
}

// The older fields say the same as the policies do.
func TestOldBalancing(t *testing.T) {
	slow := &clusterv3.Cluster_SlowStartConfig{
		SlowStartWindow: durationpb.New(9 * time.Second), Aggression: &core.RuntimeDouble{DefaultValue: 2}, MinWeightPercent: &typev3.Percent{},
	}
	for _, test := range []struct {
		text   string
		change func(*clusterv3.Cluster)
	}{
		{`lb: round_robin, slow_start: {window: 9s, aggression: 2, min_weight: 0.0001}}`, func(cl *clusterv3.Cluster) {
			cl.LbConfig = &clusterv3.Cluster_RoundRobinLbConfig_{RoundRobinLbConfig: &clusterv3.Cluster_RoundRobinLbConfig{SlowStartConfig: slow}}
		}},
		{`lb: {least_request: {choices: 7, bias: 3}}}`, func(cl *clusterv3.Cluster) {
			cl.LbPolicy = clusterv3.Cluster_LEAST_REQUEST
			cl.LbConfig = &clusterv3.Cluster_LeastRequestLbConfig_{LeastRequestLbConfig: &clusterv3.Cluster_LeastRequestLbConfig{
				ChoiceCount: wrapperspb.UInt32(7), ActiveRequestBias: &core.RuntimeDouble{DefaultValue: 3},
			}}
		}},
		{`lb: {ring_hash: {min: 10, max: 20, hash: murmur2, bounded_load: 125}}}`, func(cl *clusterv3.Cluster) {
			cl.LbPolicy = clusterv3.Cluster_RING_HASH
			cl.LbConfig = &clusterv3.Cluster_RingHashLbConfig_{RingHashLbConfig: &clusterv3.Cluster_RingHashLbConfig{
				MinimumRingSize: wrapperspb.UInt64(10), MaximumRingSize: wrapperspb.UInt64(20), HashFunction: clusterv3.Cluster_RingHashLbConfig_MURMUR_HASH_2,
			}}
			cl.CommonLbConfig = &clusterv3.Cluster_CommonLbConfig{ConsistentHashingLbConfig: &clusterv3.Cluster_CommonLbConfig_ConsistentHashingLbConfig{
				HashBalanceFactor: wrapperspb.UInt32(125),
			}}
		}},
		{`lb: {maglev: {table: 251}}}`, func(cl *clusterv3.Cluster) {
			cl.LbPolicy = clusterv3.Cluster_MAGLEV
			cl.LbConfig = &clusterv3.Cluster_MaglevLbConfig_{MaglevLbConfig: &clusterv3.Cluster_MaglevLbConfig{TableSize: wrapperspb.UInt64(251)}}
		}},
		{`subsets: {by: [[v]], fallback: default, default: {v: a}}}`, func(cl *clusterv3.Cluster) {
			cl.LbSubsetConfig = &clusterv3.Cluster_LbSubsetConfig{
				FallbackPolicy: clusterv3.Cluster_LbSubsetConfig_DEFAULT_SUBSET,
				DefaultSubset:  &structpb.Struct{Fields: map[string]*structpb.Value{"v": structpb.NewStringValue("a")}},
				SubsetSelectors: []*clusterv3.Cluster_LbSubsetConfig_LbSubsetSelector{{
					Keys: []string{"v"}, FallbackPolicy: clusterv3.Cluster_LbSubsetConfig_LbSubsetSelector_NO_FALLBACK,
				}},
			}
		}},
	} {
		const endpoints = `endpoints: [{address: "10.0.0.1:80", labels: {v: a}}]`
		want := balanced(t, "{"+endpoints+", "+test.text)
		set := read(t, plain)
		set.Clusters[0].LoadAssignment.Endpoints[0].LbEndpoints[0].Metadata = &core.Metadata{FilterMetadata: map[string]*structpb.Struct{
			labelsKey: {Fields: map[string]*structpb.Value{"v": structpb.NewStringValue("a")}},
		}}
		test.change(set.Clusters[0])
		s, problems := Compile(set, nil)
		if problems.Err() != nil {
			t.Fatal(problems.Err())
		}
		if diff := cmp.Diff(want, s.Clusters[s.ClusterSlots["a"]].Config(), onlyBalance, cmpopts.EquateComparable(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.text, diff)
		}
	}
}

func TestBalanceThatMakesNoSense(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`{endpoints: ["10.0.0.1:80"], lb: {maglev: {table: 100}}}`, "clusters.c.lb.maglev.table: 100 is no prime"},
		{`{endpoints: ["10.0.0.1:80"], lb: {maglev: {table: 7}}}`, "7 is little for 1 endpoint"},
		{`{endpoints: [{address: "10.0.0.1:80", priority: 2}, "10.0.0.2:80"]}`, "clusters.c.endpoints[0].priority: there is priority 2, but not 1"},
		{`{endpoints: [{address: "10.0.0.1:80", labels: {hash_key: a}}, {address: "10.0.0.2:80", labels: {hash_key: a}}], lb: ring_hash}`, "clusters.c.endpoints[1]: warning: hashes like another endpoint (line 3)"},
		{`{endpoints: ["10.0.0.1:80", "10.0.0.2:80"], locality: zone_aware}`, "clusters.c.locality: warning: all endpoints are in one locality"},
		{`{endpoints: ["10.0.0.1:80"], subsets: [[a, b], [b, a]]}`, "clusters.c.subsets.by[1]: a selector with these keys is there already"},
		{`{endpoints: ["10.0.0.1:80"], lb: {ring_hash: {by: [{cookie: c, ttl: 1500ms}, path]}}}`, "the life of a cookie is in whole seconds"},
	} {
		_, problems := Compile(read(t, "listeners: {l: {bind: \":1\", routes: [{hosts: [\"*\"], rules: [{to: c}]}]}}\nclusters:\n  c: "+test.text+"\n"), nil)
		if !strings.Contains(problemsText(problems), test.want) {
			t.Errorf("%s: want %q, got %v", test.text, test.want, problems)
		}
	}
}

func TestHashPolicies(t *testing.T) {
	c := Defaults{}.compiler(read(t, plain), &Snapshot{})
	set := read(t, `{clusters: {c: {endpoints: ["10.0.0.1:80"], lb: {maglev: {by: ["header:X-User", {header: y, regex: {match: a, to: b}, terminal: true}, "cookie:c", {cookie: d, ttl: 0s, cookie_path: /p, attributes: {Secure: ""}}, "query:q", source_ip, path, "header::path"]}}}}}`)
	c.cluster(set.Clusters[0])
	want := []router.HashPolicy{
		{Kind: router.HashHeader, Name: "x-user"},
		{Kind: router.HashHeader, Name: "y", Regex: &router.RegexRewrite{Pattern: "a", Substitution: "b"}, Terminal: true},
		{Kind: router.HashCookie, Name: "c"},
		{Kind: router.HashCookie, Name: "d", Generate: &router.Cookie{Path: "/p", Attributes: []router.CookieAttribute{{Name: "Secure"}}}},
		{Kind: router.HashQuery, Name: "q"},
		{Kind: router.HashSourceIP},
		{Kind: router.HashPath},
		{Kind: router.HashHeader, Name: ":path"},
	}
	if diff := cmp.Diff(want, c.hashing["c"].by, cmpopts.IgnoreUnexported(router.RegexRewrite{})); diff != "" || len(c.problems) > 0 {
		t.Errorf("%v\n%s", c.problems, diff)
	}
}

func problemsText(problems resource.Problems) string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

func TestHealthInFull(t *testing.T) {
	config := balanced(t, `
    endpoints: ["10.0.0.1:80", {address: "10.0.0.2:80", health: {port: 82}}]
    health:
      - http: /h
        status: [200, 300-399]
        retriable: 500-599
        expect: [a, b]
        body: ping
        protocol: h2
        jitter: 10%
        first_jitter: 1s
        intervals: {down: 30s, going_down: 1s, coming_up: 2s, no_traffic: 1m, no_traffic_up: 2m}
        port: 81
        reuse: true
        alpn: h2
        log: {path: a.log, failures: true, successes: true}
`)
	want := cluster.HealthConfig{
		Every: 5 * time.Second, Timeout: time.Second, Healthy: 2, Unhealthy: 3, InitialJitter: time.Second, JitterPercent: 10,
		NoTraffic: time.Minute, NoTrafficHealthy: 2 * time.Minute, UnhealthyInterval: 30 * time.Second, UnhealthyEdge: time.Second, HealthyEdge: 2 * time.Second,
		Reuse: true, ALPN: []string{"h2"}, EventLog: "a.log", LogFailures: true, LogSuccesses: true,
		HTTP: &cluster.HTTPHealth{
			Path: "/h", Method: "GET", Codec: cluster.HTTP2Codec, Body: []byte("ping"), Expect: [][]byte{[]byte("a"), []byte("b")},
			Expected: []cluster.Statuses{{Low: 200, High: 201}, {Low: 300, High: 400}}, Retriable: []cluster.Statuses{{Low: 500, High: 600}},
		},
	}
	if diff := cmp.Diff([]cluster.HealthConfig{want}, config.Health); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if config.Endpoints[0].HealthPort != 81 || config.Endpoints[1].HealthPort != 82 {
		t.Errorf("ports %d and %d", config.Endpoints[0].HealthPort, config.Endpoints[1].HealthPort)
	}
}

// A cluster of clusters is one without endpoints that fails over to them.
func TestAggregateClusters(t *testing.T) {
	set := read(t, strings.Replace(plain, "rules: [{to: b}]", "rules: [{to: both}]", 1)+"  both: {endpoints: []}\n")
	packed, err := resource.Pack(&aggregate.ClusterConfig{Clusters: []string{"b", "a"}})
	if err != nil {
		t.Fatal(err)
	}
	both := set.Clusters[2]
	both.ClusterDiscoveryType = &clusterv3.Cluster_ClusterType{ClusterType: &clusterv3.Cluster_CustomClusterType{Name: "envoy.clusters.aggregate", TypedConfig: packed}}
	both.LbPolicy, both.LoadAssignment = clusterv3.Cluster_CLUSTER_PROVIDED, nil
	s, problems := Compile(set, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	config := s.Clusters[s.ClusterSlots["both"]].Config()
	if diff := cmp.Diff([]string{"b", "a"}, config.Failover); diff != "" || len(config.Endpoints) > 0 {
		t.Errorf("%d endpoints, -want +got:\n%s", len(config.Endpoints), diff)
	}
	both.GetClusterType().TypedConfig, _ = resource.Pack(&aggregate.ClusterConfig{Clusters: []string{"b", "both", "c"}})
	both.HealthChecks = read(t, strings.Replace(plain, "  a: {", "  a: {health: {tcp: true}, ", 1)).Clusters[0].GetHealthChecks()
	_, problems = Compile(set, nil)
	for _, want := range []string{`no cluster named "c"`, `"both": must be other clusters`, "a cluster of clusters has no endpoints of its own"} {
		if !strings.Contains(problemsText(problems), want) {
			t.Errorf("want %q, got %v", want, problems)
		}
	}
}

func TestOwnLocality(t *testing.T) {
	set := read(t, strings.Replace(plain, "  a: {", "  a: {locality: zone_aware, ", 1)+"  edge: {endpoints: [\"10.0.0.9:80\"]}\n")
	for _, test := range []struct {
		defaults Defaults
		want     []string
		not      string
	}{
		{Defaults{}, []string{"the gateway's own locality is not known", "clusters.edge: warning: no rule uses this cluster"}, "locality.gateways"},
		{Defaults{Gateways: "edge", Located: true}, nil, "edge"},
		{Defaults{Gateways: "edges", Located: true}, []string{`locality.gateways: no cluster named "edges"`}, "own locality"},
	} {
		_, problems := test.defaults.Compile(set, nil)
		text := problemsText(problems)
		for _, want := range test.want {
			if !strings.Contains(text, want) {
				t.Errorf("want %q, got %s", want, text)
			}
		}
		if strings.Contains(text, test.not) {
			t.Errorf("%q stands in %s", test.not, text)
		}
	}
}
