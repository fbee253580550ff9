package http1

import (
	"fmt"
	"strings"
)

// lengths are values of content-length that are no 1*DIGIT, or too great, or
// more than the numbers they are kept in.
func (c *corpus) lengths() {
	n := len(twofold)
	for i, v := range []string{
		"+%d", "-%d", "0x%x", "0X%x", "0o%o", "0b1", "%d.0", "%d.", ".%d", "%de0", "%dE0", "%d,", ",%d", "%d,%d", "%d, %d", "%d , %d", "%d;", "%d;x", "%d x", "x %d", "%d\x00", "\x00%d",
		"%d 0", "0 %d", "%d\t0", "%d_0", "_%d", "\"%d\"", "'%d'", "(%d)", "%d%%", "$%d", "%dL", "%du", "%dK", "NaN", "Infinity", "null", "true", "", " ", ",", "-0", "+0", "--%d", "+-%d", "- %d", "%d-", "%d+",
		"1e1", "²", "٣", "３８", "%d\u00a0", "\u00a0%d", "\ufeff%d", "%d/1", "%d:1", "%d=", "=%d", "#%d", "%d#",
		"4294967334", "-4294967258", "18446744073709551654", "-18446744073709551578", "9223372036854775846", "340282366920938463463374607431768211494",
		"99999999999999999999", strings.Repeat("9", 40), strings.Repeat("9", 400), "1" + strings.Repeat("0", 20) + "38",
	} {
		v = fmtAll(v, n)
		list := v == fmt.Sprintf("%d,%d", n, n) || v == fmt.Sprintf("%d, %d", n, n) || v == fmt.Sprintf("%d , %d", n, n)
		c.add(mutation{name: fmt.Sprintf("length-%d", i), head: "Content-Length: " + v + "\r\n", body: twofold, byCL: list})
		c.add(mutation{name: fmt.Sprintf("length-with-te-%d", i), head: "Content-Length: " + v + "\r\n" + chunkedField, body: twofold, byTE: list})
		c.add(mutation{name: fmt.Sprintf("length-behind-te-%d", i), head: chunkedField + "Content-Length: " + v + "\r\n", body: twofold, byTE: list})
	}
	for _, zeros := range []int{1, 2, 10, 17, 19, 20, 64, 200} {
		c.add(mutation{name: fmt.Sprintf("length-zeros-%d", zeros), head: fmt.Sprintf("Content-Length: %s%d\r\n", strings.Repeat("0", zeros), n), body: twofold, byCL: true})
	}
}

// fmtAll puts n in for every verb.
func fmtAll(s string, n int) string {
	for _, verb := range []string{"d", "x", "o"} {
		s = strings.ReplaceAll(s, "%"+verb, fmt.Sprintf("%"+verb, n))
	}
	return strings.ReplaceAll(s, "%%", "%")
}

// lengthBytes puts every odd byte around the content-length's name and value.
func (c *corpus) lengthBytes() {
	n := len(twofold)
	for _, b := range odd() {
		s := string([]byte{byte(b)})
		if b != '\n' {
			c.add(mutation{name: fmt.Sprintf("length-behind-%02x", b), head: fmt.Sprintf("Content-Length: %d%s\r\n", n, s), body: twofold, byCL: isOWS(b) || b == '\r'})
			c.add(mutation{name: fmt.Sprintf("length-within-%02x", b), head: fmt.Sprintf("Content-Length: %d%s%d\r\n", n/10, s, n%10), body: twofold})
		}
		c.add(mutation{name: fmt.Sprintf("length-ahead-%02x", b), head: fmt.Sprintf("Content-Length:%s%d\r\n", s, n), body: twofold, byCL: isOWS(b)})
		c.add(mutation{name: fmt.Sprintf("length-name-behind-%02x", b), head: fmt.Sprintf("Content-Length%s: %d\r\n", s, n), body: twofold, noBody: b != ':'})
		c.add(mutation{name: fmt.Sprintf("length-name-ahead-%02x", b), head: fmt.Sprintf("%sContent-Length: %d\r\n", s, n), body: twofold, noBody: true, byCL: b == '\n'})
		c.add(mutation{name: fmt.Sprintf("length-name-within-%02x", b), head: fmt.Sprintf("Content%sLength: %d\r\n", s, n), body: twofold, noBody: b != '-', byCL: b == '-'})
	}
}

// chunk adds a chunked request whose first chunk line is in doubt; right says
// that a reader may take it for one of data's length.
func (c *corpus) chunk(name, line, data string, right bool) {
	c.add(mutation{name: name, head: chunkedField, body: line + "\r\n" + data + "\r\n0\r\n\r\n", data: data, byTE: right})
}

const chunkData = "abcde"

