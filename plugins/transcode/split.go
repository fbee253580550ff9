package transcode

import "errors"

// splitter cuts a stream of JSON into its values: the items of one array, or values
// that follow each other, with white space or nothing between them. It checks no
// more than where a value ends; whether it is JSON, its reader finds out.
type splitter struct {
	buf   []byte // a value that is not complete
	limit int    // of a value, in bytes
	state splitState
	depth int  // of brackets within the value
	text  bool // in a string
	slash bool // behind a backslash
	array bool // the values are items of an array
}

type splitState uint8

const (
	splitStart splitState = iota
	splitItem             // a value, or the array's end, is next
	splitValue            // in a value
	splitComma            // behind an item
	splitEnd              // behind the array
)

var (
	errTooLong  = errors.New("a message is larger than allowed")
	errNotArray = errors.New("the body is no array of JSON values")
	errCutShort = errors.New("the body ends within a JSON value")
)

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// next takes bytes from p up to the end of a value. It returns how many, and the
// value once it is whole, which is valid until the next call.
func (s *splitter) next(p []byte) (n int, value []byte, err error) {
	if s.state != splitValue {
		s.buf = s.buf[:0]
	}
	for n < len(p) {
		c := p[n]
		switch s.state {
		case splitValue:
			if !s.text && s.depth == 0 && (c == ',' || c == ']' || c == '}' || space(c)) { // behind a number or word
				s.ended()
				return n, s.buf, nil
			}
			n++
			if s.buf = append(s.buf, c); len(s.buf) > s.limit {
				return n, nil, errTooLong
			}
			if s.within(c) {
				s.ended()
				return n, s.buf, nil
			}
			continue
		case splitStart:
			if c == '[' {
				s.array, s.state = true, splitItem
				n++
				continue
			}
		case splitComma:
			switch c {
			case ',':
				s.state = splitItem
				n++
				continue
			case ']':
				s.state = splitEnd
				n++
				continue
			}
		case splitItem:
			if c == ']' && s.array {
				s.state = splitEnd
				n++
				continue
			}
		}
		switch {
		case space(c):
			n++
		case s.state == splitComma || s.state == splitEnd || c == ',' || c == ']' || c == '}':
			return n, nil, errNotArray
		default:
			s.state = splitValue
		}
	}
	return n, nil, nil
}

// within follows a byte of a value and reports whether it is the last one.
func (s *splitter) within(c byte) bool {
	switch {
	case s.slash:
		s.slash = false
	case s.text:
		switch c {
		case '\\':
			s.slash = true
		case '"':
			s.text = false
			return s.depth == 0
		}
	case c == '"':
		s.text = true
	case c == '{' || c == '[':
		s.depth++
	case c == '}' || c == ']':
		s.depth--
		return s.depth == 0
	}
	return false
}

func (s *splitter) ended() {
	s.state = splitStart
	if s.array {
		s.state = splitComma
	}
}

// end is called when there is no more. It gives a last value that only the end of
// the body ended: a number or a word.
func (s *splitter) end() (value []byte, err error) {
	switch {
	case s.state == splitValue && s.depth == 0 && !s.text && !s.array:
		s.state = splitEnd
		return s.buf, nil
	case s.state == splitValue || s.array && s.state != splitEnd:
		return nil, errCutShort
	}
	return nil, nil
}
