// Package epoll is the few system calls that the bench origin and load
// generator run on. It is written apart from the gateway's own loop, so that
// an error in the one cannot hide in the measurement of it by the other.
package epoll

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrAgain says that a non-blocking call would have waited.
var ErrAgain = errors.New("would block")

// Event says what became possible on one descriptor.
type Event struct {
	Key   int32 // what Add was given
	Read  bool  // readable, or ended by the peer
	Write bool  // writable, or failed
	End   bool  // ended by the peer: read up to the end, no further edge will come
}

// Poller waits for many descriptors. All of them are watched edge-triggered
// for reading and writing: one epoll_ctl in a connection's life.
type Poller struct {
	fd  int
	raw []unix.EpollEvent
	out []Event
}

// New makes a poller that returns up to batch events at a time.
func New(batch int) (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	return &Poller{fd: fd, raw: make([]unix.EpollEvent, batch), out: make([]Event, 0, batch)}, nil
}

// Close releases the poller; the watched descriptors stay open.
func (p *Poller) Close() error { return unix.Close(p.fd) }

// Add watches fd. Closing fd ends the watch.
func (p *Poller) Add(fd int, key int32) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: key}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// Wait returns what is ready, waiting up to timeout, or without bound when
// timeout is negative. It sleeps with nanosecond precision (epoll_pwait2,
// Linux 5.11): milliseconds would be far too coarse to pace requests. The
// returned slice is valid until the next call.
func (p *Poller) Wait(timeout time.Duration) ([]Event, error) {
	var ts *unix.Timespec
	if timeout >= 0 {
		t := unix.NsecToTimespec(int64(timeout))
		ts = &t
	}
	// Syscall, not RawSyscall: it may sleep, and the runtime must be able to
	// run other goroutines meanwhile.
	n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.raw[0])),
		uintptr(len(p.raw)), uintptr(unsafe.Pointer(ts)), 0, 0)
	if errno == unix.EINTR {
		return nil, nil
	}
	if errno != 0 {
		return nil, fmt.Errorf("epoll_pwait2: %w", errno)
	}
	p.out = p.out[:0]
	for i := range p.raw[:n] {
		e := &p.raw[i]
		p.out = append(p.out, Event{
			Key:   e.Fd,
			Read:  e.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			Write: e.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			End:   e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
		})
	}
	return p.out, nil
}

// Read reads what is there: 0 and nil at the end of the stream, ErrAgain when
// nothing is there yet. b must not be empty.
func Read(fd int, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return result(n, errno)
}

// Write writes what the socket takes of a and then b. Both may be empty, but
// not both at once.
func Write(fd int, a, b []byte) (int, error) {
	if len(b) == 0 {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&a[0])), uintptr(len(a)), unix.MSG_NOSIGNAL, 0, 0)
		return result(n, errno)
	}
	var iov [2]unix.Iovec
	parts := iov[:0]
	if len(a) > 0 {
		parts = append(parts, unix.Iovec{Base: &a[0], Len: uint64(len(a))})
	}
	parts = append(parts, unix.Iovec{Base: &b[0], Len: uint64(len(b))})
	n, _, errno := syscall.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&parts[0])), uintptr(len(parts)))
	return result(n, errno)
}

func result(n uintptr, errno syscall.Errno) (int, error) {
	switch errno {
	case 0:
		return int(n), nil
	case unix.EAGAIN, unix.EINTR:
		return 0, ErrAgain
	}
	return 0, errno
}

// Listen opens a listening SO_REUSEPORT socket; port 0 lets the kernel choose.
func Listen(addr netip.AddrPort) (fd int, bound netip.AddrPort, err error) {
	fd, err = socket(addr)
	if err != nil {
		return -1, bound, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	for _, opt := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, 1); err != nil {
			return -1, bound, fmt.Errorf("setsockopt: %w", err)
		}
	}
	if err = unix.Bind(fd, sockaddr(addr)); err != nil {
		return -1, bound, fmt.Errorf("bind %s: %w", addr, err)
	}
	if err = unix.Listen(fd, 4096); err != nil {
		return -1, bound, fmt.Errorf("listen %s: %w", addr, err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return -1, bound, fmt.Errorf("getsockname: %w", err)
	}
	port := 0
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		port = sa.Port
	case *unix.SockaddrInet6:
		port = sa.Port
	}
	return fd, netip.AddrPortFrom(addr.Addr(), uint16(port)), nil
}

// Accept takes one waiting connection, non-blocking and without Nagle's delay.
func Accept(listener int) (int, error) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	fd, err := result(n, errno)
	if err != nil {
		return -1, err
	}
	return fd, noDelay(fd)
}

// Connect begins a connection from source (any address when it is not valid).
// It is established when the descriptor becomes writable and SocketError
// reports none.
func Connect(source netip.Addr, to netip.AddrPort) (int, error) {
	fd, err := socket(to)
	if err != nil {
		return -1, err
	}
	if err := connect(fd, source, to); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func connect(fd int, source netip.Addr, to netip.AddrPort) error {
	if err := noDelay(fd); err != nil {
		return err
	}
	if source.IsValid() {
		// The port is chosen at connect time, by the whole four-tuple.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return fmt.Errorf("setsockopt: %w", err)
		}
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(source, 0))); err != nil {
			return fmt.Errorf("bind %s: %w", source, err)
		}
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil && err != unix.EINPROGRESS {
		return fmt.Errorf("connect %s: %w", to, err)
	}
	return nil
}

// SocketError is the pending error of a connection attempt.
func SocketError(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if n != 0 {
		return syscall.Errno(n)
	}
	return nil
}

// CloseFD closes a descriptor.
func CloseFD(fd int) { syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

func socket(addr netip.AddrPort) (int, error) {
	family := unix.AF_INET
	if !addr.Addr().Is4() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func noDelay(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("setsockopt: %w", err)
	}
	return nil
}
