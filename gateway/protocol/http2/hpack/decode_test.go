package hpack

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"longmen/gateway/stream"
)

func decoder() *Decoder {
	d := new(Decoder)
	d.Init(4096)
	return d
}

// text is a string literal.
func text(s string) []byte { return append(appendInteger(nil, 0, 7, uint32(len(s))), s...) }

// literalOf is a field with a new name, to be put into the table.
func literalOf(name, value string) []byte {
	return append(append([]byte{0x40}, text(name)...), text(value)...)
}

func TestCutAtEveryByte(t *testing.T) {
	for _, series := range examples {
		for i, x := range series.blocks {
			block := unhex(t, x.block)
			for cut := range block {
				var d Decoder
				d.Init(series.table)
				d.table.resize(series.table)
				for _, before := range series.blocks[:i] {
					if err := d.Decode(new(stream.Header), unhex(t, before.block), roomy); err != nil {
						t.Fatal(err)
					}
				}
				var h stream.Header
				err := d.Decode(&h, block[:cut], roomy)
				var broken *CompressionError
				if err != nil && !errors.As(err, &broken) {
					t.Errorf("%s.%d cut at %d: %v", series.name, i+1, cut, err)
				}
				if got := lines(&h); !strings.HasPrefix(x.fields, got) {
					t.Errorf("%s.%d cut at %d: %q", series.name, i+1, cut, got)
				}
			}
		}
	}
}

func TestCompressionErrors(t *testing.T) {
	for name, x := range map[string]struct {
		hex  string
		want error
	}{
		"index 0":                 {"80", errIndex},
		"index behind the tables": {"be", errIndex},
		"large index":             {"ffffffff7f", errIndex},
		"name index behind":       {"7e00", errIndex},
		"name without value":      {"4001 61", errTruncated},
		"value cut":               {"4001 6105 6161", errTruncated},
		"length above all":        {"40ff ffff 7f", errTruncated},
		"integer without end":     {"ffff ffff ffff ff", errInteger},
		"integer cut":             {"ff80", errTruncated},
		"update above limit":      {"3fe2 1f", errUpdate},
		"update behind a field":   {"8220", errUpdateLate},
		"EOS":                     {"0001 6184 ffff ffff", errHuffman},
		"padding of zeros":        {"0001 6181 18", errHuffman},
		"padding of eight bits":   {"0001 6182 1fff", errHuffman},
		"half a long code":        {"0001 6182 fffe", errHuffman},
	} {
		if err := decoder().Decode(new(stream.Header), unhex(t, x.hex), roomy); err != x.want {
			t.Errorf("%s: %v, want %v", name, err, x.want)
		}
	}
}

func TestMalformedFieldsKeepTheTableInStep(t *testing.T) {
	for _, x := range []struct{ name, value, want string }{
		{"", "v", "malformed field name"},
		{"a b", "v", "malformed field name"},
		{"a\x00", "v", "malformed field name"},
		{"a:", "v", "malformed field name"},
		{"n\xc3\xa9", "v", "malformed field name"},
		{"Host", "v", "field name in upper case"},
		{":unknown", "v", "unknown pseudo-header field"},
		{":", "v", "unknown pseudo-header field"},
		{"x", "a\rb", "control character in a field value"},
		{"x", "a\nb", "control character in a field value"},
		{"x", "long enough for words\x00", "control character in a field value"},
		{"x", "\x7f", "control character in a field value"},
		{"x", "12345678\x7f2345678", "control character in a field value"},
		{"x", " v", "whitespace around a field value"},
		{"x", "v\t", "whitespace around a field value"},
		{"x", " ", "whitespace around a field value"},
		{":method", "GET", "pseudo-header field behind other fields"},
	} {
		d := decoder()
		block := literalOf("first", "1")
		block = append(block, literalOf(x.name, x.value)...)
		block = append(block, literalOf("last", "2")...)
		var h stream.Header
		err := d.Decode(&h, block, roomy)
		var fault *FieldError
		if !errors.As(err, &fault) || fault.Error() != x.want {
			t.Errorf("%q: %q: %v", x.name, x.value, err)
		}
		if got := lines(&h); got != "first: 1\n" {
			t.Errorf("%q: kept %q", x.name, got)
		}
		if got, want := entries(&d.table), "last: 2\n"+x.name+": "+x.value+"\nfirst: 1\n"; got != want {
			t.Errorf("the table has %q, want %q", got, want)
		}
		// The entry is no better when it is asked for by its index.
		h.Reset()
		if x.name != ":method" {
			if err := d.Decode(&h, []byte{0x80 + 63, 0x80 + 62}, roomy); !errors.As(err, &fault) || h.Len() != 0 {
				t.Errorf("%q: %q by index: %v, %q", x.name, x.value, err, lines(&h))
			}
			// Nor is its name, if it was that.
			h.Reset()
			err = d.Decode(&h, []byte{0x0f, 63 - 15, 1, 'v'}, roomy)
			if bad := x.name != "x"; bad != errors.As(err, &fault) || bad == (h.Len() == 1) {
				t.Errorf("%q by index: %v, %q", x.name, err, lines(&h))
			}
		}
		h.Reset()
		if err := d.Decode(&h, []byte{0x80 + 62, 0x80 + 64}, roomy); err != nil || lines(&h) != "last: 2\nfirst: 1\n" {
			t.Errorf("afterwards: %v, %q", err, lines(&h))
		}
	}
}

