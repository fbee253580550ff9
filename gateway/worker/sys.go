package worker

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below work on non-blocking descriptors, so they never sleep and
// need not tell Go's scheduler: RawSyscall saves that. Only epollSleep may sleep
// for long, and uses Syscall so that the runtime can use the processor meanwhile.

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

// epollWait waits at most timeout milliseconds without telling Go's scheduler.
func epollWait(epfd int, events []unix.EpollEvent, timeout int) (int, unix.Errno) {
	r, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(timeout), 0, 0)
	return int(r), e
}

// epollSleep waits for as long as it takes (timeout -1), or timeout milliseconds,
// and lets the scheduler use the processor meanwhile.
func epollSleep(epfd int, events []unix.EpollEvent, timeout int) (int, unix.Errno) {
	r, _, e := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(timeout), 0, 0)
	return int(r), e
}
