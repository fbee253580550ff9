package yaml

import (
	"net/netip"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	upstream "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	types "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"longmen/gateway/resource"
)

// cluster reads one entry of "clusters".
func (d *decoder) cluster(v value) *cluster.Cluster {
	f := d.object(v, clusterTable)
	extra := resource.Values{}
	out := &cluster.Cluster{Name: v.key.Value}
	d.endpoints(f, out, extra)
	d.balance(f, out)
	if v, ok := f.get("health"); ok {
		for _, entry := range d.oneOrMore(v) {
			out.HealthChecks = append(out.HealthChecks, d.health(entry))
		}
	}
	if v, ok := f.get("timeouts"); ok {
		t := d.object(v, clusterTimeoutsTable)
		out.ConnectTimeout = t.duration("connect", time.Millisecond)
		if wait, ok := t.span("response", 0); ok {
			extra["response_timeout"] = wait
		}
	}
	if v, ok := f.get("limits"); ok {
		out.CircuitBreakers = d.breakers(v, extra)
	}
	if v, ok := f.get("outlier"); ok {
		out.OutlierDetection = d.outlier(v, extra)
	}
	d.onward(f, extra)
	d.pool(f, out, extra, d.clusterTLS(f, out))
	if v, ok := f.get("panic"); ok {
		if share, ok := d.wholePercent(v, 0, 100); ok {
			common(out).HealthyPanicThreshold = &types.Percent{Value: float64(share)}
		}
	}
	d.clusterTCP(f, out)
	out.Metadata = d.extend(v, resource.ClusterExtension, extra)
	return out
}

// pool reads "pool", "protocol" and "http2", which share a message with what "tls"
// says about names.
func (d *decoder) pool(f fields, out *cluster.Cluster, extra resource.Values, names *core.UpstreamHttpProtocolOptions) {
	common := &core.HttpProtocolOptions{}
	if v, ok := f.get("pool"); ok {
		p := d.object(v, poolTable)
		if n, ok := p.number("idle", 0, 1<<20); ok {
			extra["idle_per_worker"] = n
		}
		common.IdleTimeout = p.duration("idle_timeout", time.Millisecond)
		common.MaxRequestsPerConnection = p.uint32("max_requests", 0, most)
		common.MaxConnectionDuration = p.duration("max_age", 0)
	}
	options := &upstream.HttpProtocolOptions{UpstreamHttpProtocolOptions: names}
	if written := d.clusterHTTP(f, options, extra); !written && proto.Size(common) == 0 && names == nil {
		return
	}
	if proto.Size(common) > 0 {
		options.CommonHttpProtocolOptions = common
	}
	out.TypedExtensionProtocolOptions = map[string]*anypb.Any{protocolName: d.pack(f.self, options)}
}

func (d *decoder) clusterTCP(f fields, out *cluster.Cluster) {
	v, ok := f.get("tcp")
	if !ok {
		return
	}
	tcp := d.object(v, clusterTCPTable)
	if v, ok := tcp.get("keepalive"); ok {
		out.UpstreamConnectionOptions = &cluster.UpstreamConnectionOptions{TcpKeepalive: d.keepalive(v)}
	}
	if v, ok := tcp.get("source"); ok {
		s, ok := d.word(v)
		if !ok {
			return
		}
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			d.fail(v, "%q is no IP address", clip(s))
			return
		}
		out.UpstreamBindConfig = &core.BindConfig{SourceAddress: &core.SocketAddress{
			Address: addr.Unmap().String(), PortSpecifier: &core.SocketAddress_PortValue{},
		}}
	}
}
