package yaml

import (
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	yaml "go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/types/known/durationpb"

	"longmen/gateway/protocol/grpc"
)

var grpcTimeoutTable = object{"grpc timeout", "How long a gRPC call may take whose client sets a deadline (`grpc-timeout`): as long as the client waits, within these bounds, in place of `timeout`. Without the key the lesser of both counts.", []key{
	{"max", aDuration, "0s", "Bounds the client's deadline; 0s is no bound.", "`max_stream_duration.grpc_timeout_header_max`", "5s", false},
	{"margin", aDuration, "0s", "Taken from the client's deadline, so that it hears from the gateway before it gives up. What leaves nothing fails at once.", "`max_stream_duration.grpc_timeout_header_offset`", "50ms", false},
}}

func (d *decoder) grpcTimeout(v value) *route.RouteAction_MaxStreamDuration {
	f := d.object(v, grpcTimeoutTable)
	out := &route.RouteAction_MaxStreamDuration{
		GrpcTimeoutHeaderMax:    f.duration("max", 0),
		GrpcTimeoutHeaderOffset: f.duration("margin", 0),
	}
	if out.GrpcTimeoutHeaderMax == nil {
		out.GrpcTimeoutHeaderMax = durationpb.New(0) // which says that the client's deadline counts
	}
	return out
}

func grpcTimeoutMap(m *route.RouteAction_MaxStreamDuration) *mapping {
	out := &mapping{}
	out.duration("max", m.GetGrpcTimeoutHeaderMax())
	out.duration("margin", m.GetGrpcTimeoutHeaderOffset())
	return out
}

// matchGRPC reads the name of a service or method, which is a condition on the
// path, or true, which stands beside one.
func (d *decoder) matchGRPC(f fields, out *route.RouteMatch, connect bool) {
	v, ok := f.get("grpc")
	if !ok {
		return
	}
	out.Grpc = &route.RouteMatch_GrpcRouteMatchOptions{}
	if connect {
		d.fail(v, "a CONNECT request is no gRPC call")
	}
	if v.scalar() && v.node.ShortTag() == "!!bool" {
		if on, ok := d.boolean(v); ok && !on {
			d.failHint(v, "leave it out", "grpc: false says nothing")
		}
		return
	}
	f.exclusive("path", "prefix", "regex", "grpc")
	if f.has("ignore_case") {
		d.fail(f.written("ignore_case"), "the names of gRPC services and methods are case-sensitive")
	}
	name, ok := d.word(v)
	if !ok {
		return
	}
	service, method, whole := strings.Cut(name, "/")
	switch {
	case strings.HasPrefix(name, "/"):
		d.failHint(v, `did you mean "`+clip(name[1:])+`"?`, "%q: the name has no slash before the service", clip(name))
	case !grpc.IsName(service) || whole && (!grpc.IsName(method) || strings.Contains(method, ".")):
		d.failHint(v, "package.Service or package.Service/Method; another path can stand beside grpc: true", "%q is no name of a gRPC service or method", clip(name))
	case whole:
		out.PathSpecifier = &route.RouteMatch_Path{Path: "/" + name}
	default:
		out.PathSpecifier = &route.RouteMatch_Prefix{Prefix: "/" + name + "/"}
	}
}

// grpcMatch writes the condition on gRPC calls. It reports whether it says all
// about the path.
func grpcMatch(out *mapping, m *route.RouteMatch) bool {
	if m.GetGrpc() == nil {
		return false
	}
	if name := grpcName(m); name != "" && m.GetCaseSensitive() == nil {
		out.put("grpc", text(name))
		return true
	}
	out.put("grpc", truth(true))
	return false
}

// grpcName is how a path is written as a service or method, "" if it cannot be.
func grpcName(m *route.RouteMatch) string {
	switch p := m.GetPathSpecifier().(type) {
	case *route.RouteMatch_Path:
		service, method, ok := grpc.SplitPath([]byte(p.Path))
		if ok && grpc.IsName(string(service)) && grpc.IsName(string(method)) && !strings.Contains(string(method), ".") {
			return p.Path[1:]
		}
	case *route.RouteMatch_Prefix:
		service, slash := strings.CutSuffix(strings.TrimPrefix(p.Prefix, "/"), "/")
		if slash && grpc.IsName(service) && p.Prefix == "/"+service+"/" {
			return service
		}
	}
	return ""
}

// grpcCheck reads an active health check over gRPC: the name of a service, or
// true for the server as a whole.
func (d *decoder) grpcCheck(f fields) *core.HealthCheck_GrpcHealthCheck {
	out := &core.HealthCheck_GrpcHealthCheck{}
	v := f.written("grpc")
	if v.scalar() && v.node.ShortTag() == "!!bool" {
		if on, ok := d.boolean(v); ok && !on {
			d.fail(v, "grpc: false says nothing")
		}
	} else if name, ok := d.word(v); ok {
		out.ServiceName = name
	}
	if v, ok := f.get("host"); ok {
		out.Authority, _ = d.authority(v)
	}
	if v, ok := f.get("metadata"); ok {
		out.InitialMetadata = d.checkHeaders(v)
	}
	return out
}

func grpcCheckNode(check *core.HealthCheck_GrpcHealthCheck) *yaml.Node {
	if name := check.GetServiceName(); name != "" {
		return text(name)
	}
	return truth(true)
}
