package router

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

var (
	strict      = PathPolicy{}
	decode      = PathPolicy{PathDecode, PathDecode, PathDecode}
	keep        = PathPolicy{PathKeep, PathKeep, PathKeep}
	resolveOnly = PathPolicy{EscapedSlashes: PathKeep, DotSegments: PathDecode, DoubleSlash: PathKeep}
)

func TestCanonical(t *testing.T) {
	for _, c := range []struct {
		raw    string
		policy PathPolicy
		want   string
		err    error
	}{
		// Nothing to do.
		{"/", strict, "/", nil},
		{"/a/b.c/d-e_f~g!$&'()*+,;=:@", strict, "/a/b.c/d-e_f~g!$&'()*+,;=:@", nil},
		{"/a/", strict, "/a/", nil},
		{"/...", strict, "/...", nil},
		{"/.a/..b/c./d..", strict, "/.a/..b/c./d..", nil},
		{"/%3B%20%C3%A9%25", strict, "/%3B%20%C3%A9%25", nil},
		// Form.
		{"", keep, "", ErrPathForm},
		{"a", keep, "", ErrPathForm},
		{"*", keep, "", ErrPathForm},
		{"%2Fa", decode, "", ErrPathForm},
		{"\\a", decode, "", ErrPathForm},
		// Percent-encoding.
		{"/%61%7e%7E%2d%5F", strict, "/a~~-_", nil},
		{"/%3b%c3%A9", strict, "/%3B%C3%A9", nil},
		{"/%2541", strict, "/%2541", nil}, // once only
		{"/%25%34%31", strict, "/%2541", nil},
		{"/%", keep, "", ErrPathPercent},
		{"/%4", keep, "", ErrPathPercent},
		{"/%4g", keep, "", ErrPathPercent},
		{"/%g4", keep, "", ErrPathPercent},
		{"/a%zz", keep, "", ErrPathPercent},
		{"/%00", keep, "", ErrPathNull},
		{"/a%00b", decode, "", ErrPathNull},
		{"/a\"<>[]^`{|}", strict, "/a%22%3C%3E%5B%5D%5E%60%7B%7C%7D", nil},
		// Bytes that do not belong there.
		{"/a b", keep, "", ErrPathByte},
		{"/a\x00", keep, "", ErrPathByte},
		{"/a\r\n", keep, "", ErrPathByte},
		{"/a\x7f", keep, "", ErrPathByte},
		{"/\xc3\xa9", keep, "", ErrPathByte},
		{"/a#b", keep, "", ErrPathByte},
		{"/a?b", keep, "", ErrPathByte},
		{"/%41 ", keep, "", ErrPathByte},
		// Encoded slashes.
		{"/a%2Fb", strict, "", ErrPathEscapedSlash},
		{"/a%2fb", strict, "", ErrPathEscapedSlash},
		{"/a%5Cb", strict, "", ErrPathEscapedSlash},
		{"/a\\b", strict, "", ErrPathEscapedSlash},
		{"/a%2Fb%5c..\\c", decode, "/a/c", nil},
		{"/a%2fb%5c..\\c", keep, "/a%2Fb%5C..%5Cc", nil},
		{"/a%252Fb", decode, "/a%252Fb", nil},
		{"/..%2fb", resolveOnly, "/..%2Fb", nil},
		// Dot segments.
		{"/.", strict, "", ErrPathDotSegment},
		{"/a/..", strict, "", ErrPathDotSegment},
		{"/a/%2e%2E/b", strict, "", ErrPathDotSegment},
		{"/a/.%2e", strict, "", ErrPathDotSegment},
		{"/.", decode, "/", nil},
		{"/..", decode, "/", nil},
		{"/../../a", decode, "/a", nil},
		{"/a/.", decode, "/a/", nil},
		{"/a/b/..", decode, "/a/", nil},
		{"/a/b/../..", decode, "/", nil},
		{"/a/%2e%2e/b", decode, "/b", nil},
		{"/a/b/c/./../../g", decode, "/a/g", nil}, // RFC 3986 section 5.2.4
		{"/mid/content=5/../6", decode, "/mid/6", nil},
		{"/%2e/a/%2E%2e", keep, "/./a/..", nil},
		// Doubled slashes.
		{"//", strict, "", ErrPathDoubleSlash},
		{"/a//b", strict, "", ErrPathDoubleSlash},
		{"/a//", strict, "", ErrPathDoubleSlash},
		{"//", decode, "/", nil},
		{"//a///b//", decode, "/a/b/", nil},
		{"/a//../b", decode, "/b", nil},
		{"/a//../b", resolveOnly, "/a/b", nil},
		{"/a%2F/b", decode, "/a/b", nil},
		{"//a//b/", keep, "//a//b/", nil},
	} {
		got, err := Canonical(nil, []byte(c.raw), c.policy)
		if !errors.Is(err, c.err) || string(got) != c.want {
			t.Errorf("Canonical(%q, %v) = %q, %v, want %q, %v", c.raw, c.policy, got, err, c.want, c.err)
		}
	}
}

