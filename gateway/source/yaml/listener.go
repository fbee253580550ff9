package yaml

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"google.golang.org/protobuf/proto"

	"longmen/gateway/resource"
)

// listener reads one entry of "listeners".
func (d *decoder) listener(v value) *listener.Listener {
	f := d.object(v, listenerTable)
	extra := resource.Values{}
	out := &listener.Listener{
		Name:                   v.key.Value,
		EnableReusePort:        wrapperspb.Bool(true),
		TcpBacklogSize:         f.uint32("backlog", 1, 1<<20),
		TcpFastOpenQueueLength: f.uint32("fast_open", 0, 1<<16-1),
	}
	out.BypassOverloadManager, _ = f.flag("bypass_overload")
	d.binds(f, out)
	d.listenerTCP(f, out, extra)
	protocols := d.protocols(f)
	manager := d.manager(f, protocols, extra)
	chain := &listener.FilterChain{Filters: []*listener.Filter{{
		Name:       managerName,
		ConfigType: &listener.Filter_TypedConfig{TypedConfig: d.pack(v, manager)},
	}}}
	d.listenerTLS(f, protocols, chain)
	out.FilterChains = []*listener.FilterChain{chain}
	out.Metadata = d.extend(v, resource.ListenerExtension, extra)
	return out
}

// The names that Envoy gives the extensions that are written here.
const (
	managerName   = "envoy.filters.network.http_connection_manager"
	routerName    = "envoy.filters.http.router"
	accessLogName = "envoy.access_loggers.file"
	protocolName  = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
)

// pack wraps an extension's message.
func (d *decoder) pack(v value, m proto.Message) *anypb.Any {
	packed, err := resource.Pack(m)
	if err != nil {
		d.fail(v, "cannot be packed: %v", err)
	}
	return packed
}

// extend packs what xDS has no field for.
func (d *decoder) extend(v value, typeURL string, extra resource.Values) *core.Metadata {
	metadata, err := resource.Extend(typeURL, extra)
	if err != nil {
		d.fail(v, "%v", err)
	}
	return metadata
}

func (d *decoder) binds(f fields, out *listener.Listener) {
	v, ok := f.get("bind")
	if !ok {
		f.missing("bind", `an address such as ":8080"`)
		return
	}
	for i, entry := range d.oneOrMore(v) {
		address := d.bind(entry, 1)
		switch {
		case address == nil:
		case i == 0:
			out.Address = address
		default:
			out.AdditionalAddresses = append(out.AdditionalAddresses, &listener.AdditionalAddress{Address: address})
		}
	}
	if v.isList() && len(v.node.Content) == 0 {
		d.fail(v, "must name at least one address")
	}
}

// missing reports a key that must be written, or one of others in its place.
func (f fields) missing(name, want string, others ...string) {
	if !f.self.isMap() {
		return // reported
	}
	names := append(others, name)
	for _, written := range names {
		if f.d.refused[part(f.self.path, written)] {
			return // reported
		}
	}
	for _, absent := range names {
		f.d.refused[part(f.self.path, absent)] = true
	}
	n := f.self.node
	if f.self.key != nil {
		n = f.self.key
	} else if len(n.Content) > 0 {
		n = n.Content[0]
	}
	f.d.beside(n, f.self.path, "", "%s is missing: %s", name, want)
}

// bind reads an address to listen on. Without an IP address it is all of the
// host's: "::" which takes IPv4 connections too. Port 0, which lets the kernel
// choose, is for those who can tell what it chose: lowest is 0 or 1.
func (d *decoder) bind(v value, lowest uint64) *core.Address {
	s, ok := d.word(v)
	if !ok {
		return nil
	}
	host, port, ok := d.hostPort(v, s, lowest)
	if !ok {
		return nil
	}
	if host == "" {
		return socketAddress("::", port, true)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		d.failHint(v, "write an IP address, or only the port for all of them", "%q is no address to listen on", clip(s))
		return nil
	}
	return socketAddress(addr.Unmap().String(), port, false)
}

func socketAddress(host string, port uint32, compat bool) *core.Address {
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: host, PortSpecifier: &core.SocketAddress_PortValue{PortValue: port}, Ipv4Compat: compat,
	}}}
}

// hostPort splits "host:port"; IPv6 addresses stand in brackets.
func (d *decoder) hostPort(v value, s string, lowest uint64) (host string, port uint32, ok bool) {
	if _, err := strconv.ParseUint(s, 10, 64); err == nil {
		d.failHint(v, fmt.Sprintf(`did you mean ":%s"?`, clip(s)), "%q has no colon: want host:port", clip(s))
		return "", 0, false
	}
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		d.failHint(v, fmt.Sprintf(`write %q with the port in place of 80`, clip(s)+":80"), "%q has no port", clip(s))
		return "", 0, false
	}
	host, digits := s[:colon], s[colon+1:]
	switch {
	case strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]"):
		host = host[1 : len(host)-1]
		if addr, err := netip.ParseAddr(host); err != nil || !addr.Is6() {
			d.fail(v, "%q: what stands in brackets is no IPv6 address", clip(s))
			return "", 0, false
		}
	case strings.ContainsAny(host, ":[]"):
		d.failHint(v, "an IPv6 address stands in brackets: [::1]:80", "%q is not host:port", clip(s))
		return "", 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n < lowest || digits[0] == '+' {
		d.fail(v, "%q: the port must be a number from %d to 65535", clip(s), lowest)
		return "", 0, false
	}
	return host, uint32(n), true
}

func (d *decoder) listenerTCP(f fields, out *listener.Listener, extra resource.Values) {
	v, ok := f.get("tcp")
	if !ok {
		return
	}
	tcp := d.object(v, listenerTCPTable)
	if on, ok := tcp.flag("nodelay"); ok {
		extra["nodelay"] = on
	}
	if v, ok := tcp.get("keepalive"); ok {
		out.TcpKeepalive = d.keepalive(v)
	}
}

// keepalive reads TCP keepalive settings, whose times are whole seconds.
func (d *decoder) keepalive(v value) *core.TcpKeepalive {
	f := d.object(v, keepaliveTable)
	seconds := func(name string) *wrapperspb.UInt32Value {
		t, ok := f.span(name, time.Second)
		if !ok {
			return nil
		}
		if t%time.Second != 0 || t > 32767*time.Second {
			d.fail(f.written(name), "%v: must be whole seconds, at most 32767", t)
			return nil
		}
		return wrapperspb.UInt32(uint32(t / time.Second))
	}
	return &core.TcpKeepalive{
		KeepaliveTime:     seconds("idle"),
		KeepaliveInterval: seconds("interval"),
		KeepaliveProbes:   f.uint32("probes", 1, 127),
	}
}

var pathActions = map[string]hcm.HttpConnectionManager_PathWithEscapedSlashesAction{
	"reject": hcm.HttpConnectionManager_REJECT_REQUEST,
	"decode": hcm.HttpConnectionManager_UNESCAPE_AND_FORWARD,
	"keep":   hcm.HttpConnectionManager_KEEP_UNCHANGED,
}
