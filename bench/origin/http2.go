package origin

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	frameHead = 9
	// maxFrame is the largest frame either side sends: 2^14, which needs no
	// setting.
	maxFrame = 16 << 10
	// gathered is how much output a connection makes before it writes.
	gathered = 256 << 10
	// owedAtMost is how much of the connection's window is used before it is
	// given back.
	owedAtMost = 1 << 20
	// prefaceStart is enough of the preface to know HTTP/2 by.
	prefaceStart = "PRI "
)

// h2 is a connection's state once the client has begun it with the preface of
// HTTP/2. It answers as HTTP/1 does, and a request whose content type begins
// with application/grpc with 1,024 bytes in one message and a status of 0 in
// trailers.
type h2 struct {
	begun   bool
	in      []byte // the beginning of a frame
	decoder *hpack.Decoder
	block   []byte // a field section without its end
	of      *stream
	window  int64 // bytes that may be sent on the connection
	initial int64 // and on a new stream
	owed    int64 // bytes received and not yet given back to the client's window
	streams map[uint32]*stream
	sending []*stream
}

type stream struct {
	id      uint32
	path    []byte
	method  []byte
	grpc    bool
	body    bool  // content came
	ended   bool  // the request
	held    bool  // it is never answered
	window  int64 // added to the initial one
	size    int64 // still to be sent
	trailer bool
	gone    bool
}

func newH2() *h2 {
	h := &h2{window: 65535, initial: 65535, streams: map[uint32]*stream{}}
	h.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		switch f.Name {
		case ":path":
			h.of.path = append(h.of.path[:0], f.Value...)
		case ":method":
			h.of.method = append(h.of.method[:0], f.Value...)
		case "content-type":
			h.of.grpc = len(f.Value) >= 16 && f.Value[:16] == "application/grpc"
		}
	})
	return h
}

// consume2 takes all of the input; what answers there are go to c.out.
func (w *worker) consume2(c *conn, in []byte) {
	h := c.h2
	if len(h.in) > 0 {
		h.in = append(h.in, in...)
		in = h.in
	}
	if !h.begun {
		if len(in) < len(http2.ClientPreface) {
			h.in = append(h.in[:0], in...)
			return
		}
		if !bytes.HasPrefix(in, []byte(http2.ClientPreface)) {
			c.closing = true
			return
		}
		in = in[len(http2.ClientPreface):]
		h.begun = true
		// A thousand streams; windows of streams that nobody fills.
		c.out = append(c.out, 0, 0, 12, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0x3, 0xe8, 0, 4, 0x7f, 0xff, 0xff, 0xff)
		c.out = windowUpdate(c.out, 1<<31-1-65535)
	}
	for len(in) >= frameHead {
		size := int(in[0])<<16 | int(in[1])<<8 | int(in[2])
		if size > maxFrame {
			c.closing = true
			return
		}
		if len(in) < frameHead+size {
			break
		}
		id := binary.BigEndian.Uint32(in[5:]) & (1<<31 - 1)
		if !w.frame(c, http2.FrameType(in[3]), in[4], id, in[frameHead:frameHead+size]) {
			c.closing = true
			return
		}
		in = in[frameHead+size:]
	}
	h.in = append(h.in[:0], in...)
	w.pump(c)
}

// frame takes one frame; false when it cannot be.
func (w *worker) frame(c *conn, kind http2.FrameType, flags byte, id uint32, p []byte) bool {
	h := c.h2
	if h.of != nil && kind != http2.FrameContinuation {
		return false
	}
	switch kind {
	case http2.FrameData:
		h.owed += int64(len(p))
		if h.owed >= owedAtMost {
			c.out = windowUpdate(c.out, uint32(h.owed))
			h.owed = 0
		}
		if s := h.streams[id]; s != nil {
			s.body = s.body || len(p) > 0
			if flags&1 != 0 {
				w.answer2(c, s)
			}
		}
	case http2.FrameHeaders:
		if flags&0x8 != 0 { // padded
			if len(p) == 0 || len(p) < 1+int(p[0]) {
				return false
			}
			p = p[1 : len(p)-int(p[0])]
		}
		if flags&0x20 != 0 { // with a priority
			if len(p) < 5 {
				return false
			}
			p = p[5:]
		}
		s := h.streams[id]
		if s == nil {
			s = &stream{id: id}
			h.streams[id] = s
		}
		s.ended = flags&1 != 0
		h.of = s
		return w.fields(c, p, flags&4 != 0)
	case http2.FrameContinuation:
		if h.of == nil || h.of.id != id {
			return false
		}
		return w.fields(c, p, flags&4 != 0)
	case http2.FrameRSTStream:
		if s := h.streams[id]; s != nil {
			w.forget(c, s)
		}
	case http2.FrameSettings:
		if flags&1 != 0 {
			return true
		}
		for ; len(p) >= 6; p = p[6:] {
			if binary.BigEndian.Uint16(p) == uint16(http2.SettingInitialWindowSize) {
				h.initial = int64(binary.BigEndian.Uint32(p[2:]))
			}
		}
		c.out = append(c.out, 0, 0, 0, 4, 1, 0, 0, 0, 0)
	case http2.FramePing:
		if len(p) != 8 {
			return false
		}
		if flags&1 == 0 {
			c.out = append(append(c.out, 0, 0, 8, 6, 1, 0, 0, 0, 0), p...)
		}
	case http2.FrameWindowUpdate:
		if len(p) != 4 {
			return false
		}
		n := int64(binary.BigEndian.Uint32(p))
		if id == 0 {
			h.window += n
		} else if s := h.streams[id]; s != nil {
			s.window += n
		}
	}
	return true
}

