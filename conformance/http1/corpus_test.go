package http1

import (
	"fmt"
	"strings"
)

// The body of every mutation is whole in two readings: by content-length it is
// one body; as chunks it ends early, and /inner is a request behind it.
const (
	inner   = "GET /inner HTTP/1.1\r\nHost: h\r\n\r\n"
	twofold = "0\r\n\r\n" + inner
)

func length(body string) string { return fmt.Sprintf("Content-Length: %d\r\n", len(body)) }

const (
	chunkedField = "Transfer-Encoding: chunked\r\n"
	plainChunks  = "3\r\nabc\r\n0\r\n\r\n"
)

// smugglingCorpus generates the mutations, always the same and in one order.
func smugglingCorpus() []*mutation {
	var c corpus
	c.nameBytes()
	c.valueBytes()
	c.lineEnds()
	c.names()
	c.codings()
	c.duplicates()
	c.lengths()
	c.lengthBytes()
	c.chunkSizes()
	c.chunkBytes()
	c.extensions()
	c.trailers()
	c.versions()
	return c.all
}

type corpus struct{ all []*mutation }

func (c *corpus) add(m mutation) { c.all = append(c.all, &m) }

// bothOrders adds a field that may look like transfer-encoding beside a
// content-length, before and after it. If it is read as that field the
// chunked reading stands (RFC 9112, section 6.1: it may override), else the
// length's; byTE and byCL say which are right.
func (c *corpus) bothOrders(name, field string, byTE, byCL bool) {
	c.add(mutation{name: name + "-before", head: field + length(twofold), body: twofold, byTE: byTE, byCL: byCL})
	c.add(mutation{name: name + "-after", head: length(twofold) + field, body: twofold, byTE: byTE, byCL: byCL})
}

// isOWS says that the byte may stand around a value.
func isOWS(b int) bool { return b == ' ' || b == '\t' }

// odd are the bytes that parsers treat differently: controls, space,
// separators, 8-bit ones.
func odd() []int {
	var bs []int
	for b := range 256 {
		switch {
		case b <= ' ', b >= 0x7f && b <= 0x8a, b == 0xa0, b == 0xad, b == 0xff, b == 0xe2:
			bs = append(bs, b)
		case strings.IndexByte("\"(),/:;<=>?@[\\]{}'_-+.", byte(b)) >= 0:
			bs = append(bs, b)
		}
	}
	return bs
}

// nameBytes puts every odd byte before, within and behind the field's name.
func (c *corpus) nameBytes() {
	for _, b := range odd() {
		s := string([]byte{byte(b)})
		// "Transfer-Encoding" with another byte in it is another field, if it is
		// one at all: then the length stands.
		whole := b == ':' // "Transfer-Encoding:: chunked" has the value ": chunked"
		c.bothOrders(fmt.Sprintf("name-behind-%02x", b), "Transfer-Encoding"+s+": chunked\r\n", false, !whole)
		if b == '\n' {
			// An LF may end the head (RFC 9112, section 2.2), and all else is behind it.
			c.add(mutation{name: "name-ahead-0a-before", head: "\n" + chunkedField + length(twofold), body: twofold, noBody: true})
		} else {
			c.bothOrders(fmt.Sprintf("name-ahead-%02x", b), s+"Transfer-Encoding: chunked\r\n", false, true)
		}
		c.bothOrders(fmt.Sprintf("name-within-%02x", b), "Transfer"+s+"Encoding: chunked\r\n", b == '-', b != '-')
	}
}

// valueBytes puts every odd byte before, within and behind the value.
func (c *corpus) valueBytes() {
	for _, b := range odd() {
		s := string([]byte{byte(b)})
		around := isOWS(b) || b == ','
		if b != '\n' {
			c.bothOrders(fmt.Sprintf("value-ahead-%02x", b), "Transfer-Encoding: "+s+"chunked\r\n", around, false)
			c.bothOrders(fmt.Sprintf("value-behind-%02x", b), "Transfer-Encoding: chunked"+s+"\r\n", around || b == '\r', false)
			c.bothOrders(fmt.Sprintf("value-within-%02x", b), "Transfer-Encoding: chun"+s+"ked\r\n", false, false)
		}
		c.bothOrders(fmt.Sprintf("value-at-once-%02x", b), "Transfer-Encoding:"+s+"chunked\r\n", around || b == '\n', false)
		// Alone, as the only framing there is.
		c.add(mutation{name: fmt.Sprintf("value-alone-behind-%02x", b), head: "Transfer-Encoding: chunked" + s + "\r\n", body: plainChunks, data: "abc", byTE: around || b == '\r' || b == '\n'})
		c.add(mutation{name: fmt.Sprintf("value-alone-ahead-%02x", b), head: "Transfer-Encoding:" + s + "chunked\r\n", body: plainChunks, data: "abc", byTE: around})
	}
}

