package snapshot

//lint:file-ignore SA1019 control planes still send fields that Envoy calls deprecated

import (
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
	"longmen/gateway/router"
)

// grpcTimeout compiles the bounds of the deadlines that gRPC clients set, in
// either of the forms that xDS has; nil for none.
func (c *compiler) grpcTimeout(at resource.Path, a *route.RouteAction) *router.GRPCTimeout {
	longest, offset := a.GetMaxGrpcTimeout(), a.GetGrpcTimeoutOffset()
	m := a.GetMaxStreamDuration()
	if m == nil && longest == nil && offset == nil {
		return nil
	}
	at = join(at, "grpc_timeout")
	if m != nil {
		if longest != nil || offset != nil {
			c.fail(at, "RouteAction.max_stream_duration and .max_grpc_timeout stand together; only one may")
		}
		c.only(at, m, "max_stream_duration", "grpc_timeout_header_max", "grpc_timeout_header_offset")
		if c.duration(at, m.GetMaxStreamDuration(), 0) > 0 {
			c.fail(at, "MaxStreamDuration.max_stream_duration is not supported by this version yet")
		}
		longest, offset = m.GetGrpcTimeoutHeaderMax(), m.GetGrpcTimeoutHeaderOffset()
	}
	if longest == nil {
		if offset != nil {
			c.fail(join(at, "margin"), "has no effect without max, which may be 0s")
		}
		return nil
	}
	return &router.GRPCTimeout{Max: c.duration(join(at, "max"), longest, 0), Margin: c.duration(join(at, "margin"), offset, 0)}
}

func (c *compiler) grpcHealth(at resource.Path, h *core.HealthCheck_GrpcHealthCheck) *cluster.GRPCHealth {
	c.only(at, h, "service_name", "authority", "initial_metadata")
	if h.GetAuthority() != "" && !isAuthority(h.GetAuthority()) {
		c.fail(join(at, "host"), "%q is no host name", h.GetAuthority())
	}
	if n := len(h.GetServiceName()); n > maxServiceName {
		c.fail(join(at, "grpc"), "the name of a service has %d bytes: at most %d are taken", n, maxServiceName)
	}
	return &cluster.GRPCHealth{Service: h.GetServiceName(), Authority: h.GetAuthority(), Metadata: c.checkHeaders(join(at, "metadata"), h.GetInitialMetadata())}
}

const maxServiceName = 1024
