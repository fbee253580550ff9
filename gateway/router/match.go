package router

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"

	"longmen/gateway/stream"
)

// everyRequest is the Fraction that lets every request match, as 0 does.
const everyRequest = 1_000_000

// The conditions of a rule. Find and Explain test them by the same functions.

// conditional reports whether m demands anything beside a literal path.
func (m *Match) conditional() bool {
	return m.GRPC || len(m.Methods) > 0 || len(m.Sources) > 0 || len(m.Headers) > 0 || len(m.Query) > 0 || len(m.Cookies) > 0 ||
		m.Connect || m.Regex != "" || m.Fraction != 0 && m.Fraction < everyRequest
}

// outside reports whether m looks at more of a request than its host, method and
// path.
func (m *Match) outside() bool {
	return m.GRPC || len(m.Sources) > 0 || len(m.Headers) > 0 || len(m.Query) > 0 || len(m.Cookies) > 0 ||
		m.Fraction != 0 && m.Fraction < everyRequest
}

// holds tests everything but a literal path.
func (m *Match) holds(s *search) bool {
	r := s.request
	if m.Connect && !isConnect(r) || !m.grpcHolds(r) || !m.methodHolds(r) || !m.sourceHolds(s.client) {
		return false
	}
	for i := range m.Headers {
		if !m.Headers[i].HoldsHeader(&r.Header) {
			return false
		}
	}
	for i := range m.Query {
		if !m.Query[i].holdsQuery(r) {
			return false
		}
	}
	for i := range m.Cookies {
		if !m.Cookies[i].holdsCookie(r) {
			return false
		}
	}
	return m.regexHolds(r.Path) && m.fractionHolds(s.rnd)
}

func (m *Match) methodHolds(r *stream.Request) bool {
	if len(m.Methods) == 0 {
		return true
	}
	for _, method := range m.Methods {
		if string(r.Method) == method {
			return true
		}
	}
	return false
}

func (m *Match) sourceHolds(client netip.Addr) bool {
	if len(m.Sources) == 0 {
		return true
	}
	client = client.Unmap().WithZone("") // Contains is false for an address with a zone
	return slices.ContainsFunc(m.Sources, func(p netip.Prefix) bool { return p.Contains(client) })
}

func (m *Match) regexHolds(path []byte) bool { return m.regex == nil || m.regex.Match(path) }

func (m *Match) fractionHolds(rnd uint32) bool {
	return m.Fraction == 0 || rnd%everyRequest < m.Fraction
}

// pathHolds tests the path of one rule by itself.
func (m *Match) pathHolds(kind pathKind, literal string, r *stream.Request) bool {
	path := r.Path
	switch {
	case kind == connectPath:
		return isConnect(r)
	case len(path) == 0:
		return false
	case kind == anyPath:
		return m.regexHolds(path)
	case len(path) < len(literal):
		return false
	}
	n := len(literal)
	if m.folds() {
		return equalLower(literal, path[:n]) && ends(kind, path, n)
	}
	return string(path[:n]) == literal && ends(kind, path, n) && m.regexHolds(path)
}

// HoldsHeader tests the field of a head.
func (v *ValueMatch) HoldsHeader(h *stream.Header) bool {
	id := stream.KnownName(v.Name)
	first := -1
	for i := range h.Len() {
		name, value, fieldID, ok := h.At(i)
		if !ok || fieldID != id || id == stream.Other && string(name) != v.Name {
			continue
		}
		if first >= 0 {
			return v.holds(joined(h, id, v.Name), true)
		}
		if first = i; v.Kind == Present || v.Kind == Absent {
			return v.holds(value, true)
		}
	}
	if first < 0 {
		return v.holds(nil, false)
	}
	_, value, _, _ := h.At(first)
	return v.holds(value, true)
}

// joined is all the values of a name, joined by commas (RFC 9110 section 5.3).
func joined(h *stream.Header, id stream.Known, name string) []byte {
	all := make([]byte, 0, 256)
	for i := range h.Len() {
		fieldName, value, fieldID, ok := h.At(i)
		if ok && fieldID == id && (id != stream.Other || string(fieldName) == name) {
			all = append(append(all, value...), ',')
		}
	}
	return all[:len(all)-1]
}

