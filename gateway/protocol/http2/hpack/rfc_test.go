package hpack

import (
	"encoding/hex"
	"strings"
	"testing"

	"longmen/gateway/stream"
)

var roomy = Limit{Fields: 1000, Size: 1 << 20, Hard: 1 << 21}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	p, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// lines are the fields of h as "name: value" lines.
func lines(h *stream.Header) string {
	var b strings.Builder
	for i := range h.Len() {
		if name, value, id, ok := h.At(i); ok {
			if id != stream.KnownName(name) {
				b.WriteString("(wrong id) ")
			}
			b.WriteString(string(name) + ": " + string(value) + "\n")
		}
	}
	return b.String()
}

// entries are those of a dynamic table as lines, newest first.
func entries(t *table) string {
	var b strings.Builder
	for n := t.next; n != t.oldest; n-- {
		b.WriteString(strings.TrimSuffix(string(t.line(t.at(n-1))), "\r\n") + "\n")
	}
	return b.String()
}

// The examples of RFC 7541 appendix C: blocks in the order of one connection, with
// the fields and then the dynamic table and its size.
var examples = []struct {
	name   string
	table  uint32
	blocks []example
}{
	{"C.3", 4096, []example{
		{"8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
			":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n",
			":authority: www.example.com\n", 57},
		{"8286 84be 5808 6e6f 2d63 6163 6865",
			":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache\n",
			"cache-control: no-cache\n:authority: www.example.com\n", 110},
		{"8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
			":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value\n",
			"custom-key: custom-value\ncache-control: no-cache\n:authority: www.example.com\n", 164},
	}},
	{"C.4", 4096, []example{
		{"8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
			":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n",
			":authority: www.example.com\n", 57},
		{"8286 84be 5886 a8eb 1064 9cbf",
			":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache\n",
			"cache-control: no-cache\n:authority: www.example.com\n", 110},
		{"8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
			":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value\n",
			"custom-key: custom-value\ncache-control: no-cache\n:authority: www.example.com\n", 164},
	}},
	{"C.5", 256, []example{
		{"4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
			":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com\n",
			"location: https://www.example.com\ndate: Mon, 21 Oct 2013 20:13:21 GMT\ncache-control: private\n:status: 302\n", 222},
		{"4803 3330 37c1 c0bf",
			":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com\n",
			":status: 307\nlocation: https://www.example.com\ndate: Mon, 21 Oct 2013 20:13:21 GMT\ncache-control: private\n", 222},
		{"88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
			":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\nlocation: https://www.example.com\ncontent-encoding: gzip\nset-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n",
			"set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\ncontent-encoding: gzip\ndate: Mon, 21 Oct 2013 20:13:22 GMT\n", 215},
	}},
	{"C.6", 256, []example{
		{"4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
			":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com\n",
			"location: https://www.example.com\ndate: Mon, 21 Oct 2013 20:13:21 GMT\ncache-control: private\n:status: 302\n", 222},
		{"4883 640e ffc1 c0bf",
			":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com\n",
			":status: 307\nlocation: https://www.example.com\ndate: Mon, 21 Oct 2013 20:13:21 GMT\ncache-control: private\n", 222},
		{"88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
			":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\nlocation: https://www.example.com\ncontent-encoding: gzip\nset-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n",
			"set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\ncontent-encoding: gzip\ndate: Mon, 21 Oct 2013 20:13:22 GMT\n", 215},
	}},
}

type example struct {
	block, fields, table string
	size                 uint32
}

func TestExamplesOfTheRFC(t *testing.T) {
	for _, series := range examples {
		var d Decoder
		d.Init(series.table)
		d.table.resize(series.table) // as the examples presume
		for i, x := range series.blocks {
			var h stream.Header
			if err := d.Decode(&h, unhex(t, x.block), roomy); err != nil {
				t.Fatalf("%s.%d: %v", series.name, i+1, err)
			}
			if got := lines(&h); got != x.fields {
				t.Errorf("%s.%d: got\n%swant\n%s", series.name, i+1, got, x.fields)
			}
			if got := entries(&d.table); got != x.table || d.table.size != x.size {
				t.Errorf("%s.%d: the table has %d:\n%swant %d:\n%s", series.name, i+1, d.table.size, got, x.size, x.table)
			}
		}
	}
}

func TestSingleFieldsOfTheRFC(t *testing.T) {
	for _, x := range []struct {
		block, fields, table string
		sensitive            bool
	}{
		{"400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "custom-key: custom-header\n", "custom-key: custom-header\n", false},
		{"040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path\n", "", false},
		{"1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret\n", "", true},
		{"82", ":method: GET\n", "", false},
	} {
		var d Decoder
		d.Init(4096)
		var h stream.Header
		if err := d.Decode(&h, unhex(t, x.block), roomy); err != nil {
			t.Fatal(err)
		}
		if lines(&h) != x.fields || entries(&d.table) != x.table || h.Sensitive(0) != x.sensitive {
			t.Errorf("%s: %q, table %q, sensitive %v", x.block, lines(&h), entries(&d.table), h.Sensitive(0))
		}
	}
}

func TestIntegersOfTheRFC(t *testing.T) {
	for _, x := range []struct {
		prefix uint8
		n      uint32
		hex    string
	}{{5, 10, "0a"}, {5, 1337, "1f9a0a"}, {8, 42, "2a"}, {7, 127, "7f00"}, {4, 15, "0f00"}, {7, 1<<28 - 1, "7f80ffff7f"}} {
		if got := hex.EncodeToString(appendInteger(nil, 0, x.prefix, x.n)); got != x.hex {
			t.Errorf("%d is %s, want %s", x.n, got, x.hex)
		}
		n, rest, err := integer(append(unhex(t, x.hex), 1), x.prefix)
		if n != x.n || len(rest) != 1 || err != nil {
			t.Errorf("%s is %d, rest %x, %v", x.hex, n, rest, err)
		}
	}
	for _, long := range []string{"7f8080808080", "7fffffffffff0f", "7f808080808000"} {
		if _, _, err := integer(unhex(t, long), 7); err != errInteger {
			t.Errorf("%s: %v", long, err)
		}
	}
}
