package record

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
)

// cbcRecord makes a record from its inner parts, the straightforward way.
func cbcRecord(h *Half, inner []byte) []byte {
	block, err := sm4.NewCipher(h.key[:16])
	if err != nil {
		panic(err)
	}
	body := make([]byte, 16+len(inner))
	rand.Read(body[:16])
	cipher.NewCBCEncrypter(block, body[:16]).CryptBlocks(body[16:], inner)
	return append([]byte{TypeApplicationData, 1, 1, byte(len(body) >> 8), byte(len(body))}, body...)
}

func cbcMACOf(h *Half, payload []byte) []byte {
	mac := hmac.New(sm3.New, h.secret)
	mac.Write([]byte{0, 0, 0, 0, 0, 0, 0, byte(h.seq), TypeApplicationData, 1, 1, byte(len(payload) >> 8), byte(len(payload))})
	mac.Write(payload)
	return mac.Sum(nil)
}

// A peer may pad with up to 256 bytes; a padding or a MAC that is wrong in any place is refused
// in the same words.
func TestCBCPadding(t *testing.T) {
	s, err := suiteOf(VersionTLCP, 0xe013)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 50, 63, 64, 65, 200, 300, 1000, MaxPayload} {
		_, open := pairOf(t, s, 1)
		payload := make([]byte, n)
		rand.Read(payload)
		inner := append(payload, cbcMACOf(open, payload)...)
		for padding := 15 - len(inner)%16; padding < 256; padding += 16 {
			padded := append(bytes.Clone(inner), bytes.Repeat([]byte{byte(padding)}, padding+1)...)
			typ, got, err := open.Open(cbcRecord(open, padded))
			if err != nil || typ != TypeApplicationData || !bytes.Equal(got, payload) {
				t.Fatalf("%d bytes, padding %d: %v", n, padding, err)
			}
			open.seq = 0
			if n > 300 && padding > 40 {
				continue
			}
			for at := n; at < len(padded); at++ {
				wrong := bytes.Clone(padded)
				wrong[at] ^= 1
				if _, _, err := open.Open(cbcRecord(open, wrong)); err != errBadRecordMAC {
					t.Fatalf("%d bytes, padding %d, byte %d wrong: %v", n, padding, at, err)
				}
			}
		}
	}
}

// A padding that says that it is longer than the record.
func TestCBCPaddingTooLong(t *testing.T) {
	s, err := suiteOf(VersionTLCP, 0xe013)
	if err != nil {
		t.Fatal(err)
	}
	_, open := pairOf(t, s, 1)
	for size := 16; size <= 320; size += 16 {
		for last := range 256 {
			inner := bytes.Repeat([]byte{byte(last)}, size)
			if _, _, err := open.Open(cbcRecord(open, inner)); err != errBadRecordMAC {
				t.Fatalf("%d bytes of %d: %v", size, last, err)
			}
		}
	}
}

// The constant-time HMAC is HMAC, for every length that a padding can leave.
func TestConstantTimeHMAC(t *testing.T) {
	key := make([]byte, 32)
	rand.Read(key)
	c, err := newCBCMAC(make([]byte, 16), key)
	if err != nil {
		t.Fatal(err)
	}
	header := []byte("thirteen byte")
	for _, size := range []int{48, 64, 96, 112, 128, 256, 288, 304, 320, 336, 352, 1024, 4096} {
		data := make([]byte, size)
		rand.Read(data)
		for n := firstEnd(size); n <= size-sm3.Size-1; n++ {
			mac := hmac.New(sm3.New, key)
			mac.Write(header)
			mac.Write(data[:n])
			want := mac.Sum(nil)
			if got := c.hmac(nil, header, data, n); !bytes.Equal(got, want) {
				t.Fatalf("%d of %d bytes: %x, want %x", n, size, got, want)
			}
			copy(data[n:], want)
			if at := macAt(data, n); !bytes.Equal(at[:], want) {
				t.Fatalf("the MAC at %d of %d bytes is found as %x, is %x", n, size, at, want)
			}
		}
	}
}

func TestSM3Compress(t *testing.T) {
	var block [64]byte
	for range 100 {
		rand.Read(block[:])
		h := sm3.New().(sm3Hash)
		h.Write(block[:])
		want, err := h.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		v := [8]uint32{0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e}
		sm3Compress(&v, &block)
		got := ""
		for _, w := range v {
			got += fmt.Sprintf("%08x", w)
		}
		if got != fmt.Sprintf("%x", want[len(want)-stateTail:][:32]) {
			t.Fatal(got)
		}
	}
}

func TestConstantTimeCompares(t *testing.T) {
	for a := range 40 {
		for b := range 40 {
			if (less(a, b) == 0xff) != (a < b) || (less(a, b) == 0) != (a >= b) {
				t.Fatal("less", a, b)
			}
			if (equal(a, b) == 0xff) != (a == b) || (equal(a, b) == 0) != (a != b) {
				t.Fatal("equal", a, b)
			}
		}
	}
}
