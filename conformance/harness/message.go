package harness

import (
	"fmt"
	"strings"
)

// A Field is one header or trailer line, as it was received: the name in its
// own case, the value without the white space around it.
type Field struct{ Name, Value string }

// A Head is the start line and the fields of one message.
type Head struct {
	Method, Target string // of a request
	Status         int    // of a response
	Reason         string // of a response
	Proto          string // "HTTP/1.0" or "HTTP/1.1"
	Fields         []Field
}

// Values returns the values of every field with that name, in order.
func (h *Head) Values(name string) []string {
	var vs []string
	for _, f := range h.Fields {
		if strings.EqualFold(f.Name, name) {
			vs = append(vs, f.Value)
		}
	}
	return vs
}

// Get returns all values of a name as one list, and whether there is any.
func (h *Head) Get(name string) (string, bool) {
	vs := h.Values(name)
	return strings.Join(vs, ", "), len(vs) > 0
}

// A Request is one request as the origin received it.
type Request struct {
	Head
	Conn     int     // number of the connection it came on, from 1
	Body     []byte  // as decoded; at most MaxKeep bytes are kept
	BodySize int64   // all of it
	Trailers []Field // of a chunked body
	Complete bool    // the body was read to its end
}

// A Response is one response as the client received it.
type Response struct {
	Head
	Informational []int // statuses of the 1xx responses before it
	Body          []byte
	BodySize      int64
	Trailers      []Field
	Framing       Framing
}

// Kind says how the end of a body is found (RFC 9112, section 6.3).
type Kind int

const (
	None       Kind = iota // no body
	Length                 // content-length
	Chunked                // transfer-encoding: chunked
	UntilClose             // until the connection closes; responses only
)

// Framing is a Kind with its number of bytes.
type Framing struct {
	Kind   Kind
	Length int64
}

// A Violation is a breach of RFC 9110 or 9112 in received bytes.
type Violation struct {
	Offset int64 // of the byte after which it was noticed, in the connection
	What   string
}

func (v *Violation) Error() string { return fmt.Sprintf("byte %d: %s", v.Offset, v.What) }

// requestFraming is stricter than a server need be: whatever two servers could
// read in two ways is a violation, for the proxy's duty is never to send it.
func requestFraming(h *Head) (Framing, string) {
	return framing(h, None)
}

func responseFraming(h *Head, method string) (Framing, string) {
	bodiless := method == "HEAD" || h.Status == 304
	if h.Status/100 == 1 || h.Status == 204 {
		for _, name := range []string{"Transfer-Encoding", "Content-Length"} {
			if v, ok := h.Get(name); ok {
				return Framing{}, fmt.Sprintf("%s: %s in a %d response", name, v, h.Status)
			}
		}
		return Framing{}, ""
	}
	if method == "CONNECT" && h.Status/100 == 2 {
		return Framing{Kind: UntilClose}, ""
	}
	f, what := framing(h, UntilClose)
	if bodiless {
		f = Framing{}
	}
	return f, what
}

func framing(h *Head, without Kind) (Framing, string) {
	te, cl := h.Values("Transfer-Encoding"), h.Values("Content-Length")
	switch {
	case len(te) > 0 && len(cl) > 0:
		return Framing{}, "both transfer-encoding and content-length"
	case len(te) > 1:
		return Framing{}, "more than one transfer-encoding field"
	case len(cl) > 1:
		return Framing{}, "more than one content-length field"
	case len(te) == 1:
		if h.Proto != "HTTP/1.1" {
			return Framing{}, "transfer-encoding in " + h.Proto
		}
		if !strings.EqualFold(te[0], "chunked") {
			return Framing{}, fmt.Sprintf("transfer-encoding: %q", te[0])
		}
		return Framing{Kind: Chunked}, ""
	case len(cl) == 1:
		n, ok := decimal(cl[0])
		if !ok {
			return Framing{}, fmt.Sprintf("content-length: %q", cl[0])
		}
		return Framing{Kind: Length, Length: n}, ""
	}
	return Framing{Kind: without}, ""
}

// decimal reads 1*DIGIT up to 2^62 and nothing else: no sign, no space, no list.
func decimal(s string) (int64, bool) {
	if s == "" || len(strings.TrimLeft(s, "0")) > 19 {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if n = n*10 + int64(s[i]-'0'); n < 0 || n > 1<<62 {
			return 0, false
		}
	}
	return n, true
}

func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// isFieldText allows VCHAR, space, tab and obs-text (RFC 9110, section 5.5).
func isFieldText(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isVisible allows what can stand in a request target once it is on the wire;
// bytes over 0x7e are left to the vectors to judge.
func isVisible(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return s != ""
}

// isAuthority allows the letters of reg-name, IP literals and a port.
func isAuthority(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("-._~%!$&'()*+,;=:[]", c) >= 0:
		default:
			return false
		}
	}
	return true
}
