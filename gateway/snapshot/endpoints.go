package snapshot

import (
	"net/netip"
	"strconv"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
)

// maxWeight bounds an endpoint's weight, so that sums stay small.
const maxWeight = 1_000_000

// assignment finds the cluster's endpoints: its own, or those of the set that
// have its name.
func (c *compiler) assignment(at resource.Path, cl *clusterv3.Cluster) *endpoint.ClusterLoadAssignment {
	if cl.GetLoadAssignment() != nil {
		if cl.GetType() == clusterv3.Cluster_EDS || cl.GetEdsClusterConfig() != nil {
			c.fail(join(at, "endpoints"), "both Cluster.load_assignment and EDS")
		}
		return cl.GetLoadAssignment()
	}
	name := cl.GetName()
	if e := cl.GetEdsClusterConfig(); e != nil {
		c.only(at, e, "service_name", "eds_config")
		if e.GetServiceName() != "" {
			name = e.GetServiceName()
		}
	}
	for _, a := range c.set.Endpoints {
		if a.GetClusterName() == name {
			return a
		}
	}
	return nil
}

// endpoints flattens the localities of an assignment.
func (c *compiler) endpoints(at resource.Path, a *endpoint.ClusterLoadAssignment, out *cluster.Config) {
	at = join(at, "endpoints")
	switch {
	case out.Discovery == cluster.OriginalDst, a == nil && len(out.Failover) > 0: // a cluster of clusters
		return
	case a == nil:
		c.fail(at, "the cluster has no endpoints")
		return
	}
	c.only(at, a, "cluster_name", "endpoints", "policy")
	c.assignmentPolicy(at, a.GetPolicy(), out)
	weights := map[locality]uint32{}
	places := map[string]resource.Path{}
	for _, group := range a.GetEndpoints() {
		where := item(at, len(out.Endpoints))
		common := c.locality(where, group, weights)
		for _, e := range group.GetLbEndpoints() {
			where := item(at, len(out.Endpoints))
			compiled := c.endpoint(where, e, out.Discovery)
			compiled.Priority, compiled.Locality, compiled.LocalityWeight = common.Priority, common.Locality, common.LocalityWeight
			key := endpointName(compiled)
			if before, twice := places[key]; twice && compiled.Host != "" {
				c.fail(where, "%s is named twice (%s)", key, c.line(before, where))
			}
			places[key] = where
			out.Endpoints = append(out.Endpoints, compiled)
		}
	}
	c.gaps(at, out.Endpoints)
	if len(out.Endpoints) == 0 && !c.goesOn(out.Name) {
		c.warn(at, "", "the cluster has no endpoints: every request to it is answered with 503")
	}
	if out.Discovery == cluster.LogicalDNS && len(out.Endpoints) > 1 {
		c.fail(at, "%d names: LOGICAL_DNS takes exactly one", len(out.Endpoints))
	}
}

func (c *compiler) endpoint(at resource.Path, e *endpoint.LbEndpoint, discovery cluster.Discovery) cluster.EndpointConfig {
	c.only(at, e, "endpoint", "health_status", "load_balancing_weight", "metadata")
	c.only(at, e.GetEndpoint(), "address", "hostname", "health_check_config")
	out := cluster.EndpointConfig{
		Weight:   uint32(c.number(join(at, "weight"), e.GetLoadBalancingWeight(), 1, maxWeight, 1)),
		Hostname: e.GetEndpoint().GetHostname(),
		Origin:   c.place(at),
	}
	c.labels(join(at, "labels"), e.GetMetadata(), &out)
	c.checkedAt(join(at, "health"), e.GetEndpoint().GetHealthCheckConfig(), &out)
	switch e.GetHealthStatus() {
	case core.HealthStatus_UNKNOWN, core.HealthStatus_HEALTHY:
	case core.HealthStatus_DRAINING:
		out.Draining = true
	case core.HealthStatus_UNHEALTHY, core.HealthStatus_TIMEOUT:
		out.Down = true
	default:
		c.fail(at, "LbEndpoint.health_status: %v is not supported by this version yet", e.GetHealthStatus())
	}
	if out.Hostname != "" && !isAuthority(out.Hostname) {
		c.fail(join(at, "hostname"), "%q is no host name", out.Hostname)
	}
	address := e.GetEndpoint().GetAddress()
	if address.GetSocketAddress() == nil {
		if c.only(at, address); address.GetAddress() == nil {
			c.fail(at, "the address is missing")
		}
		return out
	}
	s := address.GetSocketAddress()
	c.only(at, s, "protocol", "address", "port_value")
	if s.GetProtocol() != core.SocketAddress_TCP {
		c.fail(at, "SocketAddress.protocol: %v is not supported by this version yet", s.GetProtocol())
	}
	ip, err := netip.ParseAddr(s.GetAddress())
	switch {
	case err == nil:
		out.Host = ip.Unmap().String()
	case !isDomain(s.GetAddress()):
		c.fail(at, "%q is neither an IP address nor a name", s.GetAddress())
	case discovery == cluster.Static:
		c.failHint(at, "names need DNS: endpoints: {dns: ...}", "%q is no IP address", s.GetAddress())
	default:
		out.Host = s.GetAddress()
	}
	if s.GetPortValue() == 0 || s.GetPortValue() > 65535 {
		c.fail(at, "port %d: must be from 1 to 65535", s.GetPortValue())
		return out
	}
	out.Port = uint16(s.GetPortValue())
	return out
}

func endpointName(e cluster.EndpointConfig) string {
	if ip, err := netip.ParseAddr(e.Host); err == nil {
		return netip.AddrPortFrom(ip, e.Port).String()
	}
	return strings.ToLower(e.Host) + ":" + strconv.Itoa(int(e.Port))
}

// isDomain reports whether s can be looked up in the DNS (RFC 1123 section 2.1,
// and underscores, which names of services have).
func isDomain(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			b := label[i]
			if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_') {
				return false
			}
		}
	}
	return true
}