// lineEnds hides one framing field behind a line end that not all see.
func (c *corpus) lineEnds() {
	ends := []string{"\n", "\r", "\n\r", "\r\r\n", "\v\r\n", "\f\r\n", "\x00\r\n", "\x85\r\n", "\u2028", "\r\n ", "\r\n\t", "\n ", "\n\t", "\r ", "\r\n \r\n", "\r\n\t\r\n", " \r\n", "\t\r\n", "\r\n\r", "\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\\r\\n", "%0d%0a"}
	for i, e := range ends {
		// An LF alone may end a line; a folded line continues the value before it.
		lf := e == "\n" || e == " \r\n" || e == "\t\r\n" || e == "\r\r\n"
		c.bothOrders(fmt.Sprintf("line-end-%d", i), "X: y"+e+"Transfer-Encoding: chunked\r\n", lf || strings.HasSuffix(e, "\r\n"), !lf)
		c.bothOrders(fmt.Sprintf("line-end-of-te-%d", i), "Transfer-Encoding: chunked"+e+"X: y\r\n", lf || e == "\r\n \r\n" || e == "\r\n\t\r\n", false)
		c.bothOrders(fmt.Sprintf("line-end-in-te-%d", i), "Transfer-Encoding:"+e+"chunked\r\n", strings.TrimLeft(e, "\r\n \t") == "" && strings.HasSuffix(strings.TrimRight(e, "\r\n"), " ") || e == "\r\n " || e == "\r\n\t" || e == "\n " || e == "\n\t", false)
		c.add(mutation{name: fmt.Sprintf("line-end-hides-length-%d", i), head: "X: y" + e + length(twofold), body: twofold, byCL: true, noBody: !lf})
	}
}

// names are fields that only resemble the two.
func (c *corpus) names() {
	for _, n := range []string{"Transfer_Encoding", "Transfer.Encoding", "TransferEncoding", "Transfer--Encoding", "X-Transfer-Encoding", "Transfer-Encodin", "Transfer-Encodings", "HTTP_TRANSFER_ENCODING", "TE", "Content-Transfer-Encoding", "Tran\u017ffer-Encoding", "Transfer-Enc\u043eding", "\u212aransfer-Encoding", "%54ransfer-Encoding", "Proxy-Transfer-Encoding"} {
		c.bothOrders("name-"+n, n+": chunked\r\n", false, true)
	}
	for _, n := range []string{"transfer-encoding", "TRANSFER-ENCODING", "tRANSFER-eNCODING"} {
		c.bothOrders("name-"+n, n+": chunked\r\n", true, false)
		c.add(mutation{name: "name-alone-" + n, head: n + ": chunked\r\n", body: plainChunks, data: "abc", byTE: true})
	}
	for _, n := range []string{"Content_Length", "ContentLength", "Content-Lengt", "Content-Lengths", "X-Content-Length", "Content--Length", "HTTP_CONTENT_LENGTH", "Content-Length-X", "C\u043entent-Length"} {
		c.add(mutation{name: "length-name-" + n, head: fmt.Sprintf("%s: %d\r\n", n, len(twofold)), body: twofold, noBody: true})
		c.add(mutation{name: "length-name-beside-te-" + n, head: fmt.Sprintf("%s: %d\r\n", n, len(twofold)) + chunkedField, body: twofold, byTE: true})
	}
}

