package http1

import (
	"bytes"

	"longmen/gateway/stream"
)

// parseResponse parses a complete response head into r, whose bytes then lie in
// r.Header's arena. Length is the content-length or -1; whether there is a body
// depends on the request too: see bodyOf.
func parseResponse(r *stream.Response, raw []byte, lim *Limits, f *framing) (minor uint8, m *Malformed) {
	arena := r.Header.Load(raw)
	eol := bytes.IndexByte(arena, '\n')
	if eol > lim.Line {
		return 0, errStatusLine
	}
	if eol < 1 || arena[eol-1] != '\r' {
		return 0, errBareLF
	}
	line := arena[: eol-1 : eol-1]
	// HTTP/1.x SP 3DIGIT SP [reason]; the second space may be missing when
	// there is no reason, as many servers send it.
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || !digit(line[7]) || line[8] != ' ' ||
		!digit(line[9]) || !digit(line[10]) || !digit(line[11]) || line[9] == '0' {
		return 0, errStatusLine
	}
	minor = min(line[7]-'0', 1)
	r.Status = int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
	if len(line) > 12 {
		if line[12] != ' ' || hasControl(line[13:]) {
			return 0, errStatusLine
		}
		r.Reason = line[13:]
	}
	if m := fields(&r.Header, arena, eol+1, lim.Fields, f); m != nil {
		return 0, m
	}
	if f.te && f.length >= 0 {
		return 0, errLengthAndTE
	}
	if f.te && minor == 0 {
		return 0, errTEVersion
	}
	if f.upgrade {
		r.Protocol = r.Header.GetKnown(stream.Upgrade)
	}
	r.Header.Remove("upgrade")
	r.Length = f.length
	return minor, nil
}

// bodyKind is how the end of a body is found.
type bodyKind uint8

const (
	noBody      bodyKind = iota
	fixedBody            // content-length
	chunkedBody          // chunked transfer coding
	untilClose           // the end of the connection; responses only
)

// bodyOf follows RFC 9112 section 6.3 for a response to a request of the given
// method.
func bodyOf(r *stream.Response, f *framing, head bool) bodyKind {
	switch {
	case head || r.Status < 200 || r.Status == 204 || r.Status == 304:
		return noBody
	case f.chunked:
		return chunkedBody
	case f.length == 0:
		return noBody
	case f.length > 0:
		return fixedBody
	}
	return untilClose
}
