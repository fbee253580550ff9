package stream

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestAppendLines holds the copied runs of lines against one line after the
// other, after random edits of a head as a parser leaves it.
func TestAppendLines(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"host", "accept", "x-a", "x-b", "cookie", "via", "content-length"}
	for range 2000 {
		var h Header
		raw := []byte("GET / HTTP/1.1\r\n")
		type at struct{ name, nameLen, value, valueLen int }
		var fields []at
		for range random.IntN(6) {
			name, value := names[random.IntN(len(names))], fmt.Sprint(random.IntN(1000))
			space := []string{" ", "", "  "}[random.IntN(3)]
			fields = append(fields, at{len(raw), len(name), len(raw) + len(name) + 1 + len(space), len(value)})
			raw = fmt.Appendf(raw, "%s:%s%s\r\n", name, space, value)
		}
		arena := h.Load(append(raw, "\r\n"...))
		for _, f := range fields {
			h.AppendSpan(KnownName(arena[f.name:f.name+f.nameLen]), f.name, f.nameLen, f.value, f.valueLen, f.value == f.name+f.nameLen+2)
		}
		for range random.IntN(5) {
			name := names[random.IntN(len(names))]
			switch random.IntN(4) {
			case 0:
				h.Remove(name)
			case 1:
				h.Set(name, []byte("set"))
			case 2:
				h.AddString(name, "added")
			case 3:
				h.Add(name, []byte("more"))
			}
		}
		skip := uint64(random.IntN(2))<<Host | uint64(random.IntN(2))<<Via
		want := "before"
		for i := range h.Len() {
			if name, value, id, ok := h.At(i); ok && skip&(1<<id) == 0 {
				want += fmt.Sprintf("%s: %s\r\n", name, value)
			}
		}
		got := string(h.AppendLines([]byte("before"), skip))
		if got != want {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
		if len(got) > len("before")+h.WireSize() {
			t.Fatalf("WireSize %d is less than %d", h.WireSize(), len(got)-len("before"))
		}
	}
}
