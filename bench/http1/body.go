// Package http1 parses the HTTP/1.1 messages (RFC 9112) that the bench origin
// and load generator exchange. Both parsers are fed whatever bytes have come
// and may be cut at any of them; neither allocates in the steady state.
package http1

import (
	"errors"
	"math"
)

// Errors of both parsers. Any of them ends the connection.
var (
	ErrHead    = errors.New("malformed message head")
	ErrTooLong = errors.New("message head longer than 16 KiB")
	ErrLength  = errors.New("malformed or contradictory body length")
	ErrChunk   = errors.New("malformed chunk")
	ErrEarly   = errors.New("connection ended inside a message")
)

type framing uint8

const (
	byLength framing = iota
	byChunks
	byClose
)

type chunkPart uint8

const (
	chunkSize chunkPart = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart
	trailerLine
	trailerLineLF
	trailerEndLF
)

// body follows one message body to its end.
type body struct {
	framing framing
	part    chunkPart
	digits  int
	left    int64 // of the body by length, or of the current chunk
	size    int64 // content seen so far, without the chunks' framing
}

// feed consumes what of p belongs to the body.
func (b *body) feed(p []byte) (n int, done bool, err error) {
	switch b.framing {
	case byLength:
		n = int(min(int64(len(p)), b.left))
		b.left -= int64(n)
		b.size += int64(n)
		return n, b.left == 0, nil
	case byClose:
		b.size += int64(len(p))
		return len(p), false, nil
	}
	for n < len(p) {
		if b.part == chunkData {
			take := int(min(int64(len(p)-n), b.left))
			n += take
			b.left -= int64(take)
			b.size += int64(take)
			if b.left == 0 {
				b.part = chunkDataCR
			}
			continue
		}
		done, err = b.chunkByte(p[n])
		n++
		if done || err != nil {
			return n, done, err
		}
	}
	return n, false, nil
}

// chunkByte takes one byte of the chunked framing (RFC 9112 section 7.1).
func (b *body) chunkByte(c byte) (done bool, err error) {
	switch b.part {
	case chunkSize:
		if d, ok := hex(c); ok {
			if b.left > math.MaxInt64>>4 {
				return false, ErrChunk
			}
			b.left = b.left<<4 | int64(d)
			b.digits++
			return false, nil
		}
		if b.digits == 0 {
			return false, ErrChunk
		}
		b.digits = 0
		switch c {
		case '\r':
			b.part = chunkSizeLF
		case ';', ' ', '\t':
			b.part = chunkExtension
		default:
			return false, ErrChunk
		}
	case chunkExtension:
		if c == '\r' {
			b.part = chunkSizeLF
		}
	case chunkSizeLF:
		b.part = chunkData
		if b.left == 0 {
			b.part = trailerStart
		}
		return false, expect(c, '\n')
	case chunkDataCR:
		b.part = chunkDataLF
		return false, expect(c, '\r')
	case chunkDataLF:
		b.part = chunkSize
		return false, expect(c, '\n')
	case trailerStart:
		b.part = trailerLine
		if c == '\r' {
			b.part = trailerEndLF
		}
	case trailerLine:
		if c == '\r' {
			b.part = trailerLineLF
		}
	case trailerLineLF:
		b.part = trailerStart
		return false, expect(c, '\n')
	case trailerEndLF:
		return true, expect(c, '\n')
	}
	return false, nil
}

func expect(c, want byte) error {
	if c != want {
		return ErrChunk
	}
	return nil
}

func hex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}