func (v *ValueMatch) holdsQuery(r *stream.Request) bool {
	value, present := queryValue(r.Query, v.Name)
	return v.holds(value, present)
}

func (v *ValueMatch) holdsCookie(r *stream.Request) bool {
	value, present := CookieValue(&r.Header, v.Name)
	return v.holds(value, present)
}

// holds compares one value. As in Envoy, an absent value satisfies only Absent
// and an inverted Present, unless it is to be taken as the empty text.
func (v *ValueMatch) holds(value []byte, present bool) bool {
	switch v.Kind {
	case Present:
		return present != v.Invert
	case Absent:
		return present == v.Invert
	}
	if !present && !v.MissingAsEmpty {
		return false
	}
	return v.compare(value) != v.Invert
}

func (v *ValueMatch) compare(value []byte) bool {
	want := v.Value
	switch v.Kind {
	case Exact:
		return len(value) == len(want) && v.equal(value)
	case HasPrefix:
		return len(value) >= len(want) && v.equal(value[:len(want)])
	case HasSuffix:
		return len(value) >= len(want) && v.equal(value[len(value)-len(want):])
	case Contains:
		for i := 0; i+len(want) <= len(value); i++ {
			if v.equal(value[i : i+len(want)]) {
				return true
			}
		}
		return false
	case Regex:
		return v.regex.Match(value)
	case Range:
		n, ok := integer(value)
		return ok && v.Low <= n && n < v.High
	}
	return false
}

// equal compares texts of one length.
func (v *ValueMatch) equal(text []byte) bool {
	if !v.IgnoreCase {
		return string(text) == v.Value
	}
	for i, c := range text {
		if lower(c) != lower(v.Value[i]) {
			return false
		}
	}
	return true
}

// integer reads a decimal number with an optional sign.
func integer(text []byte) (int64, bool) {
	if len(text) == 0 || len(text) > 20 { // math.MinInt64 has 20 characters
		return 0, false
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	return n, err == nil
}

// queryValue finds the first value of a parameter, percent-decoded once ("+" is
// a plus sign). It allocates when there is something to decode in the value.
func queryValue(query []byte, name string) (value []byte, present bool) {
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte{'&'})
		key, value, _ := bytes.Cut(pair, []byte{'='})
		if len(pair) == 0 || !decodesTo(key, name) {
			continue
		}
		if bytes.IndexByte(value, '%') < 0 {
			return value, true
		}
		decoded := make([]byte, 0, len(value))
		for len(value) > 0 {
			c, size := decodeFirst(value)
			decoded, value = append(decoded, c), value[size:]
		}
		return decoded, true
	}
	return nil, false
}

// decodesTo reports whether text, percent-decoded once, is want.
func decodesTo(text []byte, want string) bool {
	for ; len(text) > 0 && want != ""; want = want[1:] {
		c, size := decodeFirst(text)
		if c != want[0] {
			return false
		}
		text = text[size:]
	}
	return len(text) == 0 && want == ""
}

// decodeFirst decodes the first byte of text, and says how many bytes wrote it.
// Malformed percent-encoding stays as it is.
func decodeFirst(text []byte) (c byte, size int) {
	if text[0] == '%' && len(text) > 2 {
		if c, ok := unhex(text[1], text[2]); ok {
			return c, 3
		}
	}
	return text[0], 1
}

// CookieValue finds the first cookie of that name (RFC 6265 section 4.2.1),
// without the double quotes that may stand around its value.
func CookieValue(h *stream.Header, name string) (value []byte, present bool) {
	if !h.HasKnown(stream.Cookie) {
		return nil, false
	}
	for i := range h.Len() {
		_, rest, id, ok := h.At(i)
		if !ok || id != stream.Cookie {
			continue
		}
		for len(rest) > 0 {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte{';'})
			key, value, ok := bytes.Cut(pair, []byte{'='})
			if !ok || string(trimBlanks(key)) != name {
				continue
			}
			value = trimBlanks(value)
			if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
				value = value[1 : n-1]
			}
			return value, true
		}
	}
	return nil, false
}

func trimBlanks(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t') {
		text = text[1:]
	}
	for n := len(text); n > 0 && (text[n-1] == ' ' || text[n-1] == '\t'); n-- {
		text = text[:n-1]
	}
	return text
}
