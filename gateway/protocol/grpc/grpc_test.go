package grpc

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
)

// Names and numbers are those of grpc-go.
func TestCodes(t *testing.T) {
	for c := range Code(CodeCount) {
		var theirs codes.Code
		if err := theirs.UnmarshalJSON([]byte(`"` + c.String() + `"`)); err != nil || Code(theirs) != c {
			t.Errorf("%d is called %s: %v %v", c, c, theirs, err)
		}
		if c.CamelString() != theirs.String() {
			t.Errorf("%d is called %s, not %s", c, c.CamelString(), theirs)
		}
		if got, ok := ParseCode(c.Append(nil)); !ok || got != c {
			t.Errorf("%d was read as %d, %v", c, got, ok)
		}
	}
	if got := Code(99).String() + " " + Code(99).CamelString(); got != "99 99" {
		t.Error(got)
	}
	for value, want := range map[string]Code{"0": 0, "00": 0, "16": 16, "17": 17, "4294967295": math.MaxUint32} {
		if got, ok := ParseCode([]byte(value)); !ok || got != want {
			t.Errorf("%q: %d, %v", value, got, ok)
		}
	}
	for _, value := range []string{"", "-1", "+1", " 1", "1 ", "1.0", "x", "4294967296", "00000000000"} {
		if got, ok := ParseCode([]byte(value)); ok {
			t.Errorf("%q: %d", value, got)
		}
	}
}

func TestFromHTTP(t *testing.T) {
	for status, want := range map[int][2]Code{
		200: {Unknown, Unknown}, 301: {Unknown, Unknown}, 400: {Internal, Internal}, 401: {Unauthenticated, Unauthenticated},
		403: {PermissionDenied, PermissionDenied}, 404: {Unimplemented, Unimplemented}, 405: {Unknown, Unimplemented},
		408: {Unknown, DeadlineExceeded}, 413: {Unknown, ResourceExhausted}, 414: {Unknown, ResourceExhausted},
		429: {Unavailable, Unavailable}, 431: {Unknown, ResourceExhausted}, 500: {Unknown, Internal}, 501: {Unknown, Unimplemented},
		502: {Unavailable, Unavailable}, 503: {Unavailable, Unavailable}, 504: {Unavailable, DeadlineExceeded}, 0: {Unknown, Unknown},
	} {
		if got := [2]Code{FromHTTP(status), FromLocal(status)}; got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
	}
}

func TestIsContentType(t *testing.T) {
	for value, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "application/grpc+json": true, "Application/GRPC": true,
		"application/grpc;charset=utf-8": true, "application/grpc ; x=y": true, "application/grpc+": true,
		"application/grpc-web": false, "application/grpc-web+proto": false, "application/grpc-web-text": false,
		"application/grpcx": false, "application/json": false, "": false, " application/grpc": false,
	} {
		if got := IsContentType([]byte(value)); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
	for i := range len(ContentType) {
		if IsContentType([]byte(ContentType[:i])) {
			t.Errorf("%q is no content type of gRPC", ContentType[:i])
		}
	}
}

