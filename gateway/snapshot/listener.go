package snapshot

import (
	"net/netip"
	"slices"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"longmen/gateway/resource"
)

const defaultBacklog = 4096

// listener compiles one Listener, all but its routes.
func (c *compiler) listener(l *listener.Listener) *Listener {
	at := join("listeners", l.GetName())
	c.only(at, l, "name", "stat_prefix", "address", "additional_addresses", "filter_chains", "default_filter_chain", "metadata",
		"transparent", "freebind", "tcp_fast_open_queue_length", "enable_reuse_port", "tcp_backlog_size", "tcp_keepalive", "bypass_overload_manager")
	out := &Listener{
		Name:   l.GetName(),
		Origin: c.place(at),
		Hash:   listenerHash(l),
		Socket: Socket{
			Backlog:     c.number(join(at, "backlog"), l.GetTcpBacklogSize(), 1, 1<<20, defaultBacklog),
			FastOpen:    c.number(join(at, "fast_open"), l.GetTcpFastOpenQueueLength(), 0, 1<<16, 0),
			Transparent: l.GetTransparent().GetValue(),
			FreeBind:    l.GetFreebind().GetValue(),
			NoDelay:     true,
		},
	}
	if l.GetEnableReusePort() != nil && !l.GetEnableReusePort().GetValue() {
		c.fail(at, "Listener.enable_reuse_port: false is not supported: every worker has its own socket")
	}
	out.BypassOverload = l.GetBypassOverloadManager()
	out.Binds = c.binds(at, l, &out.Socket)
	c.listenerKeepalive(at, l.GetTcpKeepalive(), &out.Socket)
	manager := c.manager(at, l)
	c.http(at, manager, out)
	out.TLS, out.TLSHash = c.listenerTLS(at, l.GetName(), out.HTTP.Protocols, transportSocket(l))
	if out.TLSHash != 0 {
		out.Hash = combine(out.Hash, out.TLSHash)
	}
	c.listenerExtension(at, l.GetMetadata(), manager, out)
	c.contradictions(at, &out.HTTP)
	return out
}

// binds reads the addresses to listen on.
func (c *compiler) binds(at resource.Path, l *listener.Listener, socket *Socket) []netip.AddrPort {
	addresses := []*core.Address{l.GetAddress()}
	for _, more := range l.GetAdditionalAddresses() {
		c.only(join(at, "bind"), more, "address")
		addresses = append(addresses, more.GetAddress())
	}
	var binds []netip.AddrPort
	any := false // there was a "::"
	for i, address := range addresses {
		where := join(at, "bind")
		if len(addresses) > 1 {
			where = item(where, i)
		}
		bind, compat, ok := c.address(where, address)
		if !ok {
			continue
		}
		if bind.Addr() == netip.IPv6Unspecified() {
			if any && socket.V6Only == compat {
				c.fail(where, "SocketAddress.ipv4_compat must be the same for all addresses \"::\" of a listener")
			}
			any, socket.V6Only = true, !compat
		} else if compat {
			c.fail(where, "SocketAddress.ipv4_compat is for the address \"::\" only")
		}
		binds = append(binds, bind)
	}
	return binds
}

// address reads an IP address and port.
func (c *compiler) address(at resource.Path, a *core.Address) (bind netip.AddrPort, compat, ok bool) {
	if a == nil {
		c.fail(at, "an address is missing")
		return bind, false, false
	}
	c.only(at, a, "socket_address")
	s := a.GetSocketAddress()
	if s == nil {
		if a.GetAddress() == nil {
			c.fail(at, "an address is missing")
		}
		return bind, false, false
	}
	c.only(at, s, "protocol", "address", "port_value", "ipv4_compat")
	if s.GetProtocol() != core.SocketAddress_TCP {
		c.fail(at, "SocketAddress.protocol: %v is not supported by this version yet", s.GetProtocol())
		return bind, false, false
	}
	ip, err := netip.ParseAddr(s.GetAddress())
	if err != nil {
		c.fail(at, "%q is no IP address", s.GetAddress())
		return bind, false, false
	}
	if s.GetPortValue() == 0 || s.GetPortValue() > 65535 {
		c.fail(at, "port %d: must be from 1 to 65535", s.GetPortValue())
		return bind, false, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(s.GetPortValue())), s.GetIpv4Compat(), true
}

// manager finds the one filter that a filter chain may have.
func (c *compiler) manager(at resource.Path, l *listener.Listener) *hcm.HttpConnectionManager {
	chains := l.GetFilterChains()
	if l.GetDefaultFilterChain() != nil {
		chains = append(chains[:len(chains):len(chains)], l.GetDefaultFilterChain())
	}
	if len(chains) != 1 {
		c.fail(at, "%d filter chains: exactly one is supported by this version", len(chains))
		return nil
	}
	chain := chains[0]
	c.only(at, chain, "name", "filters", "transport_socket")
	if len(chain.GetFilters()) != 1 {
		c.fail(at, "%d network filters: exactly one, an HttpConnectionManager, is supported by this version", len(chain.GetFilters()))
		return nil
	}
	filter := chain.GetFilters()[0]
	c.only(at, filter, "name", "typed_config")
	var manager hcm.HttpConnectionManager
	if filter.GetTypedConfig() == nil {
		c.fail(at, "network filter %q has no typed_config", filter.GetName())
		return nil
	}
	if !c.unpack(at, filter.GetTypedConfig(), &manager) {
		return nil
	}
	return &manager
}

// transportSocket is that of the only filter chain; where there are more, that is
// reported.
func transportSocket(l *listener.Listener) *core.TransportSocket {
	for _, chain := range append(slices.Clone(l.GetFilterChains()), l.GetDefaultFilterChain()) {
		if socket := chain.GetTransportSocket(); socket != nil {
			return socket
		}
	}
	return nil
}

func (c *compiler) listenerKeepalive(at resource.Path, k *core.TcpKeepalive, socket *Socket) {
	if k != nil {
		socket.KeepaliveIdle, socket.KeepaliveInterval, socket.KeepaliveProbes = c.keepalive(at, k)
	}
}

// keepalive reads TcpKeepalive, whose times are whole seconds. Linux takes at
// most 32767 of them and 127 probes (tcp(7)).
func (c *compiler) keepalive(at resource.Path, k *core.TcpKeepalive) (idle, interval time.Duration, probes int) {
	c.only(at, k, "keepalive_probes", "keepalive_time", "keepalive_interval")
	const maxTime, maxProbes = 32767, 127
	idle = time.Duration(c.number(join(at, "tcp.keepalive"), k.GetKeepaliveTime(), 1, maxTime, 7200)) * time.Second
	interval = time.Duration(c.number(join(at, "tcp.keepalive"), k.GetKeepaliveInterval(), 1, maxTime, 75)) * time.Second
	probes = c.number(join(at, "tcp.keepalive"), k.GetKeepaliveProbes(), 1, maxProbes, 9)
	return idle, interval, probes
}
