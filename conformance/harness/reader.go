package harness

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of the parser, far over what any case sends.
const (
	maxLine   = 1 << 20 // bytes of one line
	maxFields = 2000
	MaxKeep   = 1 << 20 // bytes of a body that are kept
)

// A Reader is the suites' own parser of HTTP/1 messages. It is independent of
// the gateway's and accepts nothing but what RFC 9112 tells a sender to send:
// CRLF line ends, no white space before the colon, no folded lines, one length.
type Reader struct {
	br *bufio.Reader
	n  int64 // bytes consumed
}

// NewReader returns a Reader over the bytes of one connection.
func NewReader(r io.Reader) *Reader { return &Reader{br: bufio.NewReaderSize(r, 64<<10)} }

// Buffered is the number of bytes received and not parsed.
func (r *Reader) Buffered() int { return r.br.Buffered() }

func (r *Reader) violation(format string, args ...any) error {
	return &Violation{Offset: r.n, What: fmt.Sprintf(format, args...)}
}

// cut turns an end of file within a message into io.ErrUnexpectedEOF.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// line reads to CRLF. An end of file before the first byte is io.EOF.
func (r *Reader) line() (string, error) {
	var b []byte
	for {
		c, err := r.br.ReadByte()
		if err != nil {
			if len(b) > 0 {
				err = cut(err)
			}
			return string(b), err
		}
		r.n++
		switch {
		case c == '\n':
			if len(b) == 0 || b[len(b)-1] != '\r' {
				return "", r.violation("bare LF after %q", tail(b))
			}
			return string(b[:len(b)-1]), nil
		case len(b) > 0 && b[len(b)-1] == '\r':
			return "", r.violation("bare CR after %q", tail(b[:len(b)-1]))
		case c == 0:
			return "", r.violation("NUL after %q", tail(b))
		case len(b) >= maxLine:
			return "", r.violation("line over %d bytes", maxLine)
		}
		b = append(b, c)
	}
}

func tail(b []byte) []byte {
	if len(b) > 40 {
		return b[len(b)-40:]
	}
	return b
}

// RequestHead reads a request's start line and fields. io.EOF means that the
// connection ended between two messages.
func (r *Reader) RequestHead() (*Head, Framing, error) {
	line, err := r.line()
	if err != nil {
		return nil, Framing{}, err
	}
	p := strings.Split(line, " ")
	if len(p) != 3 || !isToken(p[0]) || !isVisible(p[1]) || p[2] != "HTTP/1.1" && p[2] != "HTTP/1.0" {
		return nil, Framing{}, r.violation("request line %q", line)
	}
	h := &Head{Method: p[0], Target: p[1], Proto: p[2]}
	if h.Fields, err = r.fields(); err != nil {
		return h, Framing{}, err
	}
	host := h.Values("Host")
	if len(host) > 1 || len(host) == 0 && h.Proto == "HTTP/1.1" {
		return h, Framing{}, r.violation("%d Host fields", len(host))
	}
	if len(host) == 1 && !isAuthority(host[0]) {
		return h, Framing{}, r.violation("Host: %q", host[0])
	}
	f, what := requestFraming(h)
	if what != "" {
		return h, f, r.violation("%s", what)
	}
	return h, f, nil
}

// ResponseHead reads a response's start line and fields; method is that of the request.
func (r *Reader) ResponseHead(method string) (*Head, Framing, error) {
	line, err := r.line()
	if err != nil {
		return nil, Framing{}, err
	}
	proto, rest, ok := strings.Cut(line, " ")
	if !ok || proto != "HTTP/1.1" && proto != "HTTP/1.0" || len(rest) < 4 || rest[3] != ' ' || !isFieldText(rest[4:]) {
		return nil, Framing{}, r.violation("status line %q", line)
	}
	status, ok := decimal(rest[:3])
	if !ok || status < 100 {
		return nil, Framing{}, r.violation("status %q", rest[:3])
	}
	h := &Head{Status: int(status), Reason: rest[4:], Proto: proto}
	if h.Fields, err = r.fields(); err != nil {
		return h, Framing{}, err
	}
	f, what := responseFraming(h, method)
	if what != "" {
		return h, f, r.violation("%s", what)
	}
	return h, f, nil
}

func (r *Reader) fields() ([]Field, error) {
	var fs []Field
	for {
		line, err := r.line()
		if err != nil {
			return fs, cut(err)
		}
		if line == "" {
			return fs, nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) || !isFieldText(value) {
			return fs, r.violation("field line %q", line)
		}
		fs = append(fs, Field{name, strings.Trim(value, " \t")})
		if len(fs) > maxFields {
			return fs, r.violation("over %d fields", maxFields)
		}
	}
}

// Body reads a body to its end into w and returns its size and trailers.
func (r *Reader) Body(f Framing, w io.Writer) (int64, []Field, error) {
	switch f.Kind {
	case Length:
		n, err := io.CopyN(w, r.br, f.Length)
		r.n += n
		return n, nil, cut(err)
	case Chunked:
		return r.chunked(w)
	case UntilClose:
		n, err := io.Copy(w, r.br)
		r.n += n
		return n, nil, err
	}
	return 0, nil, nil
}

func (r *Reader) chunked(w io.Writer) (total int64, trailers []Field, err error) {
	for {
		line, err := r.line()
		if err != nil {
			return total, nil, cut(err)
		}
		size, ok := chunkSize(line)
		if !ok {
			return total, nil, r.violation("chunk line %q", line)
		}
		if size == 0 {
			break
		}
		n, err := io.CopyN(w, r.br, size)
		r.n += n
		total += n
		if err != nil {
			return total, nil, cut(err)
		}
		if line, err = r.line(); err != nil {
			return total, nil, cut(err)
		}
		if line != "" {
			return total, nil, r.violation("%q after a chunk's data", line)
		}
	}
	if trailers, err = r.fields(); err != nil {
		return total, trailers, err
	}
	for _, f := range trailers {
		for _, banned := range []string{"Transfer-Encoding", "Content-Length", "Host"} {
			if strings.EqualFold(f.Name, banned) {
				return total, trailers, r.violation("%s in a trailer", f.Name)
			}
		}
	}
	return total, trailers, nil
}

// chunkSize reads 1*HEXDIG and well formed extensions (RFC 9112, section 7.1.1).
func chunkSize(line string) (int64, bool) {
	digits, ext, hasExt := strings.Cut(line, ";")
	if digits == "" || len(digits) > 15 {
		return 0, false
	}
	var n int64
	for i := 0; i < len(digits); i++ {
		d := strings.IndexByte("0123456789abcdef0123456789ABCDEF", digits[i])
		if d < 0 {
			return 0, false
		}
		n = n<<4 | int64(d&15)
	}
	if !hasExt {
		return n, true
	}
	return n, isFieldText(ext) && strings.Trim(ext, " \t;") != ""
}

// Buf is where the bytes not yet parsed are read from.
func (r *Reader) Buf() io.Reader { return r.br }
