package http1

import (
	"bytes"
	"encoding/binary"

	"longmen/gateway/stream"
)

// Limits bound a head.
type Limits struct {
	Line   int // bytes of a request line or status line
	Head   int // bytes of the whole head
	Fields int // header fields
}

// Malformed is why a message was refused, and the status that says so to a
// client. What is malformed in a response is a 502 for the client.
type Malformed struct {
	Status int
	Text   string
}

func (m *Malformed) Error() string { return m.Text }

var (
	errLine          = &Malformed{400, "malformed request line"}
	errMethod        = &Malformed{400, "malformed method"}
	errTarget        = &Malformed{400, "malformed request target"}
	errVersion       = &Malformed{400, "malformed HTTP version"}
	errVersionOther  = &Malformed{505, "HTTP version is not 1.x"}
	errLineLong      = &Malformed{414, "request line is too long"}
	errHeadLarge     = &Malformed{431, "header section is too large"}
	errFieldsMany    = &Malformed{431, "too many header fields"}
	errBareLF        = &Malformed{400, "line does not end in CR LF"}
	errFieldName     = &Malformed{400, "malformed field name"}
	errFieldValue    = &Malformed{400, "control character in a field value"}
	errFold          = &Malformed{400, "folded header line"}
	errNoHost        = &Malformed{400, "no Host field"}
	errHostTwice     = &Malformed{400, "more than one Host field"}
	errHost          = &Malformed{400, "malformed host"}
	errLengthTwice   = &Malformed{400, "more than one Content-Length field"}
	errLength        = &Malformed{400, "malformed Content-Length"}
	errLengthAndTE   = &Malformed{400, "both Content-Length and Transfer-Encoding"}
	errTE            = &Malformed{400, "transfer coding is not exactly chunked"}
	errTEVersion     = &Malformed{400, "Transfer-Encoding in HTTP/1.0"}
	errExpect        = &Malformed{417, "unknown expectation"}
	errConnectTarget = &Malformed{400, "malformed CONNECT target"}
	errStatusLine    = &Malformed{502, "malformed status line"}
)

// headEnd finds the end of a head in p: the offset behind its empty line. from
// is how far an earlier call has looked (its returned scanned). Lines that end
// in a bare LF end a head too, so that it can be refused.
func headEnd(p []byte, from int) (end, scanned int) {
	i := from
	for {
		k := bytes.IndexByte(p[i:], '\n')
		if k < 0 {
			return 0, max(from, i)
		}
		i += k + 1 // the start of the next line
		switch {
		case i < len(p) && p[i] == '\n':
			return i + 1, 0
		case i+1 < len(p) && p[i] == '\r' && p[i+1] == '\n':
			return i + 2, 0
		case i >= len(p) || i+1 >= len(p) && p[i] == '\r':
			return 0, i - 1 // look at this LF again
		}
	}
}

// framing is what the fields say of a message's body and connection.
type framing struct {
	length    int64 // content-length, -1 when absent
	chunked   bool
	te        bool // any Transfer-Encoding at all
	close     bool
	keepAlive bool
	upgrade   bool // Connection names Upgrade
	hosts     int
	trailers  bool // TE names trailers
	expect    bool // Expect: 100-continue
	nominated bool // Connection names fields of its own
}

