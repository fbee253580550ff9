package stream

import "bytes"

// SetHost makes Host from Authority: without port and trailing dot, in lower
// case. Authority's bytes are changed in place, so both read the same.
func (r *Request) SetHost() {
	for i, b := range r.Authority {
		if 'A' <= b && b <= 'Z' {
			r.Authority[i] = b | 0x20
		}
	}
	host, _, _ := SplitHost(r.Authority)
	if n := len(host); n > 1 && host[n-1] == '.' {
		host = host[:n-1]
	}
	r.Host = host
}

// SplitHost splits uri-host [":" port] and reports whether both are well-formed
// (RFC 3986 section 3.2.2). User information is refused.
func SplitHost(p []byte) (host, port []byte, ok bool) {
	if len(p) == 0 || len(p) > 255+6 {
		return nil, nil, false
	}
	i := 0
	if p[0] == '[' {
		i = bytes.IndexByte(p, ']') + 1
		if i < 4 {
			return nil, nil, false
		}
		for _, b := range p[1 : i-1] {
			if !hexDigit(b) && b != ':' && b != '.' {
				return nil, nil, false
			}
		}
	} else {
		for i < len(p) && p[i] != ':' {
			if !hostByte[p[i]] {
				return nil, nil, false
			}
			i++
		}
		if i == 0 {
			return nil, nil, false
		}
	}
	host = p[:i]
	if i == len(p) {
		return host, nil, true
	}
	if p[i] != ':' {
		return nil, nil, false
	}
	port = p[i+1:]
	if len(port) > 5 {
		return nil, nil, false
	}
	n := 0
	for _, b := range port {
		if !digit(b) {
			return nil, nil, false
		}
		n = n*10 + int(b-'0')
	}
	return host, port, n <= 65535
}

func hexDigit(b byte) bool {
	return digit(b) || 'a' <= b|0x20 && b|0x20 <= 'f'
}

// hostByte holds the bytes of a reg-name or IPv4 address that are accepted:
// unreserved and sub-delims. Percent-encoding is not: nothing in DNS needs it
// and it would give one host two names.
var hostByte = [256]bool{
	'-': true, '.': true, '_': true, '~': true,
	'!': true, '$': true, '&': true, '\'': true, '(': true, ')': true, '*': true, '+': true, ',': true, ';': true, '=': true,
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'A': true, 'B': true, 'C': true, 'D': true, 'E': true, 'F': true, 'G': true, 'H': true, 'I': true, 'J': true,
	'K': true, 'L': true, 'M': true, 'N': true, 'O': true, 'P': true, 'Q': true, 'R': true, 'S': true, 'T': true,
	'U': true, 'V': true, 'W': true, 'X': true, 'Y': true, 'Z': true,
	'a': true, 'b': true, 'c': true, 'd': true, 'e': true, 'f': true, 'g': true, 'h': true, 'i': true, 'j': true,
	'k': true, 'l': true, 'm': true, 'n': true, 'o': true, 'p': true, 'q': true, 'r': true, 's': true, 't': true,
	'u': true, 'v': true, 'w': true, 'x': true, 'y': true, 'z': true,
}

func digit(b byte) bool { return '0' <= b && b <= '9' }

// ParseLength reads a Content-Length: digits only, below 2^63.
func ParseLength(p []byte) (int64, bool) {
	if len(p) == 0 || len(p) > 18 {
		return 0, false
	}
	var n int64
	for _, b := range p {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + int64(b-'0')
	}
	return n, true
}
