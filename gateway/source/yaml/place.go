package yaml

import (
	"net/netip"
	"strings"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	yaml "go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// labelsKey is where xDS has what load balancers know of endpoints.
const labelsKey = "envoy.lb"

// The bounds of what an endpoint may say.
const (
	maxPriority = 127
	maxLabels   = 64
	maxLabel    = 256 // bytes of a label's value
)

// place is what the endpoints of a LocalityLbEndpoints have in common.
type place struct {
	priority              uint32
	region, zone, subZone string
}

// name is how a person calls a locality: its parts that are set.
func (p place) name() string {
	var parts []string
	for _, part := range []string{p.region, p.zone, p.subZone} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/")
}

func placeOf(group *endpoint.LocalityLbEndpoints) place {
	l := group.GetLocality()
	return place{group.GetPriority(), l.GetRegion(), l.GetZone(), l.GetSubZone()}
}

// groups collects endpoints in their order: neighbours of one place are one
// LocalityLbEndpoints.
type groups struct {
	list []*endpoint.LocalityLbEndpoints
}

func (g *groups) add(at place, e *endpoint.LbEndpoint) {
	if e == nil {
		return // reported
	}
	if len(g.list) == 0 || placeOf(g.list[len(g.list)-1]) != at {
		group := &endpoint.LocalityLbEndpoints{Priority: at.priority}
		if at.name() != "" {
			group.Locality = &core.Locality{Region: at.region, Zone: at.zone, SubZone: at.subZone}
		}
		g.list = append(g.list, group)
	}
	last := g.list[len(g.list)-1]
	last.LbEndpoints = append(last.LbEndpoints, e)
}

// place reads the priority and the locality of an endpoint or name.
func (d *decoder) place(f fields) place {
	at := place{region: d.placeName(f, "region"), zone: d.placeName(f, "zone"), subZone: d.placeName(f, "sub_zone")}
	if n, ok := f.number("priority", 0, maxPriority); ok {
		at.priority = uint32(n)
	}
	return at
}

func (d *decoder) placeName(f fields, key string) string {
	v, ok := f.get(key)
	if !ok {
		return ""
	}
	name, ok := d.word(v)
	if ok && strings.Contains(name, "/") {
		d.fail(v, "%q: the name of a %s has no slash", clip(name), strings.ReplaceAll(key, "_", " "))
		return ""
	}
	return name
}

// placed reads what an endpoint and a DNS name may both say.
func (d *decoder) placed(f fields, out *endpoint.LbEndpoint) {
	if n, ok := f.number("weight", 1, maxWeight); ok {
		out.LoadBalancingWeight = wrapperspb.UInt32(uint32(n))
	}
	if v, ok := f.get("hostname"); ok {
		out.GetEndpoint().Hostname, _ = d.authority(v)
	}
	if v, ok := f.get("labels"); ok {
		if labels := d.labels(v, true); len(labels.GetFields()) > 0 {
			out.Metadata = &core.Metadata{FilterMetadata: map[string]*structpb.Struct{labelsKey: labels}}
		}
	}
	if v, ok := f.get("health"); ok {
		out.GetEndpoint().HealthCheckConfig = d.endpointHealth(v)
	}
}

// labels reads a map of labels; with lists a label may have several values.
func (d *decoder) labels(v value, lists bool) *structpb.Struct {
	out := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	entries := d.entries(v)
	switch {
	case v.isMap() && len(entries) == 0:
		d.fail(v, "must name at least one label")
	case len(entries) > maxLabels:
		d.fail(v, "%d labels: at most %d can stand together", len(entries), maxLabels)
	}
	for _, entry := range entries {
		if entry.key.Value == "" {
			d.fail(entry, "a label has a name")
		}
		if !entry.isList() || !lists {
			if s, ok := d.label(entry); ok {
				out.Fields[entry.key.Value] = structpb.NewStringValue(s)
			}
			continue
		}
		list := &structpb.ListValue{}
		for _, one := range d.items(entry) {
			if s, ok := d.label(one); ok {
				list.Values = append(list.Values, structpb.NewStringValue(s))
			}
		}
		if len(entry.node.Content) == 0 {
			d.fail(entry, "must have at least one value")
		}
		out.Fields[entry.key.Value] = structpb.NewListValue(list)
	}
	return out
}

func (d *decoder) label(v value) (string, bool) {
	s, ok := d.word(v)
	if ok && len(s) > maxLabel {
		d.fail(v, "is longer than %d bytes", maxLabel)
		return "", false
	}
	return s, ok
}

// labelsMap writes labels; those that are no strings stay out, and are missed when the text
// is read back.
func labelsMap(labels *structpb.Struct) *mapping {
	out := &mapping{}
	for _, name := range sortedKeys(labels.GetFields()) {
		switch held := labels.GetFields()[name].GetKind().(type) {
		case *structpb.Value_StringValue:
			out.put(name, text(held.StringValue))
		case *structpb.Value_ListValue:
			var nodes []*yaml.Node
			for _, one := range held.ListValue.GetValues() {
				nodes = append(nodes, text(one.GetStringValue()))
			}
			out.put(name, list(nodes...))
		}
	}
	return out
}

func (d *decoder) endpointHealth(v value) *endpoint.Endpoint_HealthCheckConfig {
	f := d.object(v, endpointHealthTable)
	out := &endpoint.Endpoint_HealthCheckConfig{}
	if n, ok := f.number("port", 1, 65535); ok {
		out.PortValue = uint32(n)
	}
	if v, ok := f.get("host"); ok {
		out.Hostname, _ = d.authority(v)
	}
	if v, ok := f.get("address"); ok {
		if s, ok := d.word(v); ok {
			if addr, err := netip.ParseAddr(s); err != nil || addr.Zone() != "" {
				d.fail(v, "%q is no IP address", clip(s))
			} else {
				out.Address = socketAddress(addr.Unmap().String(), 0, false)
			}
		}
	}
	if v, ok := f.get("off"); ok {
		if off, ok := d.boolean(v); ok && !off {
			d.failHint(v, "leave it out", "off: false says nothing")
		}
		out.DisableActiveHealthCheck = true
		for _, name := range []string{"port", "address", "host"} {
			if odd, ok := f.get(name); ok {
				d.at(odd.key, odd.path, "", "has no effect with off")
			}
		}
	}
	if v.isMap() && len(f.found) == 0 {
		d.fail(v, "must say what is different: port, address, host or off")
	}
	return out
}

func endpointHealthMap(h *endpoint.Endpoint_HealthCheckConfig) *mapping {
	out := &mapping{}
	if port := h.GetPortValue(); port != 0 {
		out.put("port", number(port))
	}
	out.word("address", h.GetAddress().GetSocketAddress().GetAddress())
	out.word("host", h.GetHostname())
	if h.GetDisableActiveHealthCheck() {
		out.put("off", truth(true))
	}
	return out
}

// dnsName reads "name:port", or a map with it.
func (d *decoder) dnsName(v value, groups *groups) {
	if !v.isMap() {
		groups.add(place{}, d.lookedUp(v))
		return
	}
	f := d.object(v, dnsNameTable)
	at := d.place(f)
	written, ok := f.get("name")
	if !ok {
		f.missing("name", "name:port")
		return
	}
	if out := d.lookedUp(written); out != nil {
		d.placed(f, out)
		groups.add(at, out)
	}
}

// lookedUp reads a name with its port.
func (d *decoder) lookedUp(v value) *endpoint.LbEndpoint {
	s, ok := d.word(v)
	if !ok {
		return nil
	}
	host, port, ok := d.hostPort(v, s, 1)
	switch _, err := netip.ParseAddr(host); {
	case !ok:
	case err == nil:
		d.failHint(v, "addresses stand in a list: endpoints: [\""+clip(s)+"\"]", "%q is an address, not a name", clip(host))
	case !isHostName(host):
		d.fail(v, "%q is no DNS name", clip(host))
	default:
		return lbEndpoint(socketAddress(host, port, false))
	}
	return nil
}

// placedMap writes an endpoint or a name, whose address has the key; as a single
// word if it says nothing else.
func placedMap(key string, group *endpoint.LocalityLbEndpoints, e *endpoint.LbEndpoint) *yaml.Node {
	out, at := &mapping{}, placeOf(group)
	address := text(hostPortText(e.GetEndpoint().GetAddress()))
	out.put(key, address)
	out.number("weight", e.GetLoadBalancingWeight())
	if at.priority != 0 {
		out.put("priority", number(at.priority))
	}
	out.word("region", at.region)
	out.word("zone", at.zone)
	out.word("sub_zone", at.subZone)
	out.sub("labels", labelsMap(e.GetMetadata().GetFilterMetadata()[labelsKey]))
	out.word("hostname", e.GetEndpoint().GetHostname())
	out.sub("health", endpointHealthMap(e.GetEndpoint().GetHealthCheckConfig()))
	if e.GetHealthStatus() == core.HealthStatus_DRAINING {
		out.put("drain", truth(true))
	}
	if len(out.content) == 2 {
		return address
	}
	return out.node()
}

func isDNS(c *cluster.Cluster) bool {
	return c.GetType() == cluster.Cluster_STRICT_DNS || c.GetType() == cluster.Cluster_LOGICAL_DNS
}