// chunkSizes are sizes that are no 1*HEXDIG, or wrap around.
func (c *corpus) chunkSizes() {
	for i, size := range []string{
		"+5", "-5", "0x5", "0X5", "x5", "5h", "5x", "5 5", "5_0", "_5", "5.", "5.0", "5,", "5,5", ",5", "\"5\"", "'5'", "(5)", "%35", "#5", "$5", "5%", "5-", "5+", "--5", "- 5", "+ 5", "0b5z", "g", "G5", "5g", "٣", "５", "\u00a05", "5\u00a0", "\ufeff5", "", " ", "\t", "-0", "+0", "00x5", "NaN", "0x", "=5", "5=", "/5", "5/", ":5", "5:", "\\5", "5\\", "5e+0",
		"100000005", "10000000000000005", "ffffffff", "fffffffffffffff5", "ffffffffffffffff", "8000000000000005", "7fffffffffffffff", "100000000000000000000000000000005", "-fffffffffffffffb", strings.Repeat("f", 40), "5" + strings.Repeat("0", 16),
	} {
		c.chunk(fmt.Sprintf("chunk-size-%d", i), size, chunkData, false)
		// The same where a chunk is expected to be the last, with a request behind.
		c.add(mutation{name: fmt.Sprintf("chunk-second-%d", i), head: chunkedField, body: "3\r\nabc\r\n" + size + "\r\n" + chunkData + "\r\n0\r\n\r\n"})
	}
	for _, zeros := range []int{1, 2, 7, 8, 15, 16, 17, 31, 32, 64, 200} {
		c.chunk(fmt.Sprintf("chunk-zeros-%d", zeros), strings.Repeat("0", zeros)+"5", chunkData, true)
		c.add(mutation{name: fmt.Sprintf("chunk-last-zeros-%d", zeros), head: chunkedField, body: "3\r\nabc\r\n" + strings.Repeat("0", zeros) + "\r\n\r\n", data: "abc", byTE: true})
	}
}

// chunkBytes puts every odd byte in the places of a chunk's lines.
func (c *corpus) chunkBytes() {
	for _, b := range odd() {
		s := string([]byte{byte(b)})
		lws := isOWS(b) // before an extension, and by many also at the end
		c.chunk(fmt.Sprintf("chunk-size-behind-%02x", b), "5"+s, chunkData, lws || b == ';' || b == '\r')
		c.chunk(fmt.Sprintf("chunk-size-ahead-%02x", b), s+"5", chunkData, false)
		c.chunk(fmt.Sprintf("chunk-extension-%02x", b), "5;x"+s+"y", chunkData, b != '\n')
		c.add(mutation{name: fmt.Sprintf("chunk-data-end-%02x", b), head: chunkedField, body: "5\r\nabcde" + s + "\r\n0\r\n\r\n"})
		c.add(mutation{name: fmt.Sprintf("chunk-last-behind-%02x", b), head: chunkedField, body: "5\r\nabcde\r\n0" + s + "\r\n\r\n", data: chunkData, byTE: lws || b == ';' || b == '\r'})
		if b != '\r' && b != '\n' {
			c.add(mutation{name: fmt.Sprintf("chunk-line-end-%02x", b), head: chunkedField, body: "5" + s + "\nabcde\r\n0\r\n\r\n"})
		}
	}
	for i, e := range []string{"\n", "\r", "\n\r", "\r\r\n", "\r\n\r\n", "", "\r\n\n", "\n\n", "\r\n ", "\x0b\r\n"} {
		c.add(mutation{name: fmt.Sprintf("chunk-size-end-%d", i), head: chunkedField, body: "5" + e + "abcde\r\n0\r\n\r\n", data: chunkData, byTE: e == "\r\r\n"})
		c.add(mutation{name: fmt.Sprintf("chunk-data-line-end-%d", i), head: chunkedField, body: "5\r\nabcde" + e + "0\r\n\r\n"})
		c.add(mutation{name: fmt.Sprintf("chunk-last-end-%d", i), head: chunkedField, body: "5\r\nabcde\r\n0" + e + "\r\n", data: chunkData, byTE: e == "" || e == "\r\r\n" || e == "\r\n\r\n" || e == "\r\n\n" || e == "\r\n "})
		c.add(mutation{name: fmt.Sprintf("chunk-body-end-%d", i), head: chunkedField, body: "5\r\nabcde\r\n0\r\n" + e, data: chunkData, byTE: strings.Trim(e, "\v\r\n") == "" && e != "\r" && e != "\n\r" || strings.HasPrefix(e, "\r\n") || strings.HasPrefix(e, "\n") || e == "\r\r\n"})
	}
}

