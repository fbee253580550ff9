package router

import (
	"bytes"
	"errors"
)

// The canonical path.
//
// A gateway that compares one spelling of a path and forwards another can be
// walked around: a rule on /admin does not see /%61dmin, /x/../admin or
// //admin, and the origin does. So every request has one canonical path, made
// here before anything looks at it, and the router, the filters and the
// upstream all get that one.
//
// Percent-encoding is normalised by RFC 3986 section 6.2.2: an encoded
// unreserved character is decoded (%7E is ~), every other one stays encoded, in
// upper case (%3b is %3B, and not ";", for a reserved character means something
// else when it is encoded). Characters that a path must not hold unencoded but
// that clients send all the same (" < > [ ] ^ ` { | }) are encoded. What is left
// are three questions on which origins differ, and which a PathPolicy answers.
//
// The result is a fixed point: Canonical of a canonical path is that path.

// PathPolicy says what becomes of the spellings of a path on which servers
// disagree.
type PathPolicy struct {
	// EscapedSlashes is about %2F, and about the backslash and %5C, which some
	// servers take for a slash. Decode makes each of them "/"; Keep leaves
	// them encoded (a raw backslash becomes %5C).
	EscapedSlashes PathAction
	// DotSegments is about the segments "." and "..", however encoded. Decode
	// resolves them by RFC 3986 section 5.2.4, never above the root.
	DotSegments PathAction
	// DoubleSlash is about empty segments, "//". Decode merges them into one
	// slash, before dot segments are resolved.
	DoubleSlash PathAction
}

// PathAction is one answer of a PathPolicy.
type PathAction uint8

// The answers. The zero value is the strict one.
const (
	PathReject PathAction = iota // the request is refused (400)
	PathDecode                   // decoded, resolved or merged
	PathKeep                     // left as it is
)

// Why Canonical refuses a path.
var (
	ErrPathForm         = errors.New(`path does not begin with "/"`)
	ErrPathByte         = errors.New("path holds a byte that must be percent-encoded")
	ErrPathPercent      = errors.New("path holds a % that is not followed by two hexadecimal digits")
	ErrPathNull         = errors.New("path holds %00")
	ErrPathEscapedSlash = errors.New("path holds an encoded slash or a backslash")
	ErrPathDotSegment   = errors.New(`path holds a "." or ".." segment`)
	ErrPathDoubleSlash  = errors.New(`path holds an empty segment, "//"`)
)

// What a byte is to Canonical; the zero value is a byte that a path must not hold.
const (
	byteBad     = iota
	bytePlain   // stands as it is
	byteSlash   // "/"
	byteDot     // "."
	bytePercent // "%"
	byteBack    // "\"
	byteEncode  // gets encoded
)

// pathBytes classifies bytes by RFC 3986 section 3.3 (pchar). Controls, space,
// "#", "?" and bytes above 0x7F are bad.
var pathBytes = [256]uint8{
	'!': bytePlain, '$': bytePlain, '&': bytePlain, '\'': bytePlain, '(': bytePlain, ')': bytePlain,
	'*': bytePlain, '+': bytePlain, ',': bytePlain, ';': bytePlain, '=': bytePlain, ':': bytePlain,
	'@': bytePlain, '-': bytePlain, '_': bytePlain, '~': bytePlain,
	'0': bytePlain, '1': bytePlain, '2': bytePlain, '3': bytePlain, '4': bytePlain,
	'5': bytePlain, '6': bytePlain, '7': bytePlain, '8': bytePlain, '9': bytePlain,
	'A': bytePlain, 'B': bytePlain, 'C': bytePlain, 'D': bytePlain, 'E': bytePlain, 'F': bytePlain,
	'G': bytePlain, 'H': bytePlain, 'I': bytePlain, 'J': bytePlain, 'K': bytePlain, 'L': bytePlain,
	'M': bytePlain, 'N': bytePlain, 'O': bytePlain, 'P': bytePlain, 'Q': bytePlain, 'R': bytePlain,
	'S': bytePlain, 'T': bytePlain, 'U': bytePlain, 'V': bytePlain, 'W': bytePlain, 'X': bytePlain,
	'Y': bytePlain, 'Z': bytePlain,
	'a': bytePlain, 'b': bytePlain, 'c': bytePlain, 'd': bytePlain, 'e': bytePlain, 'f': bytePlain,
	'g': bytePlain, 'h': bytePlain, 'i': bytePlain, 'j': bytePlain, 'k': bytePlain, 'l': bytePlain,
	'm': bytePlain, 'n': bytePlain, 'o': bytePlain, 'p': bytePlain, 'q': bytePlain, 'r': bytePlain,
	's': bytePlain, 't': bytePlain, 'u': bytePlain, 'v': bytePlain, 'w': bytePlain, 'x': bytePlain,
	'y': bytePlain, 'z': bytePlain,
	'/': byteSlash, '.': byteDot, '%': bytePercent, '\\': byteBack,
	'"': byteEncode, '<': byteEncode, '>': byteEncode, '[': byteEncode, ']': byteEncode,
	'^': byteEncode, '`': byteEncode, '{': byteEncode, '|': byteEncode, '}': byteEncode,
}