func TestSplitPath(t *testing.T) {
	for path, want := range map[string]string{
		"/pkg.Svc/Method": "pkg.Svc|Method", "/Svc/M": "Svc|M", "/a/b/Method": "a/b|Method", "//m": "", "/a/": "", "/a": "", "/": "", "": "",
		"a/b": "", "*": "", "/s/m": "s|m", "///": "",
	} {
		service, method, ok := SplitPath([]byte(path))
		got := ""
		if ok {
			got = string(service) + "|" + string(method)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func TestIsName(t *testing.T) {
	for name, want := range map[string]bool{
		"Svc": true, "pkg.Svc": true, "a.b_c.D1": true, "_x": true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "1a": false, "a.1": false, "a/b": false, "a-b": false, "a b": false, "ä": false, "*": false,
	} {
		if got := IsName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestParseTimeout(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"1H": time.Hour, "2M": 2 * time.Minute, "3S": 3 * time.Second, "100m": 100 * time.Millisecond, "5u": 5 * time.Microsecond,
		"99999999n": 99999999, "0n": 0, "00000001S": time.Second, "99999999H": math.MaxInt64, "2562047H": 2562047 * time.Hour, "2562048H": math.MaxInt64,
	} {
		if got, ok := ParseTimeout([]byte(value)); !ok || got != want {
			t.Errorf("%q: %v, %v", value, got, ok)
		}
	}
	for _, value := range []string{"", "1", "m", "-1m", "+1m", "1.5S", "1 m", " 1m", "1m ", "1h", "1s", "1ms", "123456789n", "000000001S"} {
		if got, ok := ParseTimeout([]byte(value)); ok {
			t.Errorf("%q: %v", value, got)
		}
	}
	whole := "12345678m"
	for i := range len(whole) {
		if d, ok := ParseTimeout([]byte(whole[:i])); ok {
			t.Errorf("%q: %v", whole[:i], d)
		}
	}
}

func TestAppendTimeout(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1n", -time.Hour: "1n", 1: "1n", 99999999: "99999999n", 100000000: "100000u", time.Second: "1000000u",
		time.Minute: "60000000u", 99999999 * time.Microsecond: "99999999u", 100 * time.Second: "100000m", 100*time.Second + 1: "100001m",
		30 * time.Hour: "108000S", 100000 * time.Hour: "6000000M", math.MaxInt64: "2562048H", 99999999*time.Minute + 1: "1666667H",
	} {
		if got := string(AppendTimeout(nil, d)); got != want {
			t.Errorf("%v: %s, want %s", int64(d), got, want)
		}
	}
}

func TestMessage(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "no route": "no route", "100%": "100%25", "a\r\nb": "a%0D%0Ab", "grüße": "gr%C3%BC%C3%9Fe", "\x00\x7f": "%00%7F", "~ ": "~ ",
	} {
		if got := string(AppendMessage(nil, text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for value, want := range map[string]string{
		"%41%62": "Ab", "%c3%BC": "ü", "%": "%", "%4": "%4", "%4g": "%4g", "%%41": "%A", "a%": "a%", "%2525": "%25",
	} {
		if got := string(AppendDecoded(nil, []byte(value))); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
	// Cut anywhere, what was decoded before stays.
	whole := AppendMessage(nil, "ä%ü")
	for i := range whole {
		if got := AppendDecoded(nil, whole[:i]); !bytes.HasPrefix(got, AppendDecoded(nil, whole[:i/3*3])) {
			t.Errorf("%q: %q", whole[:i], got)
		}
	}
}

func TestFrame(t *testing.T) {
	framed := AppendFrame([]byte("x"), []byte("hello"))[1:]
	compressed, length, ok := ParseFrame(framed)
	if compressed || length != 5 || !ok || string(framed[FrameHeader:]) != "hello" {
		t.Errorf("%v %d %v %q", compressed, length, ok, framed)
	}
	for i := range FrameHeader {
		if _, _, ok := ParseFrame(framed[:i]); ok {
			t.Errorf("%d bytes were taken", i)
		}
	}
	if compressed, length, ok := ParseFrame([]byte{1, 0xff, 0xff, 0xff, 0xff}); !compressed || length != math.MaxUint32 || !ok {
		t.Error(compressed, length, ok)
	}
	if _, _, ok := ParseFrame([]byte{2, 0, 0, 0, 0}); ok {
		t.Error("flags of 2 were taken")
	}
}

func FuzzMessage(f *testing.F) {
	for _, seed := range []string{"", "plain", "100%", "%41", "%4", "ä\r\n", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value := AppendMessage(nil, text)
		for _, c := range value {
			if c < ' ' || c > '~' {
				t.Errorf("%q holds %q", value, c)
			}
		}
		if got := AppendDecoded(nil, value); string(got) != text {
			t.Errorf("%q became %q", text, got)
		}
		if got := AppendDecoded(nil, []byte(text)); len(got) > len(text) {
			t.Errorf("%q grew to %q", text, got)
		} else if !strings.Contains(text, "%") && utf8.ValidString(text) && string(got) != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func FuzzTimeout(f *testing.F) {
	for _, seed := range []string{"", "1H", "99999999H", "0n", "100m", "x", "123456789S"} {
		f.Add([]byte(seed), int64(len(seed)))
	}
	f.Fuzz(func(t *testing.T, value []byte, n int64) {
		if d, ok := ParseTimeout(value); ok && (d < 0 || len(value) < 2 || len(value) > 9) {
			t.Errorf("%q: %v", value, d)
		}
		d := time.Duration(n)
		back, ok := ParseTimeout(AppendTimeout(nil, d))
		if want := max(d, 1); !ok || back < want || float64(back-want) > 1e-4*float64(want)+1 {
			t.Errorf("%v was written as %s", d, AppendTimeout(nil, d))
		}
	})
}

func FuzzHead(f *testing.F) {
	for _, seed := range []string{"", "application/grpc+proto", "/a.B/C", "16", "4294967296", "\x01\x00\x00\x00\x05hello"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if IsContentType(p) && !strings.EqualFold(string(p[:len(ContentType)]), ContentType) {
			t.Errorf("%q is no content type of gRPC", p)
		}
		if service, method, ok := SplitPath(p); ok && "/"+string(service)+"/"+string(method) != string(p) {
			t.Errorf("%q was split into %q and %q", p, service, method)
		}
		if c, ok := ParseCode(p); ok && strings.TrimLeft(string(p), "0") != strings.TrimLeft(string(c.Append(nil)), "0") {
			t.Errorf("%q was read as %d", p, c)
		}
		framed := AppendFrame(nil, p)
		if compressed, length, ok := ParseFrame(framed); compressed || !ok || int(length) != len(p) || !bytes.Equal(framed[FrameHeader:], p) {
			t.Errorf("%q was framed as %q", p, framed)
		}
		if compressed, _, ok := ParseFrame(p); ok && compressed != (p[0] == 1) {
			t.Errorf("%q: compressed %v", p, compressed)
		}
	})
}
