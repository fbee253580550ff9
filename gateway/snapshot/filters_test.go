package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	xds "github.com/cncf/xds/go/xds/type/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	cors "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	grpcweb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
	routerfilter "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"longmen/gateway/filter"
	"longmen/gateway/resource"
)

const filtered = `
listeners:
  http:
    bind: ":8080"
    routes: all
    filters: [{grpc_web: {}}]
  other: {bind: ":8081", routes: all}
  plain: {bind: ":8082", routes: none}
routes:
  all:
    - hosts: [a]
      filters: [{cors: {allow_origins: "*"}}]
      rules:
        - {match: {prefix: /one}, to: a}
        - {match: {prefix: /two}, to: a, filters: [{cors: off}, {grpc_web: off}]}
        - {match: {prefix: /three}, to: a, filters: [{cors: {allow_origins: https://x}}]}
        - {match: {prefix: /four}, to: a, filters: [{cors: {allow_origins: "*"}}]}
    - hosts: [b]
      rules: [{to: a}]
  none:
    - {hosts: ["*"], rules: [{to: a}]}
clusters:
  a: {endpoints: ["10.0.0.1:80"]}
`

// names tells a chain's filters and their places.
func chainNames(c filter.Chain) string {
	var out []string
	for _, step := range c {
		out = append(out, fmt.Sprint(strings.TrimPrefix(step.Name, "envoy.filters.http."), step.Place))
	}
	return strings.Join(out, " ")
}

func TestChains(t *testing.T) {
	s := compile(t, filtered, nil)
	for i, want := range []struct{ http, other string }{
		{"grpc_web0 cors1", "cors0"}, {"", ""}, {"grpc_web0 cors1", "cors0"}, {"grpc_web0 cors1", "cors0"}, {"grpc_web0", ""},
	} {
		if got := chainNames(s.Listeners[0].Chains[i]); got != want.http {
			t.Errorf("http, route %d: %q, want %q", i, got, want.http)
		}
		if got := chainNames(s.Listeners[1].Chains[i]); got != want.other {
			t.Errorf("other, route %d: %q, want %q", i, got, want.other)
		}
	}
	if got := chainNames(s.Listeners[0].Unrouted); got != "grpc_web0" {
		t.Errorf("without a route: %q", got)
	}
	if l := s.Listeners[2]; l.Chains != nil || l.Unrouted != nil {
		t.Error("plain has no filters")
	}
	// Settings that are equal are one filter, others are not.
	c := s.Listeners[1].Chains
	if c[0][0].Filter != c[3][0].Filter || c[0][0].Filter == c[2][0].Filter {
		t.Error("filters")
	}
}

// A filter lives on while its settings stay.
func TestFiltersAreShared(t *testing.T) {
	before := compile(t, filtered, nil)
	after := compile(t, edit(filtered, "prefix: /one", "prefix: /uno"), before)
	if after.Listeners[1] == before.Listeners[1] || after.Listeners[1].Chains[0][0].Filter != before.Listeners[1].Chains[0][0].Filter {
		t.Error("a filter is new although nothing about it is")
	}
	same := compile(t, filtered, before)
	if same.Listeners[0] != before.Listeners[0] || len(same.filters) != len(before.filters) {
		t.Error("nothing has changed")
	}
	if got := compile(t, edit(filtered, "[{grpc_web: {}}]", "[{grpc_web: off}]"), before); got.Listeners[0].Unrouted != nil || got.Listeners[0] == before.Listeners[0] {
		t.Error("the listener's filter is off now")
	}
}

func refuseFilters(t *testing.T, want string, change func(*hcm.HttpConnectionManager)) {
	t.Helper()
	refuse(t, want, func(set *resource.Set) { manage(t, set, change) })
}

