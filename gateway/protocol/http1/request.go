package http1

import (
	"bytes"

	"longmen/gateway/stream"
)

// parseRequest parses a complete request head into r. The bytes of r lie in
// r.Header's arena, a copy of raw. f tells the framing.
func parseRequest(r *stream.Request, raw []byte, lim *Limits, f *framing) *Malformed {
	arena := r.Header.Load(raw)
	eol := bytes.IndexByte(arena, '\n')
	if eol > lim.Line {
		return errLineLong
	}
	if eol < 1 || arena[eol-1] != '\r' {
		return errBareLF
	}
	if m := requestLine(r, arena[:eol-1]); m != nil {
		return m
	}
	if m := fields(&r.Header, arena, eol+1, lim.Fields, f); m != nil {
		return m
	}
	if f.te {
		switch {
		case f.length >= 0:
			return errLengthAndTE
		case r.Minor == 0:
			return errTEVersion
		}
	}
	r.Length = max(f.length, 0)
	if f.chunked {
		r.Length = -1
	}
	r.ExpectContinue = f.expect && r.Minor >= 1
	if f.upgrade && r.Minor >= 1 {
		r.Upgrade = r.Header.GetKnown(stream.Upgrade)
	}
	r.Header.Remove("upgrade")
	return authority(r, f)
}

// requestLine parses method SP target SP version (RFC 9112 section 3).
func requestLine(r *stream.Request, line []byte) *Malformed {
	i := bytes.IndexByte(line, ' ')
	if i < 1 {
		return errLine
	}
	r.Method = line[:i:i]
	if !isToken(r.Method) {
		return errMethod
	}
	rest := line[i+1:]
	k := bytes.IndexByte(rest, ' ')
	if k < 1 {
		return errLine
	}
	r.Target = rest[:k:k]
	for _, b := range r.Target {
		if b <= ' ' || b >= 0x7f || b == '#' {
			return errTarget
		}
	}
	return requestVersion(r, rest[k+1:])
}

func requestVersion(r *stream.Request, v []byte) *Malformed {
	if len(v) != 8 || string(v[:5]) != "HTTP/" || v[6] != '.' || !digit(v[5]) || !digit(v[7]) {
		return errVersion
	}
	if v[5] != '1' {
		return errVersionOther
	}
	// Any 1.x is served as 1.1 (RFC 9110 section 2.5), which is what the
	// gateway then says of itself.
	r.Minor = min(v[7]-'0', 1)
	return nil
}

func digit(b byte) bool { return '0' <= b && b <= '9' }

// authority takes target and Host apart: Authority, Host, and the target's path
// and query (still as received: the listener's path policy makes Path).
func authority(r *stream.Request, f *framing) *Malformed {
	if f.hosts > 1 {
		return errHostTwice
	}
	if f.hosts == 0 && r.Minor >= 1 {
		return errNoHost
	}
	host := r.Header.GetKnown(stream.Host)
	target := r.Target
	switch {
	case string(r.Method) == "CONNECT":
		// authority-form: the port is not optional.
		if _, port, ok := splitHost(target); !ok || len(port) == 0 {
			return errConnectTarget
		}
		r.Authority, r.Path = target, nil
		setHost(r)
		return checkHostField(host)
	case target[0] == '/':
		r.Authority = host
	case len(target) == 1 && target[0] == '*':
		if string(r.Method) != "OPTIONS" {
			return errTarget
		}
		r.Authority = host
	default:
		// absolute-form: its authority is used and Host is not (RFC 9112
		// section 3.2.2), but Host must still be well-formed.
		rest, ok := cutScheme(target)
		if !ok {
			return errTarget
		}
		end := bytes.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		r.Authority, target = rest[:end:end], rest[end:]
		if len(r.Authority) == 0 {
			return errTarget
		}
		if m := checkHostField(host); m != nil {
			return m
		}
	}
	if q := bytes.IndexByte(target, '?'); q >= 0 {
		r.Path, r.Query, r.HasQuery = target[:q:q], target[q+1:], true
	} else {
		r.Path = target
	}
	if len(r.Path) == 0 {
		if string(r.Method) == "OPTIONS" && !r.HasQuery {
			r.Path = []byte("*")
		} else {
			r.Path = []byte("/")
		}
	}
	if _, _, ok := splitHost(r.Authority); !ok && len(r.Authority) > 0 {
		return errHost
	}
	setHost(r)
	return nil
}

func checkHostField(host []byte) *Malformed {
	if _, _, ok := splitHost(host); !ok && len(host) > 0 {
		return errHost
	}
	return nil
}

func cutScheme(target []byte) ([]byte, bool) {
	if len(target) > 7 && equalFold(target[:7], "http://") {
		return target[7:], true
	}
	if len(target) > 8 && equalFold(target[:8], "https://") {
		return target[8:], true
	}
	return nil, false
}

// setHost makes Host from Authority: without port and trailing dot, in lower
// case. Authority's bytes are changed in place, so both read the same.
func setHost(r *stream.Request) {
	for i, b := range r.Authority {
		if 'A' <= b && b <= 'Z' {
			r.Authority[i] = b | 0x20
		}
	}
	host, _, _ := splitHost(r.Authority)
	if n := len(host); n > 1 && host[n-1] == '.' {
		host = host[:n-1]
	}
	r.Host = host
}

// splitHost splits uri-host [":" port] and reports whether both are well-formed
// (RFC 3986 section 3.2.2). User information is refused.
func splitHost(p []byte) (host, port []byte, ok bool) {
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
			if !hex(b) && b != ':' && b != '.' {
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

func hex(b byte) bool {
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
