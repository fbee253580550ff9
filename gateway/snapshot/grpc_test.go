package snapshot

//lint:file-ignore SA1019 control planes still send fields that Envoy calls deprecated

import (
	"net/netip"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
	"longmen/gateway/router"
	"longmen/gateway/stream"
)

func TestGRPC(t *testing.T) {
	s := compile(t, `
listeners: {grpc: {bind: ":8080", routes: all}}
routes:
  all:
    - hosts: ["*"]
      rules:
        - name: method
          match: {grpc: a.B/C}
          to: a
          timeout: 0s
          grpc_timeout: {max: 5s, margin: 50ms}
          retry: {on: [cancelled, deadline-exceeded, internal, resource-exhausted, unavailable]}
        - {name: service, match: {grpc: a.B}, to: a, grpc_timeout: {}}
        - {name: all, match: {grpc: true}, to: a, retry: {on: [unavailable]}}
clusters:
  a:
    endpoints: ["10.0.0.1:80"]
    health: [{grpc: a.B, host: "x:1", every: 2s}, {grpc: true}]
`, nil)
	find := func(path, contentType string) *router.Route {
		r := &stream.Request{Method: []byte("POST"), Host: []byte("x"), Authority: []byte("x"), Path: []byte(path)}
		r.Header.AddString("content-type", contentType)
		return s.Listeners[0].Routes.Find(r, netip.MustParseAddr("127.0.0.1"), 0)
	}
	method, service, all := find("/a.B/C", "application/grpc"), find("/a.B/D", "application/grpc"), find("/x", "application/grpc+proto")
	if method.Name != "method" || service.Name != "service" || all.Name != "all" || find("/a.B/C", "text/plain") != nil {
		t.Errorf("%s %s %s", method.Name, service.Name, all.Name)
	}
	if got := *method.Forward.GRPCTimeout; got != (router.GRPCTimeout{Max: 5 * time.Second, Margin: 50 * time.Millisecond}) || method.Forward.Timeout != 0 {
		t.Errorf("%+v", got)
	}
	if got := *service.Forward.GRPCTimeout; got != (router.GRPCTimeout{}) || all.Forward.GRPCTimeout != nil {
		t.Errorf("%+v", got)
	}
	if on := method.Forward.Retry.On; on != router.OnGRPC || RetryConditions(on) != "cancelled, deadline-exceeded, internal, resource-exhausted, unavailable" {
		t.Errorf("%b %s", on, RetryConditions(on))
	}
	want := []cluster.HealthConfig{
		{GRPC: &cluster.GRPCHealth{Service: "a.B", Authority: "x:1"}, Every: 2 * time.Second, Timeout: time.Second, Healthy: 2, Unhealthy: 3},
		{GRPC: &cluster.GRPCHealth{}, Every: 5 * time.Second, Timeout: time.Second, Healthy: 2, Unhealthy: 3},
	}
	if diff := cmp.Diff(want, s.Clusters[0].Config().Health); diff != "" {
		t.Error(diff)
	}
}

// The fields that Envoy had before say the same.
func TestGRPCTimeoutOfBefore(t *testing.T) {
	set := read(t, plain)
	action := set.Routes[0].GetVirtualHosts()[0].GetRoutes()[0].GetRoute()
	action.MaxGrpcTimeout, action.GrpcTimeoutOffset = durationpb.New(4*time.Second), durationpb.New(time.Second)
	s, problems := Compile(set, nil)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if got := first(t, s, "/a").Forward.GRPCTimeout; got == nil || *got != (router.GRPCTimeout{Max: 4 * time.Second, Margin: time.Second}) {
		t.Errorf("%+v", got)
	}
}

func TestRefusedGRPC(t *testing.T) {
	rule := func(set *resource.Set) *route.Route { return set.Routes[0].GetVirtualHosts()[0].GetRoutes()[0] }
	second := durationpb.New(time.Second)
	for want, change := range map[string]func(*resource.Set){
		"rules[0].grpc_timeout: RouteAction.max_stream_duration and .max_grpc_timeout stand together; only one may": func(set *resource.Set) {
			rule(set).GetRoute().MaxGrpcTimeout = second
			rule(set).GetRoute().MaxStreamDuration = &route.RouteAction_MaxStreamDuration{GrpcTimeoutHeaderMax: second}
		},
		"rules[0].grpc_timeout: MaxStreamDuration.max_stream_duration is not supported by this version yet": func(set *resource.Set) {
			rule(set).GetRoute().MaxStreamDuration = &route.RouteAction_MaxStreamDuration{MaxStreamDuration: second}
		},
		"rules[0].grpc_timeout.margin: has no effect without max": func(set *resource.Set) {
			rule(set).GetRoute().GrpcTimeoutOffset = second
		},
		"rules[0].grpc_timeout.max: -1s: a duration must not be negative": func(set *resource.Set) {
			rule(set).GetRoute().MaxGrpcTimeout = durationpb.New(-time.Second)
		},
		`clusters.a.health.host: "a b" is no host name`: func(set *resource.Set) {
			set.Clusters[0].HealthChecks = []*core.HealthCheck{{HealthChecker: &core.HealthCheck_GrpcHealthCheck_{
				GrpcHealthCheck: &core.HealthCheck_GrpcHealthCheck{Authority: "a b"}}}}
		},
		`clusters.a.health.metadata.: "" is no header name`: func(set *resource.Set) {
			set.Clusters[0].HealthChecks = []*core.HealthCheck{{HealthChecker: &core.HealthCheck_GrpcHealthCheck_{
				GrpcHealthCheck: &core.HealthCheck_GrpcHealthCheck{InitialMetadata: []*core.HeaderValueOption{{}}}}}}
		},
	} {
		refuse(t, want, change)
	}
}
