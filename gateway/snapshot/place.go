package snapshot

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
)

// The bounds of what endpoints say.
const (
	maxPriority         = 127
	minOverprovisioning = 100 // percent
	maxOverprovisioning = 10_000
	labelsKey           = "envoy.lb" // where metadata holds what load balancers know
	hashKey             = "hash_key" // the label that is hashed in place of an address
)

// locality is a locality of one priority.
type locality struct {
	priority int
	cluster.Locality
}

// locality reads what the endpoints of a group have in common. weights are those of the
// groups before.
func (c *compiler) locality(at resource.Path, group *endpoint.LocalityLbEndpoints, weights map[locality]uint32) (out cluster.EndpointConfig) {
	c.only(at, group, "locality", "lb_endpoints", "load_balancing_weight", "priority")
	l := group.GetLocality()
	c.only(at, l, "region", "zone", "sub_zone")
	out.Locality = cluster.Locality{Region: l.GetRegion(), Zone: l.GetZone(), SubZone: l.GetSubZone()}
	if group.GetPriority() > maxPriority {
		c.fail(join(at, "priority"), "%d: must be from 0 to %d", group.GetPriority(), maxPriority)
		return out
	}
	out.Priority = int(group.GetPriority())
	out.LocalityWeight = uint32(c.number(at, group.GetLoadBalancingWeight(), 1, maxWeight, 0))
	here := locality{out.Priority, out.Locality}
	if before, known := weights[here]; known && before != out.LocalityWeight {
		c.fail(at, "locality %q has the weights %d and %d", out.Locality, before, out.LocalityWeight)
	}
	weights[here] = out.LocalityWeight
	return out
}

// gaps refuses priorities that are not 0, 1, 2 and so on, as Envoy does: one that
// is missing is mostly a slip.
func (c *compiler) gaps(at resource.Path, endpoints []cluster.EndpointConfig) {
	var there [maxPriority + 1]bool
	for _, e := range endpoints {
		there[e.Priority] = true
	}
	for i, e := range endpoints {
		if e.Priority > 0 && !there[e.Priority-1] {
			c.fail(join(item(at, i), "priority"), "there is priority %d, but not %d", e.Priority, e.Priority-1)
			return
		}
	}
}

// assignmentPolicy reads how much a priority takes.
func (c *compiler) assignmentPolicy(at resource.Path, p *endpoint.ClusterLoadAssignment_Policy, out *cluster.Config) {
	if p == nil {
		return
	}
	c.only(at, p, "overprovisioning_factor", "weighted_priority_health")
	where := beside(at, "overprovisioning")
	out.Spread.Overprovisioning = c.number(where, p.GetOverprovisioningFactor(), minOverprovisioning, maxOverprovisioning, 0)
	out.Spread.WeightedHealth = p.GetWeightedPriorityHealth()
}

// labels reads the metadata of an endpoint: only what load balancers look at.
func (c *compiler) labels(at resource.Path, m *core.Metadata, out *cluster.EndpointConfig) {
	if m == nil {
		return
	}
	c.only(at, m, "filter_metadata")
	for _, name := range slices.Sorted(maps.Keys(m.GetFilterMetadata())) {
		if name != labelsKey {
			c.fail(at, "Metadata.filter_metadata[%q] is not supported by this version yet", name)
		}
	}
	for _, label := range c.labelList(at, m.GetFilterMetadata()[labelsKey]) {
		if label.Key == hashKey {
			out.HashKey = label.Value
		}
		out.Labels = append(out.Labels, label)
	}
}

// labelList reads labels, sorted by their keys; a list is several values of one.
func (c *compiler) labelList(at resource.Path, labels *structpb.Struct) (out []cluster.Label) {
	for _, key := range slices.Sorted(maps.Keys(labels.GetFields())) {
		value := labels.GetFields()[key]
		values := []*structpb.Value{value}
		if list := value.GetListValue(); list != nil {
			values = list.GetValues()
		}
		for _, one := range values {
			text, ok := labelText(one)
			if !ok {
				c.fail(join(at, key), "a label is a string, a number, or true or false")
				continue
			}
			out = append(out, cluster.Label{Key: key, Value: text})
		}
	}
	return out
}

// labelText is the value of a label as text.
func labelText(v *structpb.Value) (string, bool) {
	switch held := v.GetKind().(type) {
	case *structpb.Value_StringValue:
		return held.StringValue, true
	case *structpb.Value_BoolValue:
		return strconv.FormatBool(held.BoolValue), true
	case *structpb.Value_NumberValue:
		return strconv.FormatFloat(held.NumberValue, 'g', -1, 64), true
	}
	return "", false
}

// checkedAt reads where the health checks of an endpoint go.
func (c *compiler) checkedAt(at resource.Path, h *endpoint.Endpoint_HealthCheckConfig, out *cluster.EndpointConfig) {
	if h == nil {
		return
	}
	c.only(at, h, "port_value", "address", "hostname", "disable_active_health_check")
	if out.HealthHostname = h.GetHostname(); out.HealthHostname != "" && !isAuthority(out.HealthHostname) {
		c.fail(join(at, "host"), "%q is no host name", out.HealthHostname)
	}
	out.Unchecked = h.GetDisableActiveHealthCheck()
	if h.GetPortValue() > 65535 {
		c.fail(join(at, "port"), "port %d: must be at most 65535", h.GetPortValue())
		return
	}
	out.HealthPort = uint16(h.GetPortValue())
	if h.GetAddress() == nil {
		return
	}
	where, s := join(at, "address"), h.GetAddress().GetSocketAddress()
	c.only(where, h.GetAddress(), "socket_address")
	c.only(where, s, "protocol", "address", "port_value")
	if s.GetProtocol() != core.SocketAddress_TCP {
		c.fail(where, "SocketAddress.protocol: %v is not supported by this version yet", s.GetProtocol())
	}
	ip, err := netip.ParseAddr(s.GetAddress())
	if err != nil {
		c.fail(where, "%q is no IP address", s.GetAddress())
		return
	}
	out.HealthHost = ip.Unmap().String()
	if s.GetPortValue() != 0 {
		c.fail(where, "SocketAddress.port_value: health_check_config.port_value says it")
	}
}