func TestCanonicalReturnsItsInputWhenNothingIsToDo(t *testing.T) {
	raw := []byte("/a/b%20c/d.e")
	got, err := Canonical(nil, raw, strict)
	if err != nil || &got[0] != &raw[0] || len(got) != len(raw) {
		t.Errorf("got %q at another place, %v", got, err)
	}
}

func TestCanonicalDoesNotAllocateWhenThereIsRoom(t *testing.T) {
	raw := []byte("/a/./b/%7e|{}")
	dst := make([]byte, 0, 3*len(raw))
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Canonical(dst, raw, decode); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// checkCanonical holds what must be true of every path under every policy.
func checkCanonical(t *testing.T, raw []byte, p PathPolicy) {
	t.Helper()
	before := bytes.Clone(raw)
	got, err := Canonical(nil, raw, p)
	if !bytes.Equal(before, raw) {
		t.Fatalf("Canonical(%q, %v) changed its input", before, p)
	}
	if err != nil {
		if got != nil {
			t.Fatalf("Canonical(%q, %v) = %q and %v", raw, p, got, err)
		}
		return
	}
	if len(got) == 0 || got[0] != '/' || len(got) > 3*len(raw) {
		t.Fatalf("Canonical(%q, %v) = %q", raw, p, got)
	}
	again, err := Canonical(nil, got, p)
	if err != nil || !bytes.Equal(again, got) {
		t.Fatalf("Canonical(%q, %v) = %q, and of that %q, %v", raw, p, got, again, err)
	}
	if &again[0] != &got[0] {
		t.Fatalf("Canonical(%q, %v) = %q, which its fast path does not know as canonical", raw, p, got)
	}
	for i, c := range got {
		if c <= ' ' || c >= 0x7f || c == '#' || c == '?' || c == '\\' {
			t.Fatalf("Canonical(%q, %v) = %q holds %q", raw, p, got, c)
		}
		if c == '%' && p.EscapedSlashes != PathKeep && (string(got[i:i+3]) == "%2F" || string(got[i:i+3]) == "%5C") {
			t.Fatalf("Canonical(%q, %v) = %q holds an encoded slash", raw, p, got)
		}
	}
	if p.DoubleSlash != PathKeep && bytes.Contains(got, []byte("//")) {
		t.Fatalf("Canonical(%q, %v) = %q holds a doubled slash", raw, p, got)
	}
	if p.DotSegments != PathKeep {
		for segment := range bytes.SplitSeq(got, []byte("/")) {
			if s := string(segment); s == "." || s == ".." {
				t.Fatalf("Canonical(%q, %v) = %q holds a dot segment", raw, p, got)
			}
		}
	}
}

// policyOf makes one of the 27 policies from a number.
func policyOf(n uint8) PathPolicy {
	return PathPolicy{PathAction(n % 3), PathAction(n / 3 % 3), PathAction(n / 9 % 3)}
}

func TestCanonicalHoldsForRandomPaths(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	parts := []string{"/", "/", ".", "..", "a", "B", "%2e", "%2E", "%2f", "%2F", "%5c", "\\", "%41", "%7e", "%25", "%3b", "{", "|", ";", "%", "%zz", " ", "%00"}
	for range 100_000 {
		raw := []byte("/")
		for range rnd.IntN(8) {
			last := len(parts)
			if rnd.IntN(8) > 0 {
				last -= 4 // mostly what is not refused at once
			}
			raw = append(raw, parts[rnd.IntN(last)]...)
		}
		checkCanonical(t, raw, policyOf(uint8(rnd.IntN(27))))
	}
}

func FuzzCanonical(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte, policy uint8) {
		checkCanonical(t, raw, policyOf(policy%27))
	})
}

func BenchmarkCanonical(b *testing.B) {
	dst := make([]byte, 0, 256)
	for _, c := range []struct{ name, raw string }{
		{"clean", "/static/app/v1/index.html"},
		{"dots", "/static/app/../v1/index.html"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			raw := []byte(c.raw)
			for b.Loop() {
				if _, err := Canonical(dst, raw, decode); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
