package listener

import (
	"encoding/binary"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// Server takes accepted sockets.
type Server interface {
	Serve(fd int, remote, local netip.AddrPort) error
}

// Acceptor accepts from one listening socket on one worker's loop.
type Acceptor struct {
	loop   *worker.Loop
	fd     int
	slot   worker.Slot
	at     netip.AddrPort
	limits *Limits
	server Server
	stats  *metrics.ListenerStats
	pause  worker.Timer
	closed bool
	warned int64 // when a rest was logged last
}

// Limits are what a connection has to pass. They may be changed on the loop.
type Limits struct {
	Own     *Gate    // the listener's
	Global  *Gate    // the process's
	Clients *Clients // the listener's, of each client; nil: none
	Load    *Load    // the worker's
}

const (
	// acceptBatch bounds the connections taken in one turn, so that those that
	// are there already get theirs.
	acceptBatch = 64
	// pauseFor is how long accepting rests when there are no file descriptors, or too
	// few: connections wait in the backlog meanwhile.
	pauseFor = 100 * time.Millisecond
	// closeBatch bounds what Close takes from the backlog: that of a moment in
	// which the loop was busy, not of a flood.
	closeBatch = 1024
)

// Accept begins to accept from fd, which belongs to the acceptor from then on.
func Accept(l *worker.Loop, fd int, limits *Limits, s Server, stats *metrics.ListenerStats) (*Acceptor, error) {
	at, err := LocalAddr(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	a := &Acceptor{loop: l, fd: fd, at: at, limits: limits, server: s, stats: stats}
	a.pause.Init(a)
	if a.slot, err = l.Add(fd, a); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return a, nil
}

// Ready is told that connections wait.
func (a *Acceptor) Ready(worker.Events) { a.accept() }

// Expire goes on after a pause.
func (a *Acceptor) Expire(*worker.Timer) { a.accept() }

// At is the address that the socket is bound to.
func (a *Acceptor) At() netip.AddrPort { return a.at }

func (a *Acceptor) accept() {
	for range acceptBatch {
		if a.closed {
			return
		}
		if a.limits.Load.Pause {
			a.loop.Arm(&a.pause, pauseFor)
			return
		}
		fd, remote, e := accept4(a.fd)
		switch e {
		case 0:
			a.take(fd, remote)
		case unix.EAGAIN:
			return
		case unix.EINTR, unix.ECONNABORTED, unix.EPROTO:
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			a.stats.Refused[metrics.RefusedNoFiles].Inc()
			a.rest(e)
			return
		default:
			a.rest(e)
			return
		}
	}
	a.loop.Post(a.accept) // there may be more: in the next turn
}

// rest lets connections wait in the backlog for a while.
func (a *Acceptor) rest(e unix.Errno) {
	if now := a.loop.Now(); a.warned == 0 || now-a.warned > int64(10*time.Second) {
		a.warned = now
		a.loop.Log.Warn("accepting rests: connections wait in the backlog", "address", a.at, "error", e)
	}
	a.loop.Arm(&a.pause, pauseFor)
}

func (a *Acceptor) take(fd int, remote netip.AddrPort) {
	if why := a.limits.enter(a.loop.Wall(), remote.Addr()); why != metrics.RefusalCount {
		a.refuse(fd, why)
		return
	}
	local := a.at
	if local.Addr().IsUnspecified() {
		local, _ = LocalAddr(fd)
	}
	if err := a.server.Serve(fd, remote, local); err != nil {
		a.limits.Leave(remote.Addr())
		a.loop.Log.Error("a connection cannot be served", "address", a.at, "error", err)
		unix.Close(fd)
		return
	}
	a.stats.Connections.Inc()
	a.stats.ConnectionsActive.Inc()
}

// refuse closes a connection so that the client sees a reset: it was never
// served.
func (a *Acceptor) refuse(fd int, why metrics.Refusal) {
	a.stats.Refused[why].Inc()
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(fd)
}

// Close stops accepting. What waits in the backlog is taken before: it would be
// reset otherwise.
func (a *Acceptor) Close() {
	if a.closed {
		return
	}
	for range closeBatch {
		fd, remote, e := accept4(a.fd)
		if e != 0 {
			break
		}
		a.take(fd, remote)
	}
	a.closed = true
	a.loop.Drop(&a.pause)
	a.loop.Remove(a.slot)
	unix.Close(a.fd)
}

// accept4 is accept4(2) without an allocation for the address.
func accept4(fd int) (int, netip.AddrPort, unix.Errno) {
	var sa unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(sa))
	n, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, netip.AddrPort{}, e
	}
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa))
		return int(n), netip.AddrPortFrom(netip.AddrFrom4(in.Addr), swap(in.Port)), 0
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&sa))
		return int(n), netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), swap(in.Port)), 0
	}
	return int(n), netip.AddrPort{}, 0
}

// swap reads a port, which is in network byte order.
func swap(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}
