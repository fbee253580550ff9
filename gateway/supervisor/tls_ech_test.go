package supervisor

import (
	"crypto"
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"longmen/tls/ech"
	"longmen/tls/server"
)

// Clients hide names behind the public one; other keys are told to those who have the old ones,
// and old keys open as long as they are there.
func TestTLSEncryptedHello(t *testing.T) {
	h := newHouse(t, Options{})
	l := listens(t, "https", "hidden")
	config := secured(t, l, map[string]crypto.Signer{"public.test": p256Key(t), "a.test": rsaKey(t)})
	key := func() *ech.Key {
		k, err := ech.New("public.test")
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	apply := func(version string, keys ...*ech.Key) {
		t.Helper()
		next := *l
		all, err := ech.NewKeys(keys)
		if err != nil {
			t.Fatal(err)
		}
		next.TLS = &server.Config{Certificates: l.TLS.Certificates, Default: l.TLS.Default,
			ECH: all, StrictSNI: true, HandshakeTimeout: patience, MaxHandshakes: 1000}
		next.TLSHash = l.TLSHash + uint64(len(version))
		l = &next
		h.applied(snap(version, l))
	}
	first, second := key(), key()
	apply("1", first)
	at := h.address("https")
	c := config.Clone()
	c.ServerName, c.EncryptedClientHelloConfigList = "a.test", first.List()
	c.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	for i := range 3 {
		if state, body := asks(t, at, c); !state.ECHAccepted || body != "hidden" || state.DidResume != (i > 0) {
			t.Errorf("connection %d: accepted %v, %q, resumed %v", i, state.ECHAccepted, body, state.DidResume)
		}
	}
	apply("12", second, first)
	if state, _ := asks(t, at, c); !state.ECHAccepted {
		t.Error("the old key opens still")
	}
	apply("123", second)
	c.ClientSessionCache = nil
	_, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", at, c)
	rejected, ok := errors.AsType[*tls.ECHRejectionError](err)
	if !ok {
		t.Fatal(err)
	}
	c.EncryptedClientHelloConfigList = rejected.RetryConfigList
	if state, _ := asks(t, at, c); !state.ECHAccepted {
		t.Error("the key that was told is not taken")
	}
}
