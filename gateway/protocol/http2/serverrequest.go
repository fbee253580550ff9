package http2

import (
	"bytes"
	"errors"

	"longmen/gateway/protocol/http2/hpack"
	"longmen/gateway/stream"
)

// malformed is why a message was refused. A request whose status is 0 is not
// answered: its stream is reset (RFC 9113 section 8.1.1).
type malformed struct {
	status int
	text   string
}

func (m *malformed) Error() string { return m.text }

var (
	errTooLarge     = &malformed{431, "header section is too large"}
	errTargetLong   = &malformed{414, "request target is too long"}
	errUnknownWait  = &malformed{417, "unknown expectation"}
	errNoMethod     = &malformed{0, "no :method, or a malformed one"}
	errScheme       = &malformed{0, "no :scheme, or one that is not http or https"}
	errPath         = &malformed{0, "no :path, or a malformed one"}
	errAuthority    = &malformed{0, "no :authority or host, or a malformed one"}
	errTwoHosts     = &malformed{0, "host differs from :authority"}
	errConnectForm  = &malformed{0, "malformed CONNECT"}
	errProtocolForm = &malformed{0, ":protocol without extended CONNECT"}
	errConnection   = &malformed{0, "a field that is about the connection"}
	errLengthField  = &malformed{0, "malformed content-length"}
	errNotRequest   = &malformed{0, ":status in a request"}
)

// headerLimit bounds header blocks. A peer that goes beyond it by far is an
// abuser.
func headerLimit(size, fields int) hpack.Limit {
	// Each field counts 32 more bytes than in HTTP/1's way of counting.
	size += 32 * fields
	return hpack.Limit{Fields: fields, Size: size, Hard: 8 * size}
}

// request makes the stream's request of the decoded header block; err is what
// the decoding said of it.
func (st *serverStream) request(err error) *malformed {
	if err == hpack.ErrListSize {
		return errTooLarge
	}
	if e, ok := errors.AsType[*hpack.FieldError](err); ok {
		return &malformed{0, e.Error()}
	}
	r := &st.Request
	r.Major, r.Minor = 2, 0
	p, m := st.pseudo()
	if m != nil {
		return m
	}
	if m := st.fields(); m != nil {
		return m
	}
	if len(p.method) == 0 || !stream.IsToken(p.method) {
		return errNoMethod
	}
	r.Method = p.method
	connect := string(p.method) == "CONNECT"
	switch {
	case connect && p.protocol == nil:
		if p.scheme != nil || p.path != nil || p.authority == nil {
			return errConnectForm
		}
		_, port, ok := stream.SplitHost(p.authority)
		if !ok || len(port) == 0 {
			return errConnectForm
		}
		r.Target, r.Authority = p.authority, p.authority
		r.SetHost()
		st.connect = true
		return nil
	case p.protocol != nil && (!connect || !st.cfg.ExtendedConnect || !stream.IsToken(p.protocol)):
		return errProtocolForm
	}
	if string(p.scheme) != "http" && string(p.scheme) != "https" {
		return errScheme
	}
	if m := st.target(p.path); m != nil {
		return m
	}
	if m := st.authority(p.authority); m != nil {
		return m
	}
	if p.protocol != nil {
		// An extended CONNECT is a request for an upgrade (RFC 8441 section 5): its
		// neutral form is that of HTTP/1.
		r.Method, r.Upgrade = methodGet, p.protocol
		r.Length, st.connect, st.extended = 0, true, true
	}
	return nil
}

var methodGet = []byte("GET")

// pseudoFields are those of a request; nil when absent.
type pseudoFields struct{ method, scheme, authority, path, protocol []byte }

// pseudo takes the pseudo-header fields, which stand at the beginning, out of
// the header.
func (st *serverStream) pseudo() (p pseudoFields, m *malformed) {
	h := &st.Request.Header
	for i := range h.Len() {
		_, value, id, ok := h.At(i)
		if !ok || id < stream.PseudoMethod {
			break
		}
		switch id {
		case stream.PseudoMethod:
			p.method = value
		case stream.PseudoScheme:
			p.scheme = value
		case stream.PseudoAuthority:
			p.authority = value
		case stream.PseudoPath:
			p.path = value
		case stream.PseudoProtocol:
			p.protocol = value
		default:
			return p, errNotRequest
		}
		h.RemoveAt(i)
	}
	return p, nil
}

