package http1

import (
	"bytes"
	"math"
)

// maxHead bounds one message head, in bytes.
const maxHead = 16 << 10

// head is what both parsers need of a message's header section.
type head struct {
	line      []byte // the first line, without its line end
	hasLength bool
	length    int64
	chunked   bool
	close     bool
	keepAlive bool
	expect    bool // Expect: 100-continue
}

// gather returns one complete head, with its empty line, as soon as there is
// one: a piece of p where it arrived whole, else of rest, which keeps what
// came before. taken is how much of p the head used.
func gather(rest *[]byte, p []byte) (whole []byte, taken int, err error) {
	if len(*rest) == 0 {
		if i := bytes.Index(p, []byte("\r\n\r\n")); i >= 0 && i+4 <= maxHead {
			return p[:i+4], i + 4, nil
		}
	}
	before := len(*rest)
	*rest = append(*rest, p[:min(len(p), maxHead-before)]...)
	from := max(before-3, 0)
	if i := bytes.Index((*rest)[from:], []byte("\r\n\r\n")); i >= 0 {
		end := from + i + 4
		whole = (*rest)[:end]
		*rest = (*rest)[:0]
		return whole, end - before, nil
	}
	if len(*rest) == maxHead {
		return nil, 0, ErrTooLong
	}
	return nil, len(p), nil
}

// parseHead reads the lines of a complete head.
func parseHead(b []byte) (h head, err error) {
	h.line, b = cutLine(b)
	for {
		var line []byte
		if line, b = cutLine(b); len(line) == 0 {
			break
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 {
			return h, ErrHead
		}
		if err := h.field(line[:colon], bytes.Trim(line[colon+1:], " \t")); err != nil {
			return h, err
		}
	}
	if h.chunked && h.hasLength {
		return h, ErrLength
	}
	return h, nil
}

func (h *head) field(name, value []byte) error {
	switch len(name) {
	case len("expect"):
		if fold(name, "expect") {
			h.expect = fold(value, "100-continue")
		}
	case len("connection"):
		if fold(name, "connection") {
			h.close = h.close || fold(value, "close")
			h.keepAlive = h.keepAlive || fold(value, "keep-alive")
		}
	case len("content-length"):
		if fold(name, "content-length") {
			n, err := decimal(value)
			if err != nil || h.hasLength && n != h.length {
				return ErrLength
			}
			h.hasLength, h.length = true, n
		}
	case len("transfer-encoding"):
		if fold(name, "transfer-encoding") {
			if h.chunked || !fold(value, "chunked") {
				return ErrLength
			}
			h.chunked = true
		}
	}
	return nil
}

func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\r')
	if i < 0 || i+1 >= len(b) {
		return nil, nil
	}
	return b[:i], b[i+2:]
}

// fold says whether b is the lower-case ASCII word want, in any case.
func fold(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != want[i] {
			return false
		}
	}
	return true
}

func decimal(b []byte) (n int64, err error) {
	if len(b) == 0 {
		return 0, ErrLength
	}
	for _, c := range b {
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			return 0, ErrLength
		}
		n = n*10 + int64(c-'0')
	}
	return n, nil
}
