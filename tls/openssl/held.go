//go:build cgo && !noopenssl

package openssl

// #include "evp.h"
import "C"

import (
	"sync/atomic"
	"unsafe"
)

// held is what a Key has in C. It counts its users, so that closing a key
// while another goroutine signs frees it after that signature and not before.
type held struct {
	key    *C.EVP_PKEY
	engine unsafe.Pointer // the ENGINE that the key works in, or nil
	users  atomic.Int64   // the Key itself counts as one until it is closed
	closed atomic.Bool
	// contexts are signing contexts that nobody uses just now. Two are enough for a
	// pool of threads that work on many keys; a third signer at once makes
	// its own and frees it.
	contexts [2]unsafe.Pointer // *C.EVP_PKEY_CTX, which is no type for atomic.Pointer
}

func hold(key *C.EVP_PKEY, engine unsafe.Pointer) *held {
	h := &held{key: key, engine: engine}
	h.users.Store(1)
	return h
}

// use makes the caller a user, who must call release; false after close.
func (h *held) use() bool {
	for {
		n := h.users.Load()
		if n == 0 || h.closed.Load() {
			return false
		}
		if h.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (h *held) release() {
	if h.users.Add(-1) > 0 {
		return
	}
	for i := range h.contexts {
		C.longmen_free_context((*C.EVP_PKEY_CTX)(atomic.SwapPointer(&h.contexts[i], nil)))
	}
	C.longmen_free(h.key, h.engine)
	h.key, h.engine = nil, nil
}

func (h *held) close() {
	if !h.closed.Swap(true) {
		h.release()
	}
}

// context takes a signing context, nil when none is free.
func (h *held) context() *C.EVP_PKEY_CTX {
	for i := range h.contexts {
		if atomic.LoadPointer(&h.contexts[i]) == nil {
			continue
		}
		if c := atomic.SwapPointer(&h.contexts[i], nil); c != nil {
			return (*C.EVP_PKEY_CTX)(c)
		}
	}
	return nil
}

// putContext keeps c for the next signature, or frees it. The caller is a user.
func (h *held) putContext(c *C.EVP_PKEY_CTX) {
	if c == nil {
		return
	}
	for i := range h.contexts {
		if atomic.CompareAndSwapPointer(&h.contexts[i], nil, unsafe.Pointer(c)) {
			return
		}
	}
	C.longmen_free_context(c)
}
