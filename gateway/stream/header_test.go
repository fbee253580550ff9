package stream

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// lines writes a header as "name: value" lines.
func lines(h *Header) string {
	var b strings.Builder
	for i := range h.Len() {
		if name, value, _, ok := h.At(i); ok {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	return b.String()
}

func TestHeaderGet(t *testing.T) {
	var h Header
	if h.Get("a") != nil || h.Has("host") || h.HasKnown(Host) || h.Count() != 0 {
		t.Error("the zero header holds something")
	}
	h.AddString("x-a", "1")
	h.AddString("accept", "text/html")
	h.Add("x-a", []byte("2"))
	h.AddString("x-empty", "")
	if got := string(h.Get("x-a")); got != "1" {
		t.Errorf("x-a is %q, want the first", got)
	}
	if got := string(h.GetKnown(Accept)); got != "text/html" {
		t.Errorf("accept is %q", got)
	}
	if v := h.Get("x-empty"); v == nil || len(v) != 0 {
		t.Errorf("a present empty field is %#v", v)
	}
	if !h.Has("x-empty") || h.Has("x-b") || h.HasKnown(Host) {
		t.Error("Has is wrong")
	}
	if h.Count() != 4 || h.Len() != 4 {
		t.Errorf("count %d, len %d", h.Count(), h.Len())
	}
}

func TestHeaderSetReplacesAllInThePlaceOfTheFirst(t *testing.T) {
	var h Header
	for _, f := range []string{"a", "b", "a", "via", "via"} {
		h.AddString(f, "old")
	}
	h.Set("a", []byte("new"))
	h.Set("via", nil)
	h.Set("c", []byte("added"))
	if got, want := lines(&h), "a: new\nb: old\nvia: \nc: added\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if h.Count() != 4 {
		t.Errorf("count %d", h.Count())
	}
}

func TestHeaderRemove(t *testing.T) {
	var h Header
	for _, f := range []string{"a", "via", "a", "b", "via"} {
		h.AddString(f, "x")
	}
	h.Remove("a")
	h.Remove("via")
	h.Remove("none")
	h.Remove("te")
	if got := lines(&h); got != "b: x\n" || h.Count() != 1 || h.HasKnown(Via) || h.Has("a") {
		t.Errorf("left: %q, count %d", got, h.Count())
	}
	h.RemoveAt(3)
	h.RemoveAt(3)
	if h.Count() != 0 || lines(&h) != "" {
		t.Error("RemoveAt left something")
	}
	h.AddString("via", "again")
	if string(h.GetKnown(Via)) != "again" {
		t.Error("a removed name cannot be added again")
	}
}

func TestHeaderLoadSpans(t *testing.T) {
	var h Header
	h.AddString("left", "over")
	raw := []byte("host: a\r\nx: b\r\n")
	arena := h.Load(raw)
	h.AppendSpan(KnownName(arena[0:4]), 0, 4, 6, 1, false)
	h.AppendSpan(Other, 9, 1, 12, 1, false)
	raw[0], raw[6] = '?', '?' // the header has its own copy
	if got := lines(&h); got != "host: a\nx: b\n" {
		t.Errorf("got %q", got)
	}
	// What is handed out cannot be grown into its neighbours.
	_ = append(h.Get("host"), "zzz"...)
	if got := lines(&h); got != "host: a\nx: b\n" {
		t.Errorf("append to a value changed the header: %q", got)
	}
}

func TestHeaderCopyIsIndependent(t *testing.T) {
	var a, b Header
	a.AddString("x", "1")
	b.CopyFrom(&a)
	b.Set("x", []byte("2"))
	b.AddString("y", "3")
	if lines(&a) != "x: 1\n" || lines(&b) != "x: 2\ny: 3\n" || b.Count() != 2 {
		t.Errorf("a %q, b %q", lines(&a), lines(&b))
	}
}

func TestHeaderResetKeepsMemoryWithinBounds(t *testing.T) {
	var h Header
	h.AddString("x", strings.Repeat("v", 1000))
	h.Reset()
	if h.Count() != 0 || h.Has("x") {
		t.Error("something is left")
	}
	value := []byte("v")
	if n := testing.AllocsPerRun(100, func() {
		h.Reset()
		h.Add("x", value)
		h.Set("x", value)
		h.Remove("x")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	h.AddString("x", strings.Repeat("v", 100_000))
	h.Reset()
	if cap(h.arena) != 0 {
		t.Errorf("an arena of %d bytes is kept", cap(h.arena))
	}
}

func TestKnownName(t *testing.T) {
	names := map[string]Known{
		"accept": Accept, "accept-encoding": AcceptEncoding, "authorization": Authorization, "cache-control": CacheControl, "cdn-loop": CDNLoop,
		"connection": Connection, "content-encoding": ContentEncoding, "content-length": ContentLength, "content-type": ContentType,
		"cookie": Cookie, "date": Date, "expect": Expect, "forwarded": Forwarded, "host": Host, "keep-alive": KeepAlive,
		"location": Location, "proxy-authenticate": ProxyAuthenticate, "proxy-authorization": ProxyAuthorization,
		"proxy-connection": ProxyConnection, "referer": Referer, "retry-after": RetryAfter, "server": Server,
		"set-cookie": SetCookie, "te": TE, "trailer": Trailer, "transfer-encoding": TransferEncoding, "upgrade": Upgrade,
		"user-agent": UserAgent, "via": Via, "x-forwarded-client-cert": XForwardedClientCert, "x-forwarded-for": XForwardedFor, "x-forwarded-host": XForwardedHost,
		":authority": PseudoAuthority, ":method": PseudoMethod, ":path": PseudoPath, ":protocol": PseudoProtocol, ":scheme": PseudoScheme,
		":status": PseudoStatus, "grpc-message": GrpcMessage, "grpc-status": GrpcStatus, "grpc-timeout": GrpcTimeout, "priority": Priority,
		"x-forwarded-port": XForwardedPort, "x-forwarded-proto": XForwardedProto, "x-request-id": XRequestID,
	}
	if len(names) != int(knownCount)-1 {
		t.Fatalf("the test knows %d names, the package %d", len(names), knownCount-1)
	}
	if knownCount > 64 {
		t.Fatal("more names than bits in Header.known")
	}
	for name, want := range names {
		if got := KnownName(name); got != want {
			t.Errorf("KnownName(%q) = %d, want %d", name, got, want)
		}
		if got := KnownName([]byte(name)); got != want {
			t.Errorf("KnownName of the bytes %q = %d, want %d", name, got, want)
		}
		for _, other := range []string{name + "x", name[1:], strings.ToUpper(name), "x" + name[1:]} {
			if _, known := names[other]; !known && KnownName(other) != Other {
				t.Errorf("KnownName(%q) = %d", other, KnownName(other))
			}
		}
	}
}

// TestHeaderAgainstAModel does random edits on a Header and on a plain list.
func TestHeaderAgainstAModel(t *testing.T) {
	type entry struct{ name, value string }
	rnd := rand.New(rand.NewPCG(3, 4))
	names := []string{"a", "b", "via", "host", "x-long-name", "te"}
	for range 2000 {
		var h Header
		var model []entry
		for step := range 12 {
			name, value := names[rnd.IntN(len(names))], fmt.Sprint(step)
			switch rnd.IntN(4) {
			case 0, 1:
				h.AddString(name, value)
				model = append(model, entry{name, value})
			case 2:
				h.Set(name, []byte(value))
				kept, done := model[:0:0], false
				for _, e := range model {
					if e.name != name {
						kept = append(kept, e)
					} else if !done {
						kept, done = append(kept, entry{name, value}), true
					}
				}
				if !done {
					kept = append(kept, entry{name, value})
				}
				model = kept
			case 3:
				h.Remove(name)
				kept := model[:0:0]
				for _, e := range model {
					if e.name != name {
						kept = append(kept, e)
					}
				}
				model = kept
			}
			var want strings.Builder
			first := map[string]string{}
			for _, e := range model {
				fmt.Fprintf(&want, "%s: %s\n", e.name, e.value)
				if _, ok := first[e.name]; !ok {
					first[e.name] = e.value
				}
			}
			if got := lines(&h); got != want.String() || h.Count() != len(model) {
				t.Fatalf("got %q (%d), want %q", got, h.Count(), want.String())
			}
			for _, name := range names {
				if v, ok := first[name]; h.Has(name) != ok || string(h.Get(name)) != v {
					t.Fatalf("%s is %q, want %q", name, h.Get(name), v)
				}
			}
		}
	}
}