func TestValuesThatAreFine(t *testing.T) {
	for _, value := range []string{"", "v", "a b", "a\tb", "12345678\t9", "\x80\xff", "1234567\xff", "~", "8 bytes.8 bytes."} {
		var h stream.Header
		if err := decoder().Decode(&h, literalOf("x", value), roomy); err != nil || lines(&h) != "x: "+value+"\n" {
			t.Errorf("%q: %v, %q", value, err, lines(&h))
		}
	}
}

func TestPseudoHeaderFieldsOnce(t *testing.T) {
	var h stream.Header
	err := decoder().Decode(&h, []byte{0x82, 0x86, 0x83, 0x84}, roomy)
	if err == nil || err.Error() != "pseudo-header field twice" {
		t.Error(err)
	}
	if got := lines(&h); got != ":method: GET\n:scheme: http\n" {
		t.Errorf("kept %q", got)
	}
}

func TestListSize(t *testing.T) {
	field := literalOf("name", strings.Repeat("v", 28)) // counts 64
	for _, limit := range []Limit{{Fields: 3, Size: 1000, Hard: 2000}, {Fields: 1000, Size: 3*64 + 63, Hard: 2000}} {
		d := decoder()
		var h stream.Header
		if err := d.Decode(&h, bytes.Repeat(field, 3), limit); err != nil || h.Len() != 3 {
			t.Errorf("%+v: 3 fields: %v, %d", limit, err, h.Len())
		}
		h.Reset()
		if err := d.Decode(&h, bytes.Repeat(field, 4), limit); err != ErrListSize || h.Len() != 3 || d.table.count() != 7 {
			t.Errorf("%+v: 4 fields: %v, %d, table of %d", limit, err, h.Len(), d.table.count())
		}
		// A malformed one weighs more than one too many.
		h.Reset()
		var fault *FieldError
		if err := d.Decode(&h, append(bytes.Repeat(field, 4), literalOf("X", "")...), limit); !errors.As(err, &fault) {
			t.Errorf("%+v: %v", limit, err)
		}
	}
}

func TestBombs(t *testing.T) {
	limit := Limit{Fields: 100, Size: 32 << 10, Hard: 128 << 10}
	large := literalOf("x", strings.Repeat("v", 4000))
	bombs := map[string][]byte{
		"one entry a thousand times": append(bytes.Clone(large), bytes.Repeat([]byte{0xbe}, 1000)...),
		"small fields":               bytes.Repeat([]byte{0x82 + 14}, 1<<20), // accept-encoding
		"empty names":                bytes.Repeat([]byte{0, 0, 0}, 1<<20),
		"literals":                   bytes.Repeat([]byte{0x0f, 0x04, 0x00}, 1<<20),
	}
	for name, block := range bombs {
		var h stream.Header
		if err := decoder().Decode(&h, block, limit); err != ErrBomb {
			t.Errorf("%s: %v", name, err)
		}
		if got := len(h.Arena()); got > limit.Size {
			t.Errorf("%s: %d bytes were kept", name, got)
		}
	}
}

