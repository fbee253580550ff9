// Package listener opens listening sockets and accepts from them on a worker's
// loop, within limits.
package listener

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"longmen/gateway/snapshot"
)

// Listen opens one socket of a SO_REUSEPORT group: every worker has its own.
// Options of connections are set here, where accepted sockets inherit them.
func Listen(at netip.AddrPort, o *snapshot.Socket) (int, error) {
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	if at.Addr().Is4() {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := prepare(fd, family, at, address, o); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// prepare lets a new socket listen.
func prepare(fd, family int, at netip.AddrPort, address unix.Sockaddr, o *snapshot.Socket) error {
	for _, opt := range options(family, o) {
		if err := unix.SetsockoptInt(fd, opt.level, opt.name, opt.value); err != nil {
			return fmt.Errorf("%s: %w", opt.text, err)
		}
	}
	if err := unix.Bind(fd, address); err != nil {
		return fmt.Errorf("bind %s: %w", at, err)
	}
	if err := unix.Listen(fd, o.Backlog); err != nil {
		return fmt.Errorf("listen %s: %w", at, err)
	}
	return nil
}

type option struct {
	text               string
	level, name, value int
}

func options(family int, o *snapshot.Socket) []option {
	list := []option{
		{"SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		{"SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
	}
	add := func(on bool, text string, level, name, value int) {
		if on {
			list = append(list, option{text, level, name, value})
		}
	}
	six := family == unix.AF_INET6
	add(six, "IPV6_V6ONLY", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, number(o.V6Only))
	add(o.Transparent && six, "IPV6_TRANSPARENT", unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT, 1)
	add(o.Transparent && !six, "IP_TRANSPARENT", unix.IPPROTO_IP, unix.IP_TRANSPARENT, 1)
	add(o.FreeBind, "IP_FREEBIND", unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
	add(o.NoDelay, "TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	add(o.FastOpen > 0, "TCP_FASTOPEN", unix.IPPROTO_TCP, unix.TCP_FASTOPEN, o.FastOpen)
	if o.KeepaliveIdle > 0 {
		add(true, "SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		add(true, "TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds(o.KeepaliveIdle))
		add(o.KeepaliveInterval > 0, "TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds(o.KeepaliveInterval))
		add(o.KeepaliveProbes > 0, "TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, o.KeepaliveProbes)
	}
	return list
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func seconds(d time.Duration) int { return max(1, int((d+time.Second-1)/time.Second)) }

// LocalAddr is the address that a socket is bound to: it tells the port that
// the kernel chose for port 0.
func LocalAddr(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("getsockname: %w", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port)), nil
	}
	return netip.AddrPort{}, fmt.Errorf("getsockname: unexpected address family")
}
