package snapshot

import (
	"crypto/sha256"
	"encoding/binary"
	stdhash "hash"

	"google.golang.org/protobuf/proto"
)

// digest identifies a resource together with the contents that it names.
type digest struct{ h stdhash.Hash }

func newDigest(m proto.Message) *digest {
	d := &digest{sha256.New()}
	write(d.h, m)
	return d
}

func (d *digest) add(s sum) { d.h.Write(s[:]) }

func (d *digest) sum() uint64 { return binary.BigEndian.Uint64(d.h.Sum(nil)) }

// combine makes one hash of two.
func combine(a, b uint64) uint64 {
	var both [16]byte
	binary.BigEndian.PutUint64(both[:], a)
	binary.BigEndian.PutUint64(both[8:], b)
	h := sha256.Sum256(both[:])
	return binary.BigEndian.Uint64(h[:])
}