// Canonical returns the canonical form of raw, a request's path without its
// query. When raw is canonical already, which one scan tells, that is raw
// itself; else it is built in dst, from its beginning, which allocates only when
// dst's capacity is too small (three times raw's length always suffices).
func Canonical(dst, raw []byte, p PathPolicy) ([]byte, error) {
	if len(raw) == 0 || raw[0] != '/' {
		return nil, ErrPathForm
	}
	for i := 0; i < len(raw); i++ {
		switch pathBytes[raw[i]] {
		case bytePlain:
		case byteSlash:
			if i > 0 && raw[i-1] == '/' && p.DoubleSlash != PathKeep {
				return rebuild(dst, raw, p)
			}
		case byteDot:
			if raw[i-1] == '/' && p.DotSegments != PathKeep && dotSegment(raw[i:]) {
				return rebuild(dst, raw, p)
			}
		case bytePercent:
			if !settled(raw[i:], p) {
				return rebuild(dst, raw, p)
			}
			i += 2
		case byteBad:
			return nil, ErrPathByte
		default:
			return rebuild(dst, raw, p)
		}
	}
	return raw, nil
}

// dotSegment reports whether the first segment of rest is "." or "..".
func dotSegment(rest []byte) bool {
	n := 1
	if len(rest) > 1 && rest[1] == '.' {
		n = 2
	}
	return len(rest) == n || rest[n] == '/'
}

// settled reports whether the percent-encoding that rest begins with stands in
// a canonical path as it is.
func settled(rest []byte, p PathPolicy) bool {
	if len(rest) < 3 || lowerHex(rest[1]) || lowerHex(rest[2]) {
		return false
	}
	c, ok := unhex(rest[1], rest[2])
	return ok && c != 0 && !unreserved(c) && (c != '/' && c != '\\' || p.EscapedSlashes == PathKeep)
}

// rebuild writes the canonical form of raw into dst: first its characters, then
// its segments.
func rebuild(dst, raw []byte, p PathPolicy) ([]byte, error) {
	path := dst[:0]
	for i := 0; i < len(raw); i++ {
		c, encode := raw[i], false
		switch pathBytes[c] {
		case byteBad:
			return nil, ErrPathByte
		case byteEncode, byteBack:
			encode = true
		case bytePercent:
			if i+2 >= len(raw) {
				return nil, ErrPathPercent
			}
			var ok bool
			if c, ok = unhex(raw[i+1], raw[i+2]); !ok {
				return nil, ErrPathPercent
			}
			if c == 0 {
				return nil, ErrPathNull
			}
			encode = !unreserved(c)
			i += 2
		}
		if encode && (c == '/' || c == '\\') {
			switch p.EscapedSlashes {
			case PathReject:
				return nil, ErrPathEscapedSlash
			case PathDecode:
				c, encode = '/', false
			}
		}
		if encode {
			path = append(path, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			path = append(path, c)
		}
	}
	return resolve(path, p)
}

// resolve drops empty and dot segments, in place: what is kept moves to the
// left, over what was dropped.
func resolve(path []byte, p PathPolicy) ([]byte, error) {
	kept := 0 // path[:kept] is done
	for at := 0; at < len(path); {
		end := len(path) // of the segment that begins with the slash at path[at]
		if n := bytes.IndexByte(path[at+1:], '/'); n >= 0 {
			end = at + 1 + n
		}
		segment, last := path[at+1:end], end == len(path)
		switch {
		case len(segment) == 0 && !last && p.DoubleSlash != PathKeep:
			if p.DoubleSlash == PathReject {
				return nil, ErrPathDoubleSlash
			}
		case (string(segment) == "." || string(segment) == "..") && p.DotSegments != PathKeep:
			if p.DotSegments == PathReject {
				return nil, ErrPathDotSegment
			}
			if len(segment) == 2 {
				kept = max(0, bytes.LastIndexByte(path[:kept], '/'))
			}
			if last { // "/a/.." is the directory "/", "/a/." is "/a/"
				path[kept] = '/'
				kept++
			}
		default:
			kept += copy(path[kept:], path[at:end])
		}
		at = end
	}
	return path[:kept], nil
}

const upperHex = "0123456789ABCDEF"

// unhex is the value of two hexadecimal digits.
func unhex(high, low byte) (byte, bool) {
	h, l := hexDigits[high], hexDigits[low]
	return (h-1)<<4 | (l-1)&15, h != 0 && l != 0
}

// hexDigits is one more than the value of a hexadecimal digit, 0 for other bytes.
var hexDigits = [256]uint8{
	'0': 1, '1': 2, '2': 3, '3': 4, '4': 5, '5': 6, '6': 7, '7': 8, '8': 9, '9': 10,
	'a': 11, 'b': 12, 'c': 13, 'd': 14, 'e': 15, 'f': 16,
	'A': 11, 'B': 12, 'C': 13, 'D': 14, 'E': 15, 'F': 16,
}

func lowerHex(c byte) bool { return 'a' <= c && c <= 'f' }

// unreserved is RFC 3986 section 2.3: these mean the same encoded or not.
func unreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '-' || c == '.' || c == '_' || c == '~'
}
