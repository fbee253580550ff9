package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// pairOf makes a half that seals and one that opens, of the same keys, which seed tells from
// those of other pairs.
func pairOf(t testing.TB, s *suite, seed byte) (seal, open *Half) {
	t.Helper()
	bytesOf := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			seed = seed*5 + 1
			b[i] = seed ^ byte(i)
		}
		return b
	}
	var err error
	if s.version == VersionTLS13 {
		secret := bytesOf(s.hashSize)
		if seal, err = NewTLS13(s.id, secret); err == nil {
			open, err = NewTLS13(s.id, secret)
		}
	} else {
		mac, key, iv := bytesOf(s.macSize), bytesOf(s.keySize), bytesOf(s.ivSize)
		if seal, err = newKeyed(s.version, s.id, mac, key, iv); err == nil {
			open, err = newKeyed(s.version, s.id, mac, key, iv)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return seal, open
}

func (s *suite) String() string { return fmt.Sprintf("%04x-%04x", s.version, s.id) }

func eachSuite(t *testing.T, f func(t *testing.T, s *suite)) {
	for _, s := range suites {
		t.Run(s.String(), func(t *testing.T) { f(t, s) })
	}
}

func TestHalf(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite) {
		seal, open := pairOf(t, s, 1)
		for i, n := range []int{0, 1, 15, 16, 17, 1000, MaxPayload - 1, MaxPayload} {
			payload := bytes.Repeat([]byte{byte(n), 0}, n/2+1)[:n]
			rec := seal.Seal([]byte("before"), TypeHandshake, payload)
			if string(rec[:6]) != "before" {
				t.Fatal("Seal does not append")
			}
			rec = rec[6:]
			if size, err := open.Length(rec); err != nil || size != len(rec) || size != seal.sealedSize(n) || size > MaxSize {
				t.Fatalf("%d bytes: length %d of %d, sealedSize %d, %v", n, size, len(rec), seal.sealedSize(n), err)
			}
			if i == 3 {
				seal.Release()
				open.Release()
			}
			typ, got, err := open.Open(rec)
			if err != nil || typ != TypeHandshake || !bytes.Equal(got, payload) {
				t.Fatalf("%d bytes: type %d, %d bytes, %v", n, typ, len(got), err)
			}
			if n > 0 && &got[0] != &rec[open.before()] {
				t.Fatal("not decrypted in place")
			}
			if seal.Sequence() != uint64(i+1) || open.Sequence() != uint64(i+1) {
				t.Fatal("records are not counted")
			}
		}
	})
}

// Every record that was changed in one bit of one byte, or cut, is refused and not counted.
func TestHalfRefuses(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite) {
		seal, open := pairOf(t, s, 1)
		rec := seal.Seal(nil, TypeApplicationData, []byte("what the record holds"))
		refuse := func(what string, rec []byte) {
			t.Helper()
			_, _, err := open.Open(rec)
			if e, ok := errors.AsType[*AlertError](err); !ok || e.Received || open.seq != 0 {
				t.Fatalf("%s: %v", what, err)
			}
		}
		for i := range rec {
			for bit := range 8 {
				changed := bytes.Clone(rec)
				changed[i] ^= 1 << bit
				refuse(fmt.Sprintf("bit %d of byte %d", bit, i), changed)
			}
			refuse(fmt.Sprintf("cut at %d", i), bytes.Clone(rec[:i]))
			if i >= HeaderSize {
				short := bytes.Clone(rec[:i])
				short[3], short[4] = byte((i-HeaderSize)>>8), byte(i-HeaderSize)
				refuse(fmt.Sprintf("shortened to %d", i), short)
			}
		}
		if _, payload, err := open.Open(rec); err != nil || string(payload) != "what the record holds" {
			t.Fatal("the record itself is refused", err)
		}
		open.seq = 0
		refuse("of another number", seal.Seal(nil, TypeApplicationData, nil))
	})
}

func TestHalfLimits(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite) {
		_, open := pairOf(t, s, 1)
		head := []byte{TypeApplicationData, byte(open.version >> 8), byte(open.version), 0xff, 0xff}
		for n := range HeaderSize {
			if size, err := open.Length(head[:n]); size != 0 || err != nil {
				t.Fatalf("%d bytes of header: %d, %v", n, size, err)
			}
		}
		if _, err := open.Length(head); err != errLength {
			t.Fatal(err)
		}
		most := MaxSize - HeaderSize
		if s.version == VersionTLS13 {
			most = MaxPayload + 256
		}
		for n, want := range map[int]error{most: nil, most + 1: errLength} {
			head[3], head[4] = byte(n>>8), byte(n)
			if size, err := open.Length(head); err != want || (err == nil && size != HeaderSize+n) {
				t.Fatalf("%d bytes: %d, %v", n, size, err)
			}
		}
		head[2]++
		if _, err := open.Length(head); err != errVersion {
			t.Fatal(err)
		}
		open.seq = lastSequence + 1
		seal, _ := pairOf(t, s, 1)
		if _, _, err := open.Open(seal.Seal(nil, 23, nil)); err != errExhausted {
			t.Fatal(err)
		}
	})
}

