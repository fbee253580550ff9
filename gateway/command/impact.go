package command

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"longmen/gateway/cluster"
	"longmen/gateway/snapshot"
)

// impact says what a change does to connections. The new snapshot was compiled on
// top of the old one, so what is the same is one and the same object.
func (d *difference) impact(out *strings.Builder) {
	old, next := d.before.snapshot, d.after.snapshot
	touched := int64(0)
	for _, l := range old.Listeners {
		now := findListener(next, l.Name)
		switch closed := closedBinds(l, now); {
		case now == nil:
			fmt.Fprintf(out, "listener %s goes: its connections are drained%s\n", l.Name, d.connections(l.Name))
			touched += d.listeners[l.Name].Numbers.Active
		case len(closed) > 0:
			fmt.Fprintf(out, "listener %s leaves %s: the connections there are drained%s\n", l.Name, strings.Join(closed, ", "), d.connections(l.Name))
			touched += d.listeners[l.Name].Numbers.Active
		case now.Hash != l.Hash:
			fmt.Fprintf(out, "listener %s has other settings: no connection closes\n", l.Name)
		case now.RoutesHash != l.RoutesHash:
			fmt.Fprintf(out, "listener %s has other routes from the next request on: no connection closes\n", l.Name)
		}
	}
	for _, l := range next.Listeners {
		if findListener(old, l.Name) == nil {
			fmt.Fprintf(out, "listener %s opens\n", l.Name)
		}
	}
	for slot, c := range old.Clusters {
		if c == nil || next.Clusters[slot] == c {
			continue
		}
		name := c.Config().Name
		switch now := next.Clusters[slot]; {
		case now == nil:
			fmt.Fprintf(out, "cluster %s goes: its connections close when idle%s\n", name, d.upstream(name))
		case now.Config().TCP != c.Config().TCP:
			fmt.Fprintf(out, "cluster %s has other socket options: its connections are made anew%s\n", name, d.upstream(name))
		case speaksOtherwise(c.Config(), now.Config()):
			fmt.Fprintf(out, "cluster %s speaks HTTP otherwise: its connections are made anew%s\n", name, d.upstream(name))
		case now.Config().TLS != c.Config().TLS:
			fmt.Fprintf(out, "cluster %s speaks TLS otherwise: its connections are made anew%s\n", name, d.upstream(name))
		default:
			fmt.Fprintf(out, "cluster %s has other settings: endpoints that stay keep their health and connections%s\n", name, d.upstream(name))
		}
	}
	if d.listeners != nil {
		fmt.Fprintf(out, "%s touched\n", count(int(touched), "client connection"))
	}
}

// speaksOtherwise reports whether connections made with one configuration are of no
// use with another, as they are of another version of HTTP, or have other settings of
// HTTP/2.
func speaksOtherwise(before, after *cluster.Config) bool {
	return after.Protocol != before.Protocol || after.Protocol != cluster.HTTP1 && after.HTTP2 != before.HTTP2
}

// connections says how many connections a listener has now, when that is known.
func (d *difference) connections(name string) string {
	if d.listeners == nil {
		return ""
	}
	return fmt.Sprintf(" (%d now)", d.listeners[name].Numbers.Active)
}

func (d *difference) upstream(name string) string {
	if d.clusters == nil {
		return ""
	}
	return fmt.Sprintf(" (%d now)", d.clusters[name].Numbers.Active)
}

func findListener(s *snapshot.Snapshot, name string) *snapshot.Listener {
	for _, l := range s.Listeners {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// closedBinds lists the addresses of a listener that it has no more.
func closedBinds(before, after *snapshot.Listener) []string {
	var closed []string
	if after == nil {
		return nil
	}
	for _, bind := range before.Binds {
		if !slices.ContainsFunc(after.Binds, func(b netip.AddrPort) bool { return b == bind }) {
			closed = append(closed, bindText(bind))
		}
	}
	return closed
}
