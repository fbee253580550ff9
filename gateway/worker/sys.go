package worker

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below work on non-blocking descriptors, so they never sleep and
// need not tell Go's scheduler: RawSyscall saves that. Only epollWait may
// sleep, and uses Syscall so that the runtime can use the processor meanwhile.

// Read is read(2) on a non-blocking descriptor.
func Read(fd int, p []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), e
}

// Recv is recv(2) on a non-blocking socket. It passes by what read(2) does for
// files, which is worth some per cent of a small request.
func Recv(fd int, p []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	return int(n), e
}

// Write is send(2) without SIGPIPE on a non-blocking socket.
func Write(fd int, p []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), e
}

// Iovec is one piece of a gathered write.
type Iovec = unix.Iovec

// Writev is sendmsg(2) without SIGPIPE on a non-blocking socket.
func Writev(fd int, iov []Iovec) (int, unix.Errno) {
	msg := unix.Msghdr{Iov: unsafe.SliceData(iov), Iovlen: uint64(len(iov))}
	n, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL)
	return int(n), e
}

func epollWait(epfd int, events []unix.EpollEvent, timeout int) (int, unix.Errno) {
	p, n := uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events))
	if timeout == 0 {
		r, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), p, n, 0, 0, 0)
		return int(r), e
	}
	r, _, e := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), p, n, uintptr(timeout), 0, 0)
	return int(r), e
}