// fields parses the header lines of arena from offset i (behind the first line)
// into h and reports their framing. Hop-by-hop fields (RFC 9110 section 7.6.1)
// are taken in and left out of h; Content-Length and Host stay.
func fields(h *stream.Header, arena []byte, i int, max int, f *framing) *Malformed {
	f.length = -1
	count := 0
	connection := -1 // offset of the first Connection value, for nominated
	for {
		if i >= len(arena) {
			return errBareLF
		}
		switch arena[i] {
		case '\r':
			if i+2 == len(arena) && arena[i+1] == '\n' {
				if connection >= 0 && f.nominated {
					dropNominated(h, arena[connection:])
				}
				return nil
			}
			return errBareLF
		case '\n':
			return errBareLF
		case ' ', '\t':
			return errFold
		}
		if count++; count > max {
			return errFieldsMany
		}
		name := i
		for {
			c := stream.TokenLower[arena[i]]
			if c == 0 {
				break
			}
			arena[i] = c
			i++
		}
		nameEnd := i
		if arena[i] != ':' || nameEnd == name {
			return errFieldName
		}
		i++
		line := arena[i] == ' ' // the line is as we would write it
		for arena[i] == ' ' || arena[i] == '\t' {
			i++
		}
		line = line && i == nameEnd+2
		k := bytes.IndexByte(arena[i:], '\n')
		if k < 1 || arena[i+k-1] != '\r' {
			return errBareLF
		}
		value, valueEnd := i, i+k-1
		i += k + 1
		if hasControl(arena[value:valueEnd]) {
			return errFieldValue
		}
		for valueEnd > value && (arena[valueEnd-1] == ' ' || arena[valueEnd-1] == '\t') {
			valueEnd--
			line = false
		}
		id := stream.KnownName(arena[name:nameEnd])
		switch id {
		case stream.Other:
		case stream.Connection:
			if connection < 0 {
				connection = value
			}
			f.connection(arena[value:valueEnd])
			continue
		case stream.KeepAlive, stream.ProxyConnection, stream.ProxyAuthenticate, stream.ProxyAuthorization:
			continue
		case stream.TransferEncoding:
			if f.te || !equalFold(arena[value:valueEnd], "chunked") {
				return errTE
			}
			f.te, f.chunked = true, true
			continue
		case stream.TE:
			f.trailers = f.trailers || namesTrailers(arena[value:valueEnd])
			continue
		case stream.ContentLength:
			if f.length >= 0 {
				return errLengthTwice
			}
			n, ok := stream.ParseLength(arena[value:valueEnd])
			if !ok {
				return errLength
			}
			f.length = n
		case stream.Host:
			f.hosts++
		case stream.Expect:
			if !equalFold(arena[value:valueEnd], "100-continue") {
				return errExpect
			}
			f.expect = true
			continue
		}
		h.AppendSpan(id, name, nameEnd-name, value, valueEnd-value, line)
	}
}

// connection notes the options of a Connection field.
func (f *framing) connection(list []byte) {
	for list != nil {
		var item []byte
		item, list = nextItem(list)
		switch {
		case equalFold(item, "close"):
			f.close = true
		case equalFold(item, "keep-alive"):
			f.keepAlive = true
		case equalFold(item, "upgrade"):
			f.upgrade = true
		case len(item) > 0 && !equalFold(item, "te"):
			f.nominated = true
		}
	}
}

// dropNominated removes the fields that Connection fields name. lines begins
// at the first Connection value; every Connection line behind it is looked at
// again, which only messages with such names pay for. Fields that framing and
// routing rest on cannot be named away.
func dropNominated(h *stream.Header, lines []byte) {
	for first := true; len(lines) > 2; first = false {
		line, rest, _ := bytes.Cut(lines, []byte("\r\n"))
		lines = rest
		if !first {
			name, value, ok := bytes.Cut(line, []byte(":"))
			if !ok || string(name) != "connection" {
				continue
			}
			line = value
		}
		for line != nil {
			var item []byte
			item, line = nextItem(line)
			name := bytes.ToLower(item)
			switch stream.KnownName(name) {
			case stream.Host, stream.ContentLength, stream.ContentType, stream.Upgrade, stream.Authorization, stream.Cookie:
			default:
				h.Remove(string(name))
			}
		}
	}
}

// namesTrailers looks for the member "trailers" of a TE field.
func namesTrailers(list []byte) bool {
	for list != nil {
		var item []byte
		item, list = nextItem(list)
		if equalFold(item, "trailers") {
			return true
		}
	}
	return false
}

// hasControl looks for bytes that a field value must not hold (RFC 9110
// section 5.5): controls but tab, and DEL. Eight bytes are looked at at a time;
// a byte that merely might be one is looked at alone.
func hasControl(p []byte) bool {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	for len(p) >= 8 {
		x := binary.LittleEndian.Uint64(p)
		del := x ^ ones*0x7f
		if ((x-ones*0x20)&^x|(del-ones)&^del)&highs != 0 && hasControlByte(p[:8]) {
			return true
		}
		p = p[8:]
	}
	return hasControlByte(p)
}

func hasControlByte(p []byte) bool {
	for _, b := range p {
		if b < 0x20 && b != '\t' || b == 0x7f {
			return true
		}
	}
	return false
}
