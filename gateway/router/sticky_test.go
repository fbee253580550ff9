package router

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/netip"
	"testing"
)

func stickyKey(t testing.TB, secret string) StickyKey {
	k, err := NewStickyKey([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestStickyCookie(t *testing.T) {
	first, second := stickyKey(t, "a secret of some length"), stickyKey(t, "another secret of some length")
	a := &Sticky{Name: "sid", Keys: []StickyKey{first}}
	for _, session := range []Session{
		{ClusterID("web"), netip.MustParseAddrPort("10.0.0.1:80"), 0},
		{ClusterID("canary"), netip.MustParseAddrPort("[2001:db8::1]:65535"), 2000},
	} {
		value := a.Seal(nil, session)
		if len(value) > MaxSessionCookie || bytes.Contains(value, []byte("10.0.0.1")) {
			t.Errorf("%s", value)
		}
		if got, ok := a.Open(nil, value, 1999); !ok || got != session {
			t.Errorf("%+v %v, want %+v", got, ok, session)
		}
		if _, ok := a.Open(nil, value, 2000); ok != (session.Expires == 0) {
			t.Errorf("after its time: %v", ok)
		}
		// Another gateway that was given new keys, and the old one to open by.
		if got, ok := (&Sticky{Name: "sid", Keys: []StickyKey{second, stickyKey(t, "a secret of some length")}}).Open(nil, value, 0); !ok || got != session {
			t.Errorf("%+v %v by the second key", got, ok)
		}
		for what, k := range map[string]*Sticky{"another key": {Name: "sid", Keys: []StickyKey{second}}, "another name": {Name: "tid", Keys: []StickyKey{first}}} {
			if _, ok := k.Open(nil, value, 0); ok {
				t.Errorf("opened by %s", what)
			}
		}
		// Nothing of it can be changed.
		sealed, _ := base64.RawURLEncoding.DecodeString(string(value))
		for i := range sealed {
			sealed[i] ^= 1
			if _, ok := a.Open(nil, []byte(base64.RawURLEncoding.EncodeToString(sealed)), 0); ok {
				t.Errorf("byte %d changed", i)
			}
			sealed[i] ^= 1
		}
		scratch := make([]byte, 0, 2*MaxSessionCookie)
		if n := testing.AllocsPerRun(100, func() { a.Open(scratch, value, 0) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
	if _, err := NewStickyKey([]byte("short")); err == nil {
		t.Error("a short secret does")
	}
	if text := fmt.Sprintf("%v %+v %#v %s %x", first, first, first, first, a.Keys); bytes.Contains([]byte(text), []byte("gcm")) || !bytes.Contains([]byte(text), []byte("sticky session key")) {
		t.Error(text)
	}
	seen := map[string]bool{}
	for range 100 {
		seen[string(a.Seal(nil, Session{}))] = true
	}
	if len(seen) != 100 {
		t.Error("two cookies are the same: a nonce came twice")
	}
}

func FuzzStickyCookie(f *testing.F) {
	k := &Sticky{Name: "sid", Keys: []StickyKey{stickyKey(f, "a secret of some length")}}
	f.Add(k.Seal(nil, Session{Endpoint: netip.MustParseAddrPort("10.0.0.1:80")}))
	f.Add([]byte("AAAA"))
	f.Add([]byte("not base64!"))
	f.Fuzz(func(t *testing.T, value []byte) {
		if s, ok := k.Open(nil, value, 0); ok && !s.Endpoint.Addr().IsValid() {
			t.Errorf("%+v", s)
		}
		parseSession(value, 0)
	})
}
