package tlcp

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/emmansun/gmsm/ecdh"
	foreign "github.com/tjfoc/gmsm/sm3"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	check(t, err)
	return b
}

// plainPRF is RFC 5246 §5 read literally, on another implementation of SM3.
func plainPRF(secret []byte, label string, seed []byte, n int) []byte {
	mac := func(parts ...[]byte) []byte {
		h := hmac.New(foreign.New, secret)
		h.Write(slices.Concat(parts...))
		return h.Sum(nil)
	}
	seed = slices.Concat([]byte(label), seed)
	var out []byte
	for a := mac(seed); len(out) < n; a = mac(a) {
		out = append(out, mac(a, seed)...)
	}
	return out[:n]
}

func TestPRF(t *testing.T) {
	secret, one, two := []byte("a secret of some length"), bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	for _, n := range []int{1, 12, 31, 32, 33, 48, 64, 128, 200} {
		got := make([]byte, n)
		prf(got, secret, "label", one, two)
		if want := plainPRF(secret, "label", slices.Concat(one, two), n); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %x, want %x", n, got, want)
		}
	}
}

func TestKeyBlock(t *testing.T) {
	master, client, server := bytes.Repeat([]byte{3}, 48), bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	for _, suite := range Suites() {
		k := deriveKeys(suite, master, client, server)
		got := slices.Concat(k.clientMAC, k.serverMAC, k.clientKey, k.serverKey, k.clientIV, k.serverIV)
		want := 2 * (16 + 4)
		if suite&0x40 == 0 { // CBC
			want = 2 * (32 + 16 + 16)
		}
		if !bytes.Equal(got, plainPRF(master, "key expansion", slices.Concat(server, client), want)) {
			t.Errorf("%s: the wrong key block", SuiteName(suite))
		}
	}
}

// The example of GB/T 32918.5-2017, annex B.
func TestKeyAgreementVector(t *testing.T) {
	side := func(static, ephemeral string) *softAgreement {
		s, err := ecdh.P256().NewPrivateKey(unhex(t, static))
		check(t, err)
		e, err := ecdh.P256().NewPrivateKey(unhex(t, ephemeral))
		check(t, err)
		return &softAgreement{s, e}
	}
	a := side("81eb26e941bb5af16df116495f90695272ae2cd63d6c4ae1678418be48230029",
		"d4de15474db74d06491c440d305e012400990f3e390c7e87153c12db2ea60bb3")
	b := side("785129917d45a9ea5437a59356b82338eaadda6ceb199088f14ae10defa229b5",
		"7e07124814b309489125eaed101113164ebf0f3458c5bd88335c1f9d596243d6")
	want := unhex(t, "6c89347354de2484c60b4ab1fde4c6e5")
	for initiator, pair := range map[bool][2]*softAgreement{true: {a, b}, false: {b, a}} {
		own, other := pair[0], pair[1]
		got, err := own.Secret(other.static.PublicKey().Bytes(), other.Ephemeral(), initiator, 16)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("initiator %v: %x, %v", initiator, got, err)
		}
	}
}
