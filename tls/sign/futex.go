package sign

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations of futex(2) on a word that only this process uses.
const (
	futexWait = 0 | 128
	futexWake = 1 | 128
)

// sleep waits until wake is called for the word, or returns at once when it is no longer
// old; it may also return for nothing.
func sleep(word *atomic.Uint32, old uint32) {
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(old), 0, 0, 0)
}

// wake ends the sleep of up to n threads. It does not block, so Go's scheduler
// need not hear of it.
func wake(word *atomic.Uint32, n int) {
	unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, uintptr(n), 0, 0, 0)
}
