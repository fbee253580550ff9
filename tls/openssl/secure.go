//go:build cgo && !noopenssl

package openssl

// #include "evp.h"
import "C"

import "errors"

// InitSecureHeap makes OpenSSL's secure heap for that many keys: a power of
// two of bytes, with 2 KiB for each, 1 MiB at least and 256 MiB at most. Keys
// loaded from then on stand in it. A process does it once, before its first
// key: OpenSSL cannot make it greater. When the system refuses to lock so much
// memory (see RLIMIT_MEMLOCK) the heap serves all the same, with Locked false.
func InitSecureHeap(keys int) (SecureHeap, error) {
	size := secureHeapSize(keys)
	switch C.longmen_secure_init(C.size_t(size)) {
	case 1:
		return SecureHeap{Size: size, Locked: true}, nil
	case 2:
		return SecureHeap{Size: size}, nil
	}
	return SecureHeap{}, errors.New("openssl: cannot make the secure heap (it can be made once, and needs the memory)")
}

// SecureHeapUsed is how many bytes of the secure heap are in use; 0 without one.
func SecureHeapUsed() int { return int(C.longmen_secure_used()) }