// overlong seals more than Seal does, as a peer may.
func overlong(h *Half, inner []byte) []byte {
	n := len(inner) + tagSize
	rec := []byte{TypeApplicationData, 3, 3, byte(n >> 8), byte(n)}
	h.ensure()
	rec = h.aead.Seal(rec, h.xorNonce(), inner, rec)
	h.seq++
	return rec
}

// Padding of TLS 1.3 (RFC 8446 §5.4).
func TestPadding(t *testing.T) {
	for _, c := range []struct {
		inner []byte
		want  int // bytes of payload
		err   error
	}{
		{append([]byte("data"), TypeApplicationData), 4, nil},
		{append([]byte("data"), TypeApplicationData, 0, 0, 0), 4, nil},
		{append(append(make([]byte, MaxPayload-100), TypeApplicationData), make([]byte, 100)...), MaxPayload - 100, nil},
		{append(append(make([]byte, MaxPayload-100), TypeApplicationData), make([]byte, 101)...), 0, errLength},
		{append(make([]byte, MaxPayload+1), TypeApplicationData), 0, errLength},
		{make([]byte, 20), 0, errNoInnerType},
		{nil, 0, errNoInnerType},
	} {
		seal, open := pairOf(t, suites[0], 1)
		typ, payload, err := open.Open(overlong(seal, c.inner))
		if err != c.err || len(payload) != c.want || (err == nil && typ != TypeApplicationData) {
			t.Errorf("%d bytes inside: type %d, %d bytes, %v", len(c.inner), typ, len(payload), err)
		}
	}
}

// The record of RFC 8448 §3 that the client's application data is in.
func TestRFC8448(t *testing.T) {
	secret := unhex("9e 40 64 6c e7 9a 7f 9d c0 5a f8 88 9b ce 65 52 87 5a fa 0b 06 df 00 87 f7 92 eb b7 c1 75 04 a5")
	want := unhex(`17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14 aa 66 bc ab 3f
		2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62 92 a2 97 70 14 bd 1e 3d ea e6 3a ee bb 21
		69 49 15 e4`)
	h, err := NewTLS13(0x1301, secret)
	if err != nil {
		t.Fatal(err)
	}
	if key := h.key[:16]; !bytes.Equal(key, unhex("17 42 2d da 59 6e d5 d9 ac d8 90 e3 c6 3f 50 51")) {
		t.Errorf("key %x", key)
	}
	if !bytes.Equal(h.iv[:], unhex("5b 78 92 3d ee 08 57 90 33 e5 23 d9")) {
		t.Errorf("IV %x", h.iv)
	}
	var payload []byte
	for i := range 50 {
		payload = append(payload, byte(i))
	}
	if got := h.Seal(nil, TypeApplicationData, payload); !bytes.Equal(got, want) {
		t.Errorf("record %x", got)
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestNewHalfRefuses(t *testing.T) {
	if _, err := NewTLS13(0x1301, make([]byte, 31)); err == nil {
		t.Error("a secret of another hash's size is taken")
	}
	if _, err := NewTLS13(0xc02f, make([]byte, 32)); err == nil {
		t.Error("a suite of TLS 1.2 is taken for TLS 1.3")
	}
	if _, err := NewTLS12(0xc02f, make([]byte, 32), make([]byte, 4)); err == nil {
		t.Error("a key of another size is taken")
	}
	if _, err := NewTLCP(0xe013, make([]byte, 31), make([]byte, 16), make([]byte, 16)); err == nil {
		t.Error("a MAC key of another size is taken")
	}
	if Supported(VersionTLS12, 0xc013) || !Supported(VersionTLCP, 0xe013) {
		t.Error("Supported")
	}
	if mac, key, iv, err := KeySizes(VersionTLCP, 0xe011); mac != 32 || key != 16 || iv != 16 || err != nil {
		t.Error(mac, key, iv, err)
	}
	if _, _, _, err := KeySizes(VersionTLS12, 1); err == nil {
		t.Error("sizes of an unknown suite")
	}
}

// The vector of RFC 8998 appendix A.1.
func TestSM4GCM(t *testing.T) {
	aead, err := newSM4GCM(unhex("0123456789abcdeffedcba9876543210"))
	if err != nil {
		t.Fatal(err)
	}
	plain := unhex(`aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd
		eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa`)
	want := unhex(`17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735
		d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d 83de3541e4c2b58177e065a9bf7b62ec`)
	got := aead.Seal(nil, unhex("00001234567800000000abcd"), plain, unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"))
	if !bytes.Equal(got, want) {
		t.Errorf("%x", got)
	}
}
