package record

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/subtle"
	"encoding"
	"encoding/binary"
	"hash"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
)

// cbcMAC is TLCP's SM4-CBC with HMAC-SM3: first the MAC, then the padding, then the encryption
// (GB/T 38636 §6.3.3.4.3, as RFC 5246 §6.2.3.2). Who opens must not tell, by an alert or by the time
// it takes, a wrong padding from a wrong MAC, nor how long the padding was: either is an
// oracle that decrypts records (Vaudenay 2002, Lucky Thirteen 2013). So open looks at the same
// bytes and hashes the same number of blocks whatever the padding says.
type cbcMAC struct {
	encrypt, decrypt blockMode
	mac              hash.Hash // HMAC, for sealing

	hash       sm3Hash
	ipad, opad []byte // the state of hash after the first block of HMAC's inner and outer hash
	state      []byte // scratch: a marshalled state of hash
	digest     []byte // scratch: a MAC
}

// A blockMode of CBC takes a new IV for each record.
type blockMode interface {
	cipher.BlockMode
	SetIV([]byte)
}

// sm3Hash gives its state away, so that the last blocks of a record can be hashed here.
type sm3Hash interface {
	hash.Hash
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

func newCBCMAC(key, macKey []byte) (*cbcMAC, error) {
	block, err := sm4.NewCipher(key)
	if err != nil {
		return nil, err
	}
	var iv [sm4.BlockSize]byte
	c := &cbcMAC{
		encrypt: cipher.NewCBCEncrypter(block, iv[:]).(blockMode),
		decrypt: cipher.NewCBCDecrypter(block, iv[:]).(blockMode),
		mac:     hmac.New(sm3.New, macKey),
		hash:    sm3.New().(sm3Hash),
		digest:  make([]byte, 0, sm3.Size),
	}
	c.ipad = c.padState(macKey, 0x36)
	c.opad = c.padState(macKey, 0x5c)
	return c, nil
}

func (c *cbcMAC) padState(key []byte, pad byte) []byte {
	var block [sm3.BlockSize]byte
	copy(block[:], key)
	for i := range block {
		block[i] ^= pad
	}
	c.hash.Reset()
	c.hash.Write(block[:])
	return c.save(nil)
}

func (c *cbcMAC) save(dst []byte) []byte {
	state, err := c.hash.AppendBinary(dst)
	if err != nil {
		panic("record: " + err.Error()) // it has no reason to
	}
	return state
}

func (c *cbcMAC) load(state []byte) {
	if err := c.hash.UnmarshalBinary(state); err != nil {
		panic("record: " + err.Error()) // it is one of ours
	}
}

// paddedSize is the size of n bytes with the least padding, which is a byte or more.
func paddedSize(n int) int { return n + sm4.BlockSize - n%sm4.BlockSize }

// seal appends IV, payload, MAC and padding, encrypted, to dst.
func (c *cbcMAC) seal(dst, pseudoHeader, payload []byte) []byte {
	var zero [sm4.BlockSize]byte
	iv := len(dst)
	dst = append(dst, zero[:]...)
	rand.Read(dst[iv:]) // never fails
	start := len(dst)
	dst = append(dst, payload...)
	c.mac.Reset()
	c.mac.Write(pseudoHeader)
	c.mac.Write(payload)
	dst = c.mac.Sum(dst)
	padding := paddedSize(len(dst)-start) - (len(dst) - start)
	for range padding {
		dst = append(dst, byte(padding-1))
	}
	c.encrypt.SetIV(dst[iv:start])
	c.encrypt.CryptBlocks(dst[start:], dst[start:])
	return dst
}

// open decrypts a record's body in place. pseudoHeader is scratch: open writes the length.
func (c *cbcMAC) open(pseudoHeader, body []byte) ([]byte, error) {
	if len(body)%sm4.BlockSize != 0 || len(body) < sm4.BlockSize+paddedSize(sm3.Size) {
		return nil, errBadRecordMAC
	}
	data := body[sm4.BlockSize:]
	c.decrypt.SetIV(body[:sm4.BlockSize])
	c.decrypt.CryptBlocks(data, data)

	padding, good := paddingOf(data)
	n := len(data) - sm3.Size - 1 - padding // secret until the end, and at least 0
	binary.BigEndian.PutUint16(pseudoHeader[11:], uint16(n))
	c.digest = c.hmac(c.digest[:0], pseudoHeader, data, n)
	sent := macAt(data, n)
	good &= byte(-subtle.ConstantTimeCompare(c.digest, sent[:]))
	if good == 0 {
		return nil, errBadRecordMAC
	}
	return data[:n], nil
}

// paddingOf gives the number of padding bytes before the last one, which says it, and 0xff if
// they are right and a MAC fits before them. Else it gives 0 and 0.
func paddingOf(data []byte) (padding int, good byte) {
	padding = int(data[len(data)-1])
	good = ^less(len(data)-sm3.Size-1, padding)
	for i := range min(256, len(data)) {
		inside := ^less(padding, i)
		good &= ^inside | equal(int(data[len(data)-1-i]), padding)
	}
	return padding & int(good), good
}

// macAt copies the MAC that begins at the secret offset n, with a scan of every place where it
// could be.
func macAt(data []byte, n int) (mac [sm3.Size]byte) {
	first := firstEnd(len(data))
	for i := first; i < len(data); i++ {
		mac[(i-first)%sm3.Size] |= data[i] &^ less(i, n) & less(i, n+sm3.Size)
	}
	// It is there, rotated; turn it back by the bits of the distance.
	for step := 1; step < sm3.Size; step *= 2 {
		turned := mac
		take := ^equal((n-first)&step, 0)
		for i := range mac {
			mac[i] = turned[(i+step)%sm3.Size]&take | turned[i]&^take
		}
	}
	return mac
}

// firstEnd is the least that the payload's end can be, by the size of the record alone.
func firstEnd(size int) int { return max(0, size-sm3.Size-256) }

// hmac appends the HMAC of pseudoHeader and data[:n], in a time that depends on len(data) only.
// The blocks that no padding can reach are hashed as ever. Each of the last ones is made to be
// what it is if the message ends before, in or after it, and the hash is taken after the right one.
func (c *cbcMAC) hmac(dst, pseudoHeader, data []byte, n int) []byte {
	header := len(pseudoHeader)
	end := header + n // secret
	common := (header + firstEnd(len(data))) / sm3.BlockSize * sm3.BlockSize
	c.load(c.ipad)
	c.hash.Write(pseudoHeader[:min(common, header)])
	c.hash.Write(data[:max(0, common-header)])
	c.state = c.save(c.state[:0])
	var state, sum [8]uint32
	for i := range state {
		state[i] = binary.BigEndian.Uint32(c.state[len(c.state)-stateTail+4*i:])
	}

	final := (end + 8) / sm3.BlockSize // the block that ends with the length; secret
	last := (header + len(data) - sm3.Size - 1 + 8) / sm3.BlockSize
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(sm3.BlockSize+end)*8)
	for b := common / sm3.BlockSize; b <= last; b++ {
		var block [sm3.BlockSize]byte
		isFinal := equal(b, final)
		for i := range block {
			at := b*sm3.BlockSize + i
			switch {
			case at < header:
				block[i] = pseudoHeader[at]
			case at < header+len(data):
				block[i] = data[at-header]
			}
			block[i] = block[i]&less(at, end) | 0x80&equal(at, end)
			if tail := i - (sm3.BlockSize - len(length)); tail >= 0 {
				block[i] |= length[tail] & isFinal
			}
		}
		sm3Compress(&state, &block)
		take := uint32(int32(int8(isFinal)))
		for i := range sum {
			sum[i] |= state[i] & take
		}
	}

	inner := dst
	for _, v := range sum {
		inner = binary.BigEndian.AppendUint32(inner, v)
	}
	c.load(c.opad)
	c.hash.Write(inner[len(dst):])
	return c.hash.Sum(dst)
}

// stateTail is how much of a marshalled SM3 state is after its magic: eight words, a block, a
// count.
const stateTail = 8*4 + sm3.BlockSize + 8

// less is 0xff if a < b, else 0, in constant time. Neither is negative.
func less(a, b int) byte { return byte((a - b) >> (intSize - 1)) }

// equal is 0xff if a == b, else 0, in constant time. Neither is negative.
func equal(a, b int) byte { return byte(((a ^ b) - 1) >> (intSize - 1)) }

const intSize = 32 << (^uint(0) >> 63)