func TestFiltersOfControlPlanes(t *testing.T) {
	add := func(f *hcm.HttpFilter) func(*hcm.HttpConnectionManager) {
		return func(m *hcm.HttpConnectionManager) { m.HttpFilters = append([]*hcm.HttpFilter{f}, m.HttpFilters...) }
	}
	typed := func(name string, m proto.Message) *hcm.HttpFilter {
		return &hcm.HttpFilter{Name: name, ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: pack(t, m)}}
	}
	unknown := &anypb.Any{TypeUrl: "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"}
	lua := &hcm.HttpFilter{Name: "lua", ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: unknown}}
	refuseFilters(t, `listeners.http.filters[0]: filter "lua" (envoy.extensions.filters.http.lua.v3.Lua) is not supported by this version yet`, add(lua))
	refuseFilters(t, `filter "x" has no typed_config`, add(&hcm.HttpFilter{Name: "x"}))
	refuseFilters(t, `the router filter must be the last one`, func(m *hcm.HttpConnectionManager) {
		m.HttpFilters = append(m.HttpFilters, typed("g", &grpcweb.GrpcWeb{}))
		m.HttpFilters = append(m.HttpFilters, typed("r", &routerfilter.Router{}))
	})
	refuseFilters(t, `the router filter, which must be the last one, is missing`, func(m *hcm.HttpConnectionManager) { m.HttpFilters = []*hcm.HttpFilter{typed("g", &grpcweb.GrpcWeb{})} })
	refuseFilters(t, `two filters are named "g"`, func(m *hcm.HttpConnectionManager) {
		add(typed("g", &grpcweb.GrpcWeb{}))(m)
		add(typed("g", &grpcweb.GrpcWeb{}))(m)
	})
	refuse(t, `filter "lua" (envoy.extensions.filters.http.lua.v3.Lua) is not supported`, func(set *resource.Set) {
		set.Routes[0].VirtualHosts[0].Routes[0].TypedPerFilterConfig = map[string]*anypb.Any{"lua": unknown}
	})
	refuse(t, `the settings of filter "g" are those of another one (cors)`, func(set *resource.Set) {
		manage(t, set, add(typed("g", &grpcweb.GrpcWeb{})))
		set.Routes[0].VirtualHosts[0].Routes[0].TypedPerFilterConfig = map[string]*anypb.Any{"g": pack(t, &cors.CorsPolicy{})}
	})

	set := read(t, plain)
	manage(t, set, func(m *hcm.HttpConnectionManager) {
		optional := proto.CloneOf(lua)
		optional.IsOptional = true
		add(optional)(m)
		disabled := typed("second", &grpcweb.GrpcWeb{})
		disabled.Disabled = true
		add(disabled)(m)
		add(typed("cors", &cors.Cors{}))(m)
		wrapped, err := structpb.NewStruct(nil)
		if err != nil {
			t.Fatal(err)
		}
		add(typed("web", &xds.TypedStruct{TypeUrl: "type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb", Value: wrapped}))(m)
	})
	allow, err := structpb.NewStruct(map[string]any{"allow_origin_string_match": []any{map[string]any{"exact": "https://x"}}})
	if err != nil {
		t.Fatal(err)
	}
	set.Routes[0].VirtualHosts[0].Routes[0].TypedPerFilterConfig = map[string]*anypb.Any{
		"cors":   pack(t, &xds.TypedStruct{TypeUrl: "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy", Value: allow}),
		"second": pack(t, &route.FilterConfig{}),
		"web":    pack(t, &route.FilterConfig{Disabled: true}),
		"lua":    pack(t, &route.FilterConfig{Config: unknown, IsOptional: true}),
		"odd":    pack(t, &grpcweb.GrpcWeb{}),
	}
	s, problems := Compile(set, nil)
	if s == nil {
		t.Fatal(problems)
	}
	if got := chainNames(s.Listeners[0].Chains[0]); got != "cors1 second2" {
		t.Error(got)
	}
	if got := chainNames(s.Listeners[0].Unrouted); got != "web0" {
		t.Error(got)
	}
	if !strings.Contains(fmt.Sprint(s.Warnings), `no filter of listeners.http is named "odd"`) {
		t.Error(s.Warnings)
	}
}

func pack(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	packed, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// What a filter is made of belongs to the version, and is read again when it changes.
func TestFilesOfFilters(t *testing.T) {
	file := filepath.Join(t.TempDir(), "api.pb")
	write := func(service string) {
		t.Helper()
		set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{
			protodesc.ToFileDescriptorProto(descriptorpb.File_google_protobuf_descriptor_proto),
			protodesc.ToFileDescriptorProto(annotations.File_google_api_http_proto), protodesc.ToFileDescriptorProto(annotations.File_google_api_annotations_proto),
			{Name: proto.String("a.proto"), Syntax: proto.String("proto3"), Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Svc")}, {Name: proto.String(service)}}},
		}}
		raw, err := proto.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("One")
	for name, text := range map[string]string{
		"listener": edit(filtered, "[{grpc_web: {}}]", "[{transcode: {descriptors: "+file+", services: [Svc]}}]"),
		"rule":     edit(filtered, "{match: {prefix: /one}, to: a}", "{match: {prefix: /one}, to: a, filters: [{transcode: {descriptors: "+file+", services: [Svc]}}]}"),
	} {
		t.Run(name, func(t *testing.T) {
			write("One")
			if got := Files(read(t, text)); len(got) != 1 || got[0] != file {
				t.Errorf("files %v", got)
			}
			before := compile(t, text, nil)
			if same := compile(t, text, before); same.Listeners[0] != before.Listeners[0] || same.Version != before.Version {
				t.Error("nothing has changed")
			}
			write("Other")
			after := compile(t, text, before)
			if after.Version == before.Version || after.Listeners[0] == before.Listeners[0] || after.Listeners[2] != before.Listeners[2] {
				t.Error("the file has changed")
			}
			place := map[string]int{"listener": 0, "rule": 2}[name]
			if before.Listeners[0].Chains[0][place].Filter == after.Listeners[0].Chains[0][place].Filter {
				t.Error("the filter is the same")
			}
			if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, problems := Compile(read(t, text), before)
			if got := fmt.Sprint(problems.Errors()); !strings.Contains(got, "filters.transcode.descriptors: is no FileDescriptorSet") || !strings.Contains(got, ":") {
				t.Error(got)
			}
		})
	}
}
