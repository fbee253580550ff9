package http1

import (
	"strconv"

	"longmen/gateway/stream"
)

// requestSize is an upper bound for appendRequest.
func requestSize(r *stream.Request, o *stream.Outgoing) int {
	return len(r.Method) + len(o.Path) + len(o.Authority) + len(o.Upgrade) + r.Header.WireSize() + 256
}

// appendRequest encodes the head of a request (RFC 9112 section 3).
func appendRequest(dst []byte, r *stream.Request, o *stream.Outgoing) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, o.Path...)
	dst = append(dst, " HTTP/1.1\r\nhost: "...)
	dst = append(dst, o.Authority...)
	dst = append(dst, '\r', '\n')
	h := &r.Header
	dst = h.AppendLines(dst, 1<<stream.Host|1<<stream.ContentLength)
	switch {
	case r.Length < 0:
		dst = append(dst, "transfer-encoding: chunked\r\n"...)
	case r.Length > 0 || h.HasKnown(stream.ContentLength) || r.Major == 2 && expectsContent(r.Method):
		dst = appendLength(dst, r.Length)
	}
	if o.Upgrade != nil {
		dst = append(dst, "connection: upgrade\r\nupgrade: "...)
		dst = append(dst, o.Upgrade...)
		dst = append(dst, '\r', '\n')
	}
	if o.Expect {
		dst = append(dst, "expect: 100-continue\r\n"...)
	}
	return append(dst, '\r', '\n')
}

// expectsContent reports whether a request of that method without content says so
// (RFC 9110 section 8.6); over HTTP/2 it need not.
func expectsContent(method []byte) bool {
	switch string(method) {
	case "POST", "PUT", "PATCH":
		return true
	}
	return false
}

func appendLength(dst []byte, n int64) []byte {
	dst = append(dst, "content-length: "...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '\r', '\n')
}

// responseFraming is how a response's body is delimited for the client.
type responseFraming struct {
	length  int64 // written when >= 0
	chunked bool
	close   bool // connection: close
	keep    bool // connection: keep-alive, for HTTP/1.0 clients
}

func responseSize(r *stream.Response) int {
	return len(r.Reason) + len(r.Protocol) + r.Header.WireSize() + 256
}

// appendResponse encodes the head of a response (RFC 9112 section 4).
func appendResponse(dst []byte, r *stream.Response, f responseFraming, date []byte) []byte {
	dst = appendStatusLine(dst, r.Status, r.Reason)
	h := &r.Header
	dst = h.AppendLines(dst, 1<<stream.ContentLength)
	if !h.HasKnown(stream.Date) && r.Status >= 200 {
		dst = append(dst, "date: "...)
		dst = append(dst, date...)
		dst = append(dst, '\r', '\n')
	}
	switch {
	case f.chunked:
		dst = append(dst, "transfer-encoding: chunked\r\n"...)
	case f.length >= 0:
		dst = appendLength(dst, f.length)
	}
	switch {
	case r.Upgraded != nil && r.Status == 101:
		dst = append(dst, "connection: upgrade\r\nupgrade: "...)
		dst = append(dst, r.Protocol...)
		dst = append(dst, '\r', '\n')
	case f.close:
		dst = append(dst, "connection: close\r\n"...)
	case f.keep:
		dst = append(dst, "connection: keep-alive\r\n"...)
	}
	return append(dst, '\r', '\n')
}

func appendStatusLine(dst []byte, status int, reason []byte) []byte {
	if status == 200 && (len(reason) == 0 || string(reason) == "OK") {
		return append(dst, "HTTP/1.1 200 OK\r\n"...)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	if len(reason) > 0 {
		dst = append(dst, reason...)
	} else {
		dst = append(dst, stream.StatusText(status)...)
	}
	return append(dst, '\r', '\n')
}

// appendInformational encodes a 1xx response.
func appendInformational(dst []byte, status int, h *stream.Header) []byte {
	dst = appendStatusLine(dst, status, nil)
	dst = h.AppendLines(dst, 1<<stream.ContentLength)
	return append(dst, '\r', '\n')
}

// Room for the framing of one chunk: size line, and the CR LF behind the data.
const chunkOverhead = 20

func appendChunkSize(dst []byte, n int) []byte {
	dst = strconv.AppendUint(dst, uint64(n), 16)
	return append(dst, '\r', '\n')
}

// appendLastChunk ends a chunked body, with the trailer fields if there are any.
func appendLastChunk(dst []byte, trailer *stream.Header) []byte {
	dst = append(dst, '0', '\r', '\n')
	if trailer != nil {
		dst = trailer.AppendLines(dst, 0)
	}
	return append(dst, '\r', '\n')
}