// fields takes a piece of a field section, and at its end begins the request.
func (w *worker) fields(c *conn, p []byte, end bool) bool {
	h := c.h2
	if !end || len(h.block) > 0 {
		h.block = append(h.block, p...)
		p = h.block
	}
	if !end {
		return len(h.block) <= 1<<20
	}
	_, err := h.decoder.Write(p)
	if err != nil || h.decoder.Close() != nil {
		return false
	}
	s := h.of
	h.of, h.block = nil, h.block[:0]
	if s.ended {
		w.answer2(c, s)
	}
	return true
}

// answer2 answers a request that is there as a whole.
func (w *worker) answer2(c *conn, s *stream) {
	size, kind := w.wanted(s.path)
	switch {
	case kind == holds:
		s.held = true
		w.held.Add(1)
		return
	case s.grpc:
		c.out = append(frame(c.out, len(w.grpcHead), http2.FrameHeaders, 4, s.id), w.grpcHead...)
		s.size, s.trailer = 5+1024, true
	case kind == counts:
		text := strconv.FormatInt(w.held.Load(), 10)
		c.out = w.head2(c.out, s.id, "200", int64(len(text)), false)
		c.out = append(frame(c.out, len(text), http2.FrameData, 1, s.id), text...)
		w.forget(c, s)
		return
	case s.body || kind == sized:
		if s.body {
			size = 1 << 10
		}
		empty := size == 0 || string(s.method) == "HEAD"
		c.out = w.head2(c.out, s.id, "200", size, empty)
		if empty {
			w.forget(c, s)
			return
		}
		s.size = size
	default:
		c.out = w.head2(c.out, s.id, "404", 0, true)
		w.forget(c, s)
		return
	}
	c.h2.sending = append(c.h2.sending, s)
}

func (w *worker) forget(c *conn, s *stream) {
	if s.held {
		w.held.Add(-1)
	}
	s.gone = true
	delete(c.h2.streams, s.id)
}

// pump makes frames of the answers as far as the windows go, in turn.
func (w *worker) pump(c *conn) {
	h := c.h2
	for n := len(h.sending); n > 0 && len(c.out) < gathered && h.window > 0; n-- {
		s := h.sending[0]
		h.sending = h.sending[1:]
		if s.gone {
			continue
		}
		part := min(s.size, h.window, h.initial+s.window, maxFrame)
		if s.trailer && part < s.size {
			part = 0 // the message goes in one piece
		}
		if part > 0 {
			n = len(h.sending) + 1 // there is progress: once more around
			s.size -= part
			s.window -= part
			h.window -= part
			flags := byte(0)
			if s.size == 0 && !s.trailer {
				flags = 1
			}
			c.out = frame(c.out, int(part), http2.FrameData, flags, s.id)
			if s.trailer { // a message of one piece, its length before it
				c.out = append(append(c.out, 0, 0, 0, 4, 0), w.block[:part-5]...)
			} else {
				c.out = append(c.out, w.block[:part]...)
			}
		}
		switch {
		case s.size > 0:
			h.sending = append(h.sending, s)
			if part > 0 {
				n++ // this one too
			}
			continue
		case s.trailer:
			c.out = append(frame(c.out, len(w.grpcTail), http2.FrameHeaders, 5, s.id), w.grpcTail...)
		}
		w.forget(c, s)
	}
	if len(h.sending) == 0 {
		h.sending = nil
	}
}

func (w *worker) head2(b []byte, id uint32, status string, size int64, end bool) []byte {
	block := literal(nil, 8, status)
	block = literal(block, 33, string(w.date))
	block = literal(block, 31, "application/octet-stream")
	block = literal(block, 28, strconv.FormatInt(size, 10))
	flags := byte(4)
	if end {
		flags = 5
	}
	return append(frame(b, len(block), http2.FrameHeaders, flags, id), block...)
}

// tick2 encodes anew what holds the date.
func (w *worker) tick2() {
	w.grpcHead = append(w.grpcHead[:0], 0x88)
	w.grpcHead = literal(w.grpcHead, 33, string(w.date))
	w.grpcHead = literal(w.grpcHead, 31, "application/grpc")
	w.grpcTail = append(w.grpcTail[:0], 0, 11)
	w.grpcTail = append(w.grpcTail, "grpc-status\x010"...)
}

// literal appends a field whose name is in the static table, not to be
// indexed (RFC 7541, 6.2.2).
func literal(b []byte, name byte, value string) []byte {
	if name < 15 {
		b = append(b, name)
	} else {
		b = append(b, 15, name-15)
	}
	b = append(b, byte(len(value))) // below 127
	return append(b, value...)
}

func frame(b []byte, size int, kind http2.FrameType, flags byte, id uint32) []byte {
	b = append(b, byte(size>>16), byte(size>>8), byte(size), byte(kind), flags)
	return binary.BigEndian.AppendUint32(b, id)
}

func windowUpdate(b []byte, n uint32) []byte {
	b = frame(b, 4, http2.FrameWindowUpdate, 0, 0)
	return binary.BigEndian.AppendUint32(b, n)
}
