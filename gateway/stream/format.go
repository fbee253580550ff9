package stream

import "slices"

// Format is a template in Envoy's command operators ("%REQ(X-A)% %PROTOCOL%"),
// compiled: an access log line, or the value of a header edit. It is immutable
// and may be used by every worker at once. The operators are listed in
// format_operator.go. "%%" is a percent sign.
//
// There are two kinds: text (ParseFormat) and JSON (NewJSONFormat).
type Format struct {
	pieces []piece
	fields []jsonField // of a JSON format

	// A text without operators is appended as it is.
	constant   string
	isConstant bool
}

// A piece is literal text (operator opText) or one command operator.
type piece struct {
	op     operator
	text   string // opText: the text; of a time: its strftime layout; HOSTNAME: the name
	first  source // REQ, RESP and TRAILER: where the value is
	second source // where it is when first has none; opNone when there is no second
	max    int    // REQ, RESP and TRAILER: bytes of the value to write; 0: all
}

// A jsonField is one member of a JSON format's object.
type jsonField struct {
	key    string // `{"name":` or `,"name":`
	pieces []piece
}

// Append appends what the template gives for s: of a text format, the text, with
// "-" where a value is absent and with every byte of a value that would break a
// log line (controls, quotes, backslashes, bytes above 0x7E) written as \xNN; of
// a JSON format, one object. It adds no newline. resp may be nil. It does not
// allocate when dst has room.
func (f *Format) Append(dst []byte, s *Stream, resp *Response) []byte {
	if f.isConstant {
		return append(dst, f.constant...)
	}
	if f.fields != nil {
		return f.appendJSON(dst, s, resp)
	}
	for i := range f.pieces {
		p := &f.pieces[i]
		if p.op == opText {
			dst = append(dst, p.text...)
			continue
		}
		start := len(dst)
		var ok bool
		if dst, ok = p.append(dst, s, resp); !ok {
			dst = append(dst, '-')
		} else if operators[p.op].foreign {
			dst = escapeText(dst, start)
		}
	}
	return dst
}

// AppendValue appends what a text format gives for s as a header field's value:
// an absent value gives nothing, and nothing is escaped. Control bytes, which a
// field must not hold, become spaces; what has been parsed has none.
func (f *Format) AppendValue(dst []byte, s *Stream, resp *Response) []byte {
	if f.isConstant {
		return append(dst, f.constant...)
	}
	for i := range f.pieces {
		p := &f.pieces[i]
		start := len(dst)
		var ok bool
		if dst, ok = p.append(dst, s, resp); ok && operators[p.op].foreign {
			blankControls(dst[start:])
		}
	}
	return dst
}

// Constant returns the text of a format without operators.
func (f *Format) Constant() (text string, ok bool) { return f.constant, f.isConstant }

// Fingerprints reports whether the template asks for a fingerprint of the client's
// ClientHello, which are only taken when somebody wants them.
func (f *Format) Fingerprints() bool {
	for i := range f.fields {
		if fingerprints(f.fields[i].pieces) {
			return true
		}
	}
	return fingerprints(f.pieces)
}

func fingerprints(pieces []piece) bool {
	return slices.ContainsFunc(pieces, func(p piece) bool { return p.op == opJA3 || p.op == opJA4 })
}

// IsFieldValue reports whether the template's own text may stand in a header
// field's value (RFC 9110 section 5.5): no control bytes but the tab, no white
// space at either end.
func (f *Format) IsFieldValue() bool {
	if f.fields != nil {
		return false
	}
	for i := range f.pieces {
		if f.pieces[i].op != opText {
			continue
		}
		text := f.pieces[i].text
		for j := range len(text) {
			if control(text[j]) {
				return false
			}
		}
		first, last := i == 0, i == len(f.pieces)-1
		if first && blank(text[0]) || last && blank(text[len(text)-1]) {
			return false
		}
	}
	return true
}

func blank(c byte) bool { return c == ' ' || c == '\t' }
