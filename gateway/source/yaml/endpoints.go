package yaml

import (
	"net/netip"
	"strings"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"longmen/gateway/resource"
)

// endpoints reads where a cluster is: a list of addresses, or DNS names.
func (d *decoder) endpoints(f fields, out *cluster.Cluster, extra resource.Values) {
	out.ClusterDiscoveryType = &cluster.Cluster_Type{Type: cluster.Cluster_STATIC}
	v, ok := f.get("endpoints")
	if !ok {
		f.missing("endpoints", `a list of "host:port", or {dns: "name:port"}, or original_dst`)
		return
	}
	groups := &groups{}
	switch {
	case v.scalar() && v.node.Value == "xds":
		d.fail(v, "a control plane as the source is not supported by this version yet")
		return
	case v.scalar() && v.node.Value == "original_dst":
		d.originalDestination(v, fields{d: d, self: v}, out, extra)
		return
	case v.isMap() && hasKey(v.node, "original_dst"):
		settings := d.object(v, originalDestinationTable).written("original_dst")
		if settings.node != nil {
			d.originalDestination(settings, d.object(settings, originalDstTable), out, extra)
		}
		return
	case v.isMap():
		d.dns(v, out, groups)
	default:
		for _, entry := range d.items(v) {
			d.endpoint(entry, groups)
		}
	}
	out.LoadAssignment = &endpoint.ClusterLoadAssignment{ClusterName: out.Name, Endpoints: groups.list}
}

// endpoint reads "host:port", or a map with an address.
func (d *decoder) endpoint(v value, groups *groups) {
	if !v.isMap() {
		groups.add(place{}, lbEndpoint(d.address(v)))
		return
	}
	f := d.object(v, endpointTable)
	at := d.place(f)
	written, ok := f.get("address")
	if !ok {
		f.missing("address", "host:port")
		return
	}
	out := lbEndpoint(d.address(written))
	if out == nil {
		return
	}
	d.placed(f, out)
	if drain, ok := f.flag("drain"); ok && drain {
		out.HealthStatus = core.HealthStatus_DRAINING
	}
	groups.add(at, out)
}

func lbEndpoint(address *core.Address) *endpoint.LbEndpoint {
	if address == nil {
		return nil
	}
	return &endpoint.LbEndpoint{HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: address}}}
}

// address reads an IP address with a port.
func (d *decoder) address(v value) *core.Address {
	s, ok := d.word(v)
	if !ok {
		return nil
	}
	host, port, ok := d.hostPort(v, s, 1)
	if !ok {
		return nil
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case err == nil && addr.Zone() == "":
		return socketAddress(addr.Unmap().String(), port, false)
	case isHostName(host):
		d.failHint(v, `for a name write endpoints: {dns: "`+clip(s)+`"}`, "%q is no IP address", clip(host))
	default:
		d.fail(v, "%q is no IP address", clip(host))
	}
	return nil
}

// dns reads names that are looked up.
func (d *decoder) dns(v value, out *cluster.Cluster, groups *groups) {
	f := d.object(v, dnsTable)
	kind := cluster.Cluster_STRICT_DNS
	if mode, ok := f.choice("mode", "strict", "logical"); ok && mode == "logical" {
		kind = cluster.Cluster_LOGICAL_DNS
	}
	out.ClusterDiscoveryType = &cluster.Cluster_Type{Type: kind}
	//lint:ignore SA1019 Envoy moves this to an extension; it is what every control plane sends
	out.DnsRefreshRate = f.duration("refresh", time.Millisecond)
	respect, written := f.flag("respect_ttl")
	//lint:ignore SA1019 as above
	out.RespectDnsTtl = respect || !written
	switch word, _ := f.choice("family", "auto", "v4", "v6"); word {
	case "v4":
		out.DnsLookupFamily = cluster.Cluster_V4_ONLY
	case "v6":
		out.DnsLookupFamily = cluster.Cluster_V6_ONLY
	}
	names, ok := f.get("dns")
	if !ok {
		f.missing("dns", `a name with a port, such as "web:8080"`)
		return
	}
	entries := d.oneOrMore(names)
	for _, entry := range entries {
		d.dnsName(entry, groups)
	}
	if kind == cluster.Cluster_LOGICAL_DNS && len(entries) > 1 {
		d.fail(names, "mode logical takes one name")
	}
	if names.isList() && len(names.node.Content) == 0 {
		d.fail(names, "must name at least one DNS name")
	}
}

// isHostName tells what can be looked up in DNS (RFC 1123 section 2.1, and the
// underscores that container platforms use).
func isHostName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
