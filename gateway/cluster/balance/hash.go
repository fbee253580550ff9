package balance

import (
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Hash is XXH64 of b with seed 0: what a request's header, cookie or address
// comes to, equal in every process.
func Hash(b []byte) uint64 { return xxhash.Sum64(b) }

// HashString is Hash of a string's bytes.
func HashString(s string) uint64 { return xxhash.Sum64String(s) }

// Combine adds one more hash to those of a request, the first of which is combined
// with 0, as Envoy does with several hash policies.
func Combine(before, hash uint64) uint64 { return bits.RotateLeft64(before, 1) ^ hash }

// scatter makes another hash of a hash (the finaliser of MurmurHash3).
func scatter(hash uint64) uint64 {
	hash += 0x9e3779b97f4a7c15
	hash = (hash ^ hash>>33) * 0xff51afd7ed558ccd
	hash = (hash ^ hash>>33) * 0xc4ceb9fe1a85ec53
	return hash ^ hash>>33
}

func hashSeeded(s string, seed uint64) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	d.WriteString(s) // it has no error to return
	return d.Sum64()
}

// murmurSeed is that of std::hash in GNU's libstdc++.
const murmurSeed = 0xc70f6907

// murmur2 is MurmurHash64A of Austin Appleby, who put it in the public domain.
func murmur2(b []byte, seed uint64) uint64 {
	const m = 0xc6a4a7935bd1e995
	h := seed ^ uint64(len(b))*m
	for ; len(b) >= 8; b = b[8:] {
		k := binary.LittleEndian.Uint64(b) * m
		h = (h ^ (k^k>>47)*m) * m
	}
	if len(b) > 0 {
		var tail uint64
		for i, c := range b {
			tail |= uint64(c) << (8 * i)
		}
		h = (h ^ tail) * m
	}
	h = (h ^ h>>47) * m
	return h ^ h>>47
}
