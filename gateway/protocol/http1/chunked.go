package http1

import (
	"bytes"

	"longmen/gateway/stream"
)

var (
	errChunkSize    = &Malformed{400, "malformed chunk size"}
	errChunkExt     = &Malformed{400, "malformed or oversized chunk extension"}
	errChunkEnd     = &Malformed{400, "chunk does not end in CR LF"}
	errTrailerLarge = &Malformed{431, "trailer section is too large"}
)

// Bounds of chunk extensions: of one, and of a body's all together. Extensions
// have no use here and are dropped (RFC 9112 section 7.1.1).
const (
	maxChunkLine  = 4 << 10
	maxExtensions = 64 << 10
)

// chunks decodes the chunked transfer coding (RFC 9112 section 7.1) in place.
type chunks struct {
	state      chunkState
	left       int64 // bytes of the chunk's data still to come
	extensions int   // bytes of extensions so far
	scanned    int   // of the trailer section, see headEnd
	failed     *Malformed
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkData
	chunkDataEnd
	chunkTrailer
	chunkDone
)

// next looks at p, the bytes at hand. It returns how many bytes of framing to
// drop, and then how many bytes of data follow them. Both 0 means that more
// bytes are needed, unless the state is chunkDone. The trailer section, when
// there is one, is parsed into trailer.
//
// An error is final: the bytes before it were looked at and are not dropped, so
// that looking at them again would find another meaning in them.
func (c *chunks) next(p []byte, trailer *stream.Header, lim *Limits) (drop, data int, m *Malformed) {
	if c.failed == nil {
		drop, data, c.failed = c.decode(p, trailer, lim)
	}
	return drop, data, c.failed
}

func (c *chunks) decode(p []byte, trailer *stream.Header, lim *Limits) (drop, data int, m *Malformed) {
	for {
		rest := p[drop:]
		switch c.state {
		case chunkSize:
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				if len(rest) > maxChunkLine {
					return 0, 0, errChunkExt
				}
				return drop, 0, c.startOfSize(rest)
			}
			if i > maxChunkLine {
				return 0, 0, errChunkExt
			}
			if m := c.sizeLine(rest[:i]); m != nil {
				return 0, 0, m
			}
			drop += i + 1
		case chunkData:
			n := int(min(int64(len(rest)), c.left))
			return drop, n, nil
		case chunkDataEnd:
			if len(rest) > 0 && rest[0] != '\r' || len(rest) > 1 && rest[1] != '\n' {
				return 0, 0, errChunkEnd
			}
			if len(rest) < 2 {
				return drop, 0, nil
			}
			drop += 2
			c.state = chunkSize
		case chunkTrailer:
			n, m := c.trailer(rest, trailer, lim)
			return drop + n, 0, m
		case chunkDone:
			return drop, 0, nil
		}
	}
}

// took tells that n bytes of data were used.
func (c *chunks) took(n int) {
	c.left -= int64(n)
	if c.left == 0 && c.state == chunkData {
		c.state = chunkDataEnd
	}
}

// startOfSize refuses an unfinished size line as soon as it cannot become one.
func (c *chunks) startOfSize(p []byte) *Malformed {
	if len(p) > 0 && !hex(p[0]) {
		return errChunkSize
	}
	return nil
}

// sizeLine parses 1*HEXDIG [chunk-ext] CR.
func (c *chunks) sizeLine(line []byte) *Malformed {
	if len(line) == 0 || line[len(line)-1] != '\r' {
		return errBareLF
	}
	line = line[:len(line)-1]
	var n int64
	i := 0
	for i < len(line) && hex(line[i]) {
		if i == 15 {
			return errChunkSize
		}
		d := line[i]
		if digit(d) {
			d -= '0'
		} else {
			d = d | 0x20 - 'a' + 10
		}
		n = n<<4 | int64(d)
		i++
	}
	if i == 0 {
		return errChunkSize
	}
	if ext := line[i:]; len(ext) > 0 {
		if m := c.extension(ext); m != nil {
			return m
		}
	}
	c.left = n
	c.state = chunkData
	if n == 0 {
		c.state, c.scanned = chunkTrailer, 0
	}
	return nil
}

// extension accepts what begins with ";" (after optional white space, RFC 9112
// section 7.1.1) and holds no control byte.
func (c *chunks) extension(ext []byte) *Malformed {
	c.extensions += len(ext)
	if c.extensions > maxExtensions {
		return errChunkExt
	}
	text := trimOWS(ext)
	if len(text) == 0 || text[0] != ';' || hasControl(ext) {
		return errChunkExt
	}
	return nil
}

// trailer parses the trailer section, which ends in an empty line.
func (c *chunks) trailer(p []byte, h *stream.Header, lim *Limits) (int, *Malformed) {
	switch {
	case len(p) > 0 && p[0] == '\n':
		return 0, errBareLF
	case len(p) > 1 && p[0] == '\r' && p[1] == '\n':
		c.state = chunkDone
		return 2, nil
	case len(p) > 1 && p[0] == '\r':
		return 0, errBareLF
	}
	end, scanned := headEnd(p, c.scanned)
	if end == 0 {
		c.scanned = scanned
		if len(p) > lim.Head {
			return 0, errTrailerLarge
		}
		return 0, nil
	}
	if end > lim.Head {
		return 0, errTrailerLarge
	}
	var f framing
	arena := h.Load(p[:end])
	if m := fields(h, arena, 0, lim.Fields, &f); m != nil {
		return 0, m
	}
	// What frames, routes or authenticates a message has no place in a
	// trailer (RFC 9110 section 6.5.1), and what only the gateway may say of a
	// client would come behind its back; it is dropped.
	for _, name := range []string{"content-length", "host", "authorization", "cookie", "set-cookie", "content-encoding", "content-type", "expect", "upgrade", "trailer", "cache-control", "x-forwarded-client-cert"} {
		h.Remove(name)
	}
	c.state = chunkDone
	return end, nil
}

func hex(b byte) bool {
	return digit(b) || 'a' <= b|0x20 && b|0x20 <= 'f'
}
