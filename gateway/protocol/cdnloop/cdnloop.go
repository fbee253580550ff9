// Package cdnloop reads CDN-Loop (RFC 8586), the list of the proxies that a
// request has come through:
//
//	CDN-Loop  = #cdn-info
//	cdn-info  = cdn-id *( OWS ";" OWS parameter )
//	cdn-id    = ( uri-host [ ":" port ] ) / pseudonym
//	pseudonym = token
//
// A proxy adds itself at the end, and refuses a request that has its own id.
package cdnloop

import "errors"

var (
	errID        = errors.New("CDN-Loop: an identifier is neither a name nor a host")
	errParameter = errors.New("CDN-Loop: a parameter is not name=value")
	errQuote     = errors.New("CDN-Loop: a quoted string does not end, or has bytes that it may not have")
	errSeparator = errors.New("CDN-Loop: something else than a comma follows an identifier")
)

// Info is one cdn-info.
type Info struct {
	ID         []byte // cdn-id; nil: there is none
	parameters []byte // all of them, with what is around them
}

// Has tells whether the cdn-info has a parameter of that name, in lower case, whose value is
// that token.
func (i Info) Has(name, value string) bool {
	for p := i.parameters; len(p) > 0; {
		p = trim(trim(p)[1:]) // it is well-formed
		n := token(p)
		same := equalFold(p[:n], name)
		if same && string(p[n+1:n+1+token(p[n+1:])]) == value {
			return true
		}
		p, _ = parameter(p)
		p = trim(p)
	}
	return false
}

// Is tells whether the cdn-id is that one. Case does not count, as it does not in the
// names of hosts.
func (i Info) Is(id string) bool { return equalFold(i.ID, id) }

// Next takes the first cdn-info off a field value. It returns it, one without an ID when
// there is none left, and what comes after it. Both are parts of list. Empty
// elements of the list are passed over (RFC 9110 section 5.6.1.2).
func Next(list []byte) (info Info, rest []byte, err error) {
	for len(list) > 0 && (list[0] == ',' || blank(list[0])) {
		list = list[1:]
	}
	if len(list) == 0 {
		return Info{}, nil, nil
	}
	n := identifier(list)
	if n == 0 {
		return Info{}, nil, errID
	}
	info, rest = Info{ID: list[:n]}, trim(list[n:])
	after := rest
	for {
		switch {
		case len(rest) == 0:
			info.parameters = after
			return info, nil, nil
		case rest[0] == ',':
			info.parameters = after[:len(after)-len(rest)]
			return info, rest[1:], nil
		case rest[0] != ';':
			return Info{}, nil, errSeparator
		}
		if rest, err = parameter(trim(rest[1:])); err != nil {
			return Info{}, nil, err
		}
		rest = trim(rest)
	}
}

// Valid tells whether id can stand in the list as one identifier.
func Valid(id string) bool {
	return len(id) > 0 && len(id) <= MaxID && identifier([]byte(id)) == len(id)
}

// MaxID bounds identifiers of ours, in bytes.
const MaxID = 128

// identifier is the length of the cdn-id that p begins with; 0: none.
//
// A uri-host's registered name may have commas and semicolons by its own grammar
// (RFC 3986 section 3.2.2). Here they are the list's.
func identifier(p []byte) int {
	n := 0
	if p[0] == '[' { // an address of IPv6, or of what may come after it
		for n = 1; n < len(p) && p[n] != ']'; n++ {
			if c := p[n]; c != ':' && !tchar(c) {
				return 0
			}
		}
		if n == len(p) || n == 1 {
			return 0
		}
		n++
	} else if n = token(p); n == 0 {
		return 0
	}
	if n < len(p) && p[n] == ':' {
		for n++; n < len(p) && '0' <= p[n] && p[n] <= '9'; n++ {
		}
	}
	return n
}

// parameter takes name=value off p (RFC 9110 section 5.6.6).
func parameter(p []byte) (rest []byte, err error) {
	n := token(p)
	if n == 0 || n == len(p) || p[n] != '=' {
		return nil, errParameter
	}
	p = p[n+1:]
	if len(p) > 0 && p[0] == '"' {
		return quoted(p[1:])
	}
	if n = token(p); n == 0 {
		return nil, errParameter
	}
	return p[n:], nil
}

// quoted takes the rest of a quoted string off p (RFC 9110 section 5.6.4).
func quoted(p []byte) (rest []byte, err error) {
	for i := 0; i < len(p); i++ {
		c := p[i]
		if c == '"' {
			return p[i+1:], nil
		}
		if c == '\\' {
			if i++; i == len(p) {
				break
			}
			c = p[i]
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			break
		}
	}
	return nil, errQuote
}

func trim(p []byte) []byte {
	for len(p) > 0 && blank(p[0]) {
		p = p[1:]
	}
	return p
}

func equalFold(p []byte, s string) bool {
	if len(p) != len(s) {
		return false
	}
	for i, c := range p {
		if lower(c) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// token is the length of the token that p begins with.
func token(p []byte) int {
	n := 0
	for n < len(p) && tchar(p[n]) {
		n++
	}
	return n
}

// tchar tells a character of a token (RFC 9110 section 5.6.2).
func tchar(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}
