package hpack

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	xhpack "golang.org/x/net/http2/hpack"
	"longmen/gateway/stream"
)

// randomHeader has names and values that repeat now and then.
func randomHeader(r *rand.Rand) *stream.Header {
	names := []string{"accept", "content-type", "cookie", "authorization", "x-a", "x-b", "server", "vary", "grpc-status", "date", "a-name-that-is-long"}
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789-./;=,\"{}\x80\xff\t "
	h := new(stream.Header)
	for range r.IntN(12) {
		name := names[r.IntN(len(names))]
		value := make([]byte, r.IntN(8)*r.IntN(40))
		if r.IntN(2) == 0 {
			value = []byte(names[r.IntN(len(names))])
		} else {
			for i := range value {
				value[i] = alphabet[r.IntN(len(alphabet))]
			}
		}
		h.Add(name, bytes.Trim(value, " \t"))
	}
	return h
}

func TestDecodesWhatOthersEncode(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		var block bytes.Buffer
		e := xhpack.NewEncoder(&block)
		e.SetMaxDynamicTableSizeLimit(8192)
		var d Decoder
		d.Init(8192)
		for range 200 {
			if r.IntN(20) == 0 {
				e.SetMaxDynamicTableSize(uint32(r.IntN(8192) * r.IntN(2)))
			}
			want := randomHeader(r)
			block.Reset()
			for i := range want.Len() {
				name, value, _, _ := want.At(i)
				e.WriteField(xhpack.HeaderField{Name: string(name), Value: string(value), Sensitive: r.IntN(5) == 0})
			}
			var h stream.Header
			if err := d.Decode(&h, block.Bytes(), roomy); err != nil || lines(&h) != lines(want) {
				t.Fatalf("seed %d: %x: %v\n%swant\n%s", seed, block.Bytes(), err, lines(&h), lines(want))
			}
			if h.WireSize() < len(h.AppendLines(nil, 0)) {
				t.Fatal("WireSize is too small")
			}
		}
	}
}

func TestOthersDecodeWhatWeEncode(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 2))
		var e Encoder
		p := newPeer(4096)
		d := decoder()
		for range 300 {
			switch r.IntN(20) {
			case 0:
				max := uint32(r.IntN(6000) * r.IntN(2))
				e.SetMax(max)
				p.SetAllowedMaxDynamicTableSize(max)
			case 1:
				e.Shed()
			}
			want := randomHeader(r)
			block := e.AppendHeader(nil, want, 0)
			if len(block) > EncodedSize(want) {
				t.Fatalf("%d bytes, EncodedSize said %d", len(block), EncodedSize(want))
			}
			got := strings.ReplaceAll(p.decode(t, block), "^ sensitive\n", "")
			if got != lines(want) {
				t.Fatalf("seed %d: %x:\n%swant\n%s", seed, block, got, lines(want))
			}
			var h stream.Header
			if err := d.Decode(&h, block, roomy); err != nil || lines(&h) != lines(want) {
				t.Fatalf("seed %d: ours: %v\n%s", seed, err, lines(&h))
			}
		}
	}
}

func TestHuffmanOfEverySymbol(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for round := range 3000 {
		text := make([]byte, r.IntN(40))
		for i := range text {
			text[i] = byte(r.IntN(256))
			if r.IntN(3) > 0 {
				text[i] = "abcdeiost/=-:0123 "[r.IntN(18)]
			}
		}
		if round == 0 {
			text = all
		}
		code := xhpack.AppendHuffmanString(nil, string(text))
		got, ok := appendHuffman([]byte("before"), code)
		if !ok || string(got) != "before"+string(text) {
			t.Fatalf("%x: %q, %v, want %q", code, got, ok, text)
		}
	}
}

// accept reports whether a CompressionError is one of strictness alone: others
// take integers with any number of leading zeros, and size updates behind fields.
func stricter(err error) bool { return err == errInteger || err == errUpdateLate }

// Two blocks of a connection mean the same to us and to x/net; whatever is in
// them, nothing grows beyond its bounds.
func FuzzDecode(f *testing.F) {
	for _, series := range examples {
		f.Add(unhex(f, series.blocks[0].block), unhex(f, series.blocks[1].block))
	}
	f.Add([]byte{0x20, 0x3f, 0xe1, 0x1f, 0x82}, []byte("\x40\x01a\x01b\xbe\x7e\x01c"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d := decoder()
		limit := Limit{Fields: 50, Size: 4 << 10, Hard: 16 << 10}
		p := newPeer(4096)
		for _, block := range [][]byte{first, second} {
			var h stream.Header
			err := d.Decode(&h, block, limit)
			if d.table.size > 4096 || h.Len() > limit.Fields || len(h.Arena()) > limit.Size {
				t.Fatalf("table %d, %d fields, %d bytes", d.table.size, h.Len(), len(h.Arena()))
			}
			p.got.Reset()
			_, theirs := p.Write(block)
			if theirs == nil {
				theirs = p.Close()
			}
			got, want := lines(&h), strings.ReplaceAll(p.got.String(), "^ sensitive\n", "")
			if !strings.HasPrefix(want, got) {
				t.Fatalf("got\n%swant\n%s", got, want)
			}
			var broken *CompressionError
			if errors.As(err, &broken) {
				if theirs == nil && !stricter(err) {
					t.Fatalf("%v, theirs is none", err)
				}
				return
			}
			if err == ErrBomb {
				return
			}
			if theirs != nil {
				t.Fatalf("%v, theirs is %v", err, theirs)
			}
			if err == nil && got != want {
				t.Fatalf("got\n%swant\n%s", got, want)
			}
		}
	})
}

// What is encoded decodes to the same, by us and by x/net, again and again while
// sizes change.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("server\x00longmen\x00cookie\x00a=b\x00x\x00"), uint16(4096), uint8(3))
	f.Add([]byte("authorization\x00secret\x00x\x00y\x00x\x00y"), uint16(40), uint8(9))
	f.Fuzz(func(t *testing.T, fields []byte, max uint16, rounds uint8) {
		h := new(stream.Header)
		parts := bytes.Split(fields, []byte{0})
		for i := 0; i+1 < len(parts) && i < 100; i += 2 {
			if checkName(parts[i]) == sound && checkValue(parts[i+1]) == sound {
				h.Add(string(parts[i]), parts[i+1])
			}
		}
		var e Encoder
		d, p := decoder(), newPeer(4096)
		for round := range rounds % 16 {
			if round == 4 {
				e.SetMax(uint32(max))
				p.SetAllowedMaxDynamicTableSize(min(4096, uint32(max)))
			}
			if round == 8 {
				e.Shed()
			}
			block := e.AppendHeader(nil, h, 0)
			if len(block) > EncodedSize(h) {
				t.Fatalf("%d bytes, EncodedSize said %d", len(block), EncodedSize(h))
			}
			var got stream.Header
			if err := d.Decode(&got, block, roomy); err != nil || lines(&got) != lines(h) {
				t.Fatalf("%x: %v\n%swant\n%s", block, err, lines(&got), lines(h))
			}
			if theirs := strings.ReplaceAll(p.decode(t, block), "^ sensitive\n", ""); theirs != lines(h) {
				t.Fatalf("%x: theirs\n%swant\n%s", block, theirs, lines(h))
			}
		}
	})
}