// codings are values of transfer-encoding, beside a length and alone.
func (c *corpus) codings() {
	for i, v := range []string{"CHUNKED", "Chunked", "cHuNkEd", " chunked ", "\tchunked\t"} {
		c.bothOrders(fmt.Sprintf("coding-right-%d", i), "Transfer-Encoding:"+v+"\r\n", true, false)
		c.add(mutation{name: fmt.Sprintf("coding-right-alone-%d", i), head: "Transfer-Encoding:" + v + "\r\n", body: plainChunks, data: "abc", byTE: true})
	}
	for i, v := range []string{"chunked, chunked", "gzip, chunked", "chunked, gzip", "identity", "identity, chunked", "chunked, identity", "cow", "chunked, cow", "cow, chunked", "xchunked", "chunkedx", "chunke", "chunked chunked", "chunked;q=1", "chunked; x=y", "\"chunked\"", "'chunked'", "chunked,", ",chunked", ", chunked", "chunked ,", ",,chunked", "", "null", "chunk", "x chunked", "chunked x", "{chunked}", "(x)chunked", "chunked(x)", "chunked\\", "=?utf-8?q?chunked?=", "c\u043dunked", "chun\u212aed", "ｃｈｕｎｋｅｄ", "\ufeffchunked", "deflate", "compress", "br", "trailers", "Content-Length: 5", "chunked:", ":chunked"} {
		list := i == 0 || strings.Trim(v, ", ") == "chunked"
		c.bothOrders(fmt.Sprintf("coding-%d", i), "Transfer-Encoding: "+v+"\r\n", list, false)
		c.add(mutation{name: fmt.Sprintf("coding-alone-%d", i), head: "Transfer-Encoding: " + v + "\r\n", body: plainChunks, data: "abc", byTE: list})
	}
}

// duplicates are two fields where one is right, or three.
func (c *corpus) duplicates() {
	for i, v := range []string{"chunked", "identity", "cow", "", "gzip", "xchunked", "chunked, chunked", "\x0bchunked", "chunked\x00", "CHUNKED", "null", ",", "x"} {
		f := "Transfer-Encoding: " + v + "\r\n"
		twice := strings.EqualFold(v, "chunked") || v == "" || v == ","
		c.bothOrders(fmt.Sprintf("te-twice-then-%d", i), chunkedField+f, twice, false)
		c.bothOrders(fmt.Sprintf("te-twice-first-%d", i), f+chunkedField, twice, false)
		c.add(mutation{name: fmt.Sprintf("te-around-length-%d", i), head: chunkedField + length(twofold) + f, body: twofold, byTE: twice})
		c.add(mutation{name: fmt.Sprintf("te-twice-alone-%d", i), head: chunkedField + "X: y\r\n" + f, body: plainChunks, data: "abc", byTE: twice})
		c.add(mutation{name: fmt.Sprintf("te-twice-case-%d", i), head: chunkedField + "transfer-encoding: " + v + "\r\n", body: plainChunks, data: "abc", byTE: twice})
	}
	for i, pair := range [][2]string{{"%d", "0"}, {"0", "%d"}, {"%d", "5"}, {"5", "%d"}, {"%d", "%d"}, {"%d", "0%d"}, {"%d", "+%d"}, {"%d", ""}, {"", "%d"}, {"%d", "x"}, {"x", "%d"}, {"%d", "-1"}, {"%d", "%d, %d"}, {"%d", "18446744073709551616"}} {
		f := func(s string) string {
			return "Content-Length: " + strings.ReplaceAll(s, "%d", fmt.Sprint(len(twofold))) + "\r\n"
		}
		same := i == 4 || i == 5 || i == 12
		c.add(mutation{name: fmt.Sprintf("cl-twice-%d", i), head: f(pair[0]) + f(pair[1]), body: twofold, byCL: same})
		c.add(mutation{name: fmt.Sprintf("cl-twice-apart-%d", i), head: f(pair[0]) + "X: y\r\n" + f(pair[1]), body: twofold, byCL: same})
		c.add(mutation{name: fmt.Sprintf("cl-twice-case-%d", i), head: f(pair[0]) + strings.ToLower(f(pair[1])), body: twofold, byCL: same})
		c.add(mutation{name: fmt.Sprintf("cl-twice-with-te-%d", i), head: f(pair[0]) + chunkedField + f(pair[1]), body: twofold, byTE: same})
	}
}