// extensions hide a line end, or a whole request, in what is ignored.
func (c *corpus) extensions() {
	for i, e := range []string{
		"\n", "\r", "x\n", "x\r", "x\ny", "x\ry", "=\n", "x=\n", "x=\"\n\"", "x=\"\r\"", "x=\"\r\n\"", "x=\"", "\"", "\"\n", "\x00", "x\x00y", "\x0b\n", ";\n", " \n", "\t\n", "\r\r", "\n\r", "x=\"\\\n\"", "a\n5\r\nabcde\r\n0",
		"\nxx", "\rxx", "\n0\r\n\r\n", "a=\"\n0\n\n\"",
	} {
		c.chunk(fmt.Sprintf("extension-line-end-%d", i), "5;"+e, chunkData, !strings.Contains(e, "\n"))
		c.add(mutation{name: fmt.Sprintf("extension-last-%d", i), head: chunkedField, body: "5\r\nabcde\r\n0;" + e + "\r\n\r\n" + inner, data: chunkData, byTE: true})
		// Chunk data that reads as chunks and a request, if the line ended early.
		data := "xx\r\n0\r\n\r\n" + inner
		c.add(mutation{name: fmt.Sprintf("extension-hides-%d", i), head: chunkedField, body: fmt.Sprintf("2;%s\r\nab\r\n%x\r\n%s\r\n0\r\n\r\n", e, len(data), data), data: "ab" + data, byTE: !strings.Contains(e, "\n")})
	}
	for _, n := range []int{100, 1000, 4000, 8000, 16000, 64000} {
		c.chunk(fmt.Sprintf("extension-long-%d", n), "5;"+strings.Repeat("x", n), chunkData, true)
	}
}

// trailers are fields behind the body that must not frame anything.
func (c *corpus) trailers() {
	for i, f := range []string{
		"X: y\r\n", "X: y\r\nZ: w\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: identity\r\n", "Host: evil\r\n", "Connection: close\r\n", "Upgrade: x\r\n", "Expect: 100-continue\r\n", "TE: x\r\n", "Trailer: x\r\n",
		"X : y\r\n", " X: y\r\n", "X: y\r\n z\r\n", "X\r\n", ": y\r\n", "X: y\n", "X: y\r", "X: \x00\r\n", "X: \x01\r\n", "X\x00: y\r\n", "\x00\r\n", "\n", "\r", " \r\n", "\t\r\n", "GET /inner HTTP/1.1\r\n", "GET /inner HTTP/1.1\r\nHost: h\r\n", "X: y\r\r\n", "X: y\n\r\n", "X: " + strings.Repeat("y", 4000) + "\r\n", strings.Repeat("X: y\r\n", 50), "5\r\nabcde\r\n", "0\r\n", "X:y\r\nContent-Length: 0\r\n",
	} {
		c.add(mutation{name: fmt.Sprintf("trailer-%d", i), head: chunkedField, body: "5\r\nabcde\r\n0\r\n" + f + "\r\n", data: chunkData, byTE: true})
		c.add(mutation{name: fmt.Sprintf("trailer-inner-%d", i), head: "Trailer: X\r\n" + chunkedField, body: "0\r\n" + f + "\r\n" + inner, byTE: true})
	}
}

// versions are the same two framings where chunked is not defined.
func (c *corpus) versions() {
	for _, v := range []string{"HTTP/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/1.", "HTTP/1.1 ", "http/1.1", "HTTP/11", "HTTP/1.01", ""} {
		for i, h := range []string{chunkedField, chunkedField + length(twofold), length(twofold) + chunkedField, length(twofold) + "Connection: keep-alive\r\n", chunkedField + "Connection: keep-alive\r\n", "Connection: Transfer-Encoding\r\n" + chunkedField, "Connection: Content-Length\r\n" + length(twofold), "Connection: Content-Length, Transfer-Encoding\r\n" + chunkedField + length(twofold)} {
			te, cl := strings.Contains(h, "chunked\r\n"), strings.Contains(h, "Length: ")
			p := v
			if p == "" {
				p = "HTTP/1.1"
			}
			c.add(mutation{name: fmt.Sprintf("version-%s-%d", strings.Trim(p, " /"), i) + strings.Repeat("-space", strings.Count(v, " ")), head: h, body: twofold, proto: p, byTE: te, byCL: cl && !te})
		}
	}
	for i, h := range []string{
		"Expect: 100-continue\r\n" + length(twofold), "Expect: 100-continue\r\n" + chunkedField, "Expect: 100-continue\r\n" + chunkedField + length(twofold),
		"Upgrade: h2c\r\nConnection: Upgrade\r\n" + length(twofold), "Upgrade: websocket\r\nConnection: Upgrade\r\n" + length(twofold), "Upgrade: websocket\r\nConnection: Upgrade\r\n" + chunkedField,
		"Content-Encoding: chunked\r\n" + length(twofold), "TE: chunked\r\n" + length(twofold), "Trailer: Transfer-Encoding\r\n" + length(twofold), "X-HTTP-Method-Override: GET\r\n" + length(twofold),
	} {
		te := strings.Contains(h, "Transfer-Encoding: ")
		c.add(mutation{name: fmt.Sprintf("beside-%d", i), head: h, body: twofold, byTE: te, byCL: !te})
	}
}
