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
	if !stream.IsToken(r.Method) {
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
	r.Major, r.Minor = 1, min(v[7]-'0', 1)
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
		if _, port, ok := stream.SplitHost(target); !ok || len(port) == 0 {
			return errConnectTarget
		}
		r.Authority, r.Path = target, nil
		r.SetHost()
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
	if _, _, ok := stream.SplitHost(r.Authority); !ok && len(r.Authority) > 0 {
		return errHost
	}
	r.SetHost()
	return nil
}

func checkHostField(host []byte) *Malformed {
	if _, _, ok := stream.SplitHost(host); !ok && len(host) > 0 {
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