// fields looks at the fields that framing and forwarding are about.
func (st *serverStream) fields() *malformed {
	r, h := &st.Request, &st.Request.Header
	r.Length = -1
	if st.flow.gotEnd {
		r.Length = 0
	}
	const looked = 1<<stream.Connection | 1<<stream.ProxyConnection | 1<<stream.KeepAlive | 1<<stream.TransferEncoding | 1<<stream.Upgrade |
		1<<stream.TE | 1<<stream.ContentLength | 1<<stream.Expect | 1<<stream.Cookie | 1<<stream.Priority | 1<<stream.ProxyAuthorization | 1<<stream.ProxyAuthenticate
	if !h.HasAny(looked) {
		return nil
	}
	cookies := 0
	length := int64(-1)
	for i := range h.Len() {
		_, value, id, ok := h.At(i)
		if !ok {
			continue
		}
		switch id {
		case stream.Connection, stream.ProxyConnection, stream.KeepAlive, stream.TransferEncoding, stream.Upgrade:
			return errConnection
		case stream.TE:
			if !bytes.EqualFold(value, []byte("trailers")) {
				return errConnection
			}
			r.Trailers = true
			h.RemoveAt(i)
		case stream.ProxyAuthorization, stream.ProxyAuthenticate:
			h.RemoveAt(i)
		case stream.ContentLength:
			n, ok := stream.ParseLength(value)
			if !ok || length >= 0 && n != length || st.flow.gotEnd && n != 0 {
				return errLengthField
			}
			length = n
		case stream.Expect:
			if !bytes.EqualFold(value, []byte("100-continue")) {
				return errUnknownWait
			}
			r.ExpectContinue = !st.flow.gotEnd
			h.RemoveAt(i)
		case stream.Cookie:
			cookies++
		case stream.Priority:
			st.flow.prioritize(value)
		}
	}
	if length >= 0 {
		r.Length, st.length = length, length
	}
	if cookies > 1 {
		joinCookies(h, &st.Stream)
	}
	return nil
}

// joinCookies makes one field of the cookies, which clients may send apart (RFC
// 9113 section 8.2.3).
func joinCookies(h *stream.Header, s *stream.Stream) {
	n := 0
	for i := range h.Len() {
		if _, value, id, ok := h.At(i); ok && id == stream.Cookie {
			n += len(value) + 2
		}
	}
	joined := s.Room(n)
	for i := range h.Len() {
		if _, value, id, ok := h.At(i); ok && id == stream.Cookie {
			if len(joined) > 0 {
				joined = append(joined, "; "...)
			}
			joined = append(joined, value...)
		}
	}
	h.Set("cookie", joined)
}

// target takes :path apart.
func (st *serverStream) target(path []byte) *malformed {
	r := &st.Request
	r.Target = path
	switch {
	case len(path) == 0:
		return errPath
	case len(path) > st.cfg.MaxTarget:
		return errTargetLong
	case path[0] == '/':
	case len(path) == 1 && path[0] == '*' && string(r.Method) == "OPTIONS":
	default:
		return errPath
	}
	for _, b := range path {
		if b <= ' ' || b >= 0x7f || b == '#' {
			return errPath
		}
	}
	if q := bytes.IndexByte(path, '?'); q >= 0 {
		r.Path, r.Query, r.HasQuery = path[:q:q], path[q+1:], true
	} else {
		r.Path = path
	}
	return nil
}

// authority finds out which host is meant: :authority, or else host.
func (st *serverStream) authority(authority []byte) *malformed {
	r := &st.Request
	if h := &r.Header; h.HasKnown(stream.Host) {
		for i := range h.Len() {
			_, host, id, ok := h.At(i)
			if !ok || id != stream.Host {
				continue
			}
			if authority != nil && !bytes.EqualFold(authority, host) {
				return errTwoHosts
			}
			authority = host
		}
		h.Remove("host")
	}
	if _, _, ok := stream.SplitHost(authority); !ok {
		return errAuthority
	}
	r.Authority = authority
	r.SetHost()
	return nil
}

// trailerFields reports whether the fields may stand in a trailer section: no
// pseudo-header fields and none that is about the message's framing.
func trailerFields(h *stream.Header) bool {
	for i := range h.Len() {
		_, _, id, ok := h.At(i)
		if !ok {
			continue
		}
		switch id {
		case stream.Connection, stream.ProxyConnection, stream.KeepAlive, stream.TransferEncoding, stream.Upgrade, stream.TE:
			return false
		case stream.ContentLength, stream.Host:
			h.RemoveAt(i)
		}
		if id >= stream.PseudoMethod {
			return false
		}
	}
	return true
}