func TestSizeUpdates(t *testing.T) {
	var h stream.Header
	d := decoder()
	decode := func(block ...byte) error {
		h.Reset()
		return d.Decode(&h, block, roomy)
	}
	for range 3 {
		if err := d.Decode(&h, literalOf("name", "value"), roomy); err != nil {
			t.Fatal(err)
		}
	}
	// Down to one entry, up again: the first two are gone.
	if err := decode(0x20|31, 41-31, 0x3f, 0xe1, 0x1f, 0xbe); err != nil || lines(&h) != "name: value\n" {
		t.Errorf("%v, %q", err, lines(&h))
	}
	if err := decode(0xbf); err != errIndex {
		t.Errorf("an evicted entry: %v", err)
	}
	if err := decode(0x20); err != nil || d.table.lines != nil || d.table.ring != nil {
		t.Errorf("%v; an empty table holds memory", err)
	}
	if err := d.Decode(&h, literalOf("name", "value"), roomy); err != nil || d.table.count() != 0 {
		t.Errorf("%v; a table of no size holds %d entries", err, d.table.count())
	}
}

func TestSmallerTableIsDemanded(t *testing.T) {
	var d Decoder
	d.Init(100)
	var h stream.Header
	// The peer does not know yet.
	if err := d.Decode(&h, literalOf("name", "value"), roomy); err != nil {
		t.Error(err)
	}
	if err := d.Decode(&h, []byte{0x3f, 0xe1, 0x1f}, roomy); err != nil {
		t.Error(err)
	}
	d.Confirm()
	if err := d.Decode(&h, []byte{0x3f, 0x46}, roomy); err != errUpdate { // 101
		t.Errorf("a larger one: %v", err)
	}
	if err := d.Decode(&h, []byte{0x82}, roomy); err != errNoUpdate {
		t.Errorf("none: %v", err)
	}
	if err := d.Decode(&h, []byte{0x3f, 0x45, 0xbe}, roomy); err != nil {
		t.Error(err)
	}

	d.Init(8192)
	if err := d.Decode(&h, []byte{0x3f, 0xe1, 0x3f, 0x82}, roomy); err != nil {
		t.Errorf("as large as announced: %v", err)
	}
	if err := d.Decode(&h, []byte{0x3f, 0xe2, 0x3f, 0x82}, roomy); err != errUpdate {
		t.Errorf("larger than announced: %v", err)
	}
}

// Entries of every length come and go, and what stands in the table stays what
// it was.
func TestTableMoves(t *testing.T) {
	d := decoder()
	var want []string // newest first
	size := 0
	for i := range 3000 {
		name, value := fmt.Sprintf("n%d", i), strings.Repeat("v", i*7%200)
		if err := d.Decode(new(stream.Header), literalOf(name, value), roomy); err != nil {
			t.Fatal(err)
		}
		want = append([]string{name + ": " + value + "\n"}, want...)
		size += len(name) + len(value) + 32
		for size > 4096 {
			size -= len(want[len(want)-1]) - 3 + 32
			want = want[:len(want)-1]
		}
		if got := entries(&d.table); got != strings.Join(want, "") || int(d.table.size) != size {
			t.Fatalf("after %d: size %d, want %d", i, d.table.size, size)
		}
	}
	if c := cap(d.table.lines); c > 4*4096 {
		t.Errorf("the arena has grown to %d", c)
	}
}

func TestDecodingDoesNotAllocate(t *testing.T) {
	d := decoder()
	var h stream.Header
	steady := []byte{0x82, 0x84, 0x86, 0xbe, 0xbf}
	block := append(literalOf("a", "b"), literalOf("user-agent", "x/1")...)
	churn := literalOf("name", strings.Repeat("v", 100))
	huffman := unhex(t, "0084b958d33f 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff")
	for range 100 { // until everything has its size
		d.Decode(&h, churn, roomy)
	}
	if n := testing.AllocsPerRun(1000, func() {
		h.Reset()
		for _, b := range [][]byte{block, steady, churn, huffman} {
			if err := d.Decode(&h, b, roomy); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
