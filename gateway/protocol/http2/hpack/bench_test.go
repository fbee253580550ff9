package hpack

import (
	"bytes"
	"testing"

	xhpack "golang.org/x/net/http2/hpack"
	"longmen/gateway/stream"
)

// What a browser sends, and what an origin answers.
var (
	browser = []string{
		":method: GET", ":scheme: https", ":authority: www.example.com", ":path: /assets/application-5f3a.js",
		"user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "accept: */*",
		"accept-language: en-US,en;q=0.5", "accept-encoding: gzip, deflate, br, zstd", "referer: https://www.example.com/",
		"cookie: session=0123456789abcdef0123456789abcdef", "priority: u=2",
	}
	answer = []string{
		"server: longmen", "date: Mon, 21 Oct 2013 20:13:21 GMT", "content-type: application/javascript; charset=utf-8",
		"content-length: 1024", "cache-control: public, max-age=31536000", "etag: \"5f3a-1024\"", "vary: accept-encoding",
	}
)

// blocks are a header's encoding by x/net: the first one of a connection, and a
// later one.
func blocks(b *testing.B, fields []string) (first, later []byte) {
	h := headerOf(fields...)
	var out bytes.Buffer
	e := xhpack.NewEncoder(&out)
	encode := func() []byte {
		out.Reset()
		for i := range h.Len() {
			name, value, _, _ := h.At(i)
			e.WriteField(xhpack.HeaderField{Name: string(name), Value: string(value)})
		}
		return bytes.Clone(out.Bytes())
	}
	return encode(), encode()
}

func benchmarkDecode(b *testing.B, fields []string, literal bool) {
	first, later := blocks(b, fields)
	block := later
	if literal {
		block = first
	}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		d := decoder()
		var h stream.Header
		d.Decode(&h, first, roomy)
		for b.Loop() {
			h.Reset()
			if err := d.Decode(&h, block, roomy); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(fields)), "ns/field")
	})
	// x/net's hands each field to a function; it is put into the same Header.
	b.Run("x-net", func(b *testing.B) {
		b.ReportAllocs()
		var h stream.Header
		d := xhpack.NewDecoder(4096, func(f xhpack.HeaderField) { h.AddString(f.Name, f.Value) })
		d.Write(first)
		d.Close()
		for b.Loop() {
			h.Reset()
			if _, err := d.Write(block); err != nil {
				b.Fatal(err)
			}
			d.Close()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(fields)), "ns/field")
	})
}

func BenchmarkDecodeIndexed(b *testing.B) { benchmarkDecode(b, browser, false) }
func BenchmarkDecodeHuffman(b *testing.B) { benchmarkDecode(b, browser, true) }

func BenchmarkEncode(b *testing.B) {
	h := headerOf(answer...)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		var e Encoder
		dst := make([]byte, 0, 4096)
		for b.Loop() {
			dst = e.AppendHeader(e.AppendStatus(dst[:0], 200), h, 0)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(answer)+1), "ns/field")
		b.ReportMetric(float64(len(dst)), "bytes")
	})
	b.Run("x-net", func(b *testing.B) {
		b.ReportAllocs()
		var out bytes.Buffer
		e := xhpack.NewEncoder(&out)
		for b.Loop() {
			out.Reset()
			e.WriteField(xhpack.HeaderField{Name: ":status", Value: "200"})
			for i := range h.Len() {
				name, value, _, _ := h.At(i)
				e.WriteField(xhpack.HeaderField{Name: string(name), Value: string(value)})
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(answer)+1), "ns/field")
		b.ReportMetric(float64(out.Len()), "bytes")
	})
}

// What it would cost to Huffman-encode one value.
func BenchmarkHuffmanEncodeOne(b *testing.B) {
	dst := make([]byte, 0, 256)
	value := "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"
	b.Run("huffman", func(b *testing.B) {
		for b.Loop() {
			dst = xhpack.AppendHuffmanString(dst[:0], value)
		}
	})
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			dst = append(dst[:0], value...)
		}
	})
}
