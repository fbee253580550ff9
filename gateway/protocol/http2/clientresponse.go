package http2

import (
	"errors"

	"longmen/gateway/protocol/http2/hpack"
	"longmen/gateway/stream"
)

var (
	errResponseHead    = errors.New("response head is too large")
	errNoStatus        = errors.New("no :status, or a malformed one")
	errPseudoResponse  = errors.New("a pseudo-header field that no response has")
	errSwitching       = errors.New("101 Switching Protocols, which HTTP/2 does not have")
	errInformational   = errors.New("too many informational responses")
	errInformationEnds = errors.New("the stream ends with an informational response")
	errLateHeaders     = errors.New("HEADERS within the content")
	errTrailers        = errors.New("malformed trailers")
	errLengthDiffers   = errors.New("the content is not as long as content-length says")
	errNoContent       = errors.New("content in a response that has none")
	errEarlyContent    = errors.New("content before the response's head")
)

// maxInformational bounds the 1xx responses to one request.
const maxInformational = 32

// headers takes a head of the response, which is final unless it is
// informational. err is what its decoding said of it.
func (cs *ClientStream) headers(end bool, err error) {
	if err == hpack.ErrListSize {
		err = errResponseHead
	}
	status := 0
	if err == nil {
		status, err = cs.takeStatus()
	}
	if err != nil {
		cs.malformed(err)
		return
	}
	cs.answered = true
	c, f := cs.client, &cs.flow
	if status < 200 {
		cs.informed++
		switch {
		case end:
			cs.malformed(errInformationEnds)
		case status == 101:
			cs.malformed(errSwitching)
		case cs.informed > maxInformational:
			cs.malformed(errInformational)
		case cs.s.Informational != nil:
			cs.s.Informational.Inform(status, &cs.head)
		}
		return
	}
	head := string(cs.s.Request.Method) == "HEAD" && !cs.extended
	tunnel := cs.extended && status < 300
	cs.noBody = head || status == 204 || status == 304
	if err := cs.framing(end, head || status == 304, tunnel || status == 204); err != nil {
		cs.malformed(err)
		return
	}
	cs.statusCode, cs.tunnel, cs.headCame = status, tunnel, true
	cs.headAt = c.Loop().Now()
	if end {
		f.gotEnd = true
	}
	c.wake(cs)
}

// takeStatus takes the pseudo-header field out of the head.
func (cs *ClientStream) takeStatus() (int, error) {
	h := &cs.head
	status := 0
	for i := range h.Len() {
		_, value, id, _ := h.At(i)
		if id < stream.PseudoMethod {
			break
		}
		if id != stream.PseudoStatus {
			return 0, errPseudoResponse
		}
		if len(value) != 3 || value[0] < '1' || value[0] > '9' || value[1]-'0' > 9 || value[2]-'0' > 9 {
			return 0, errNoStatus
		}
		status = int(value[0]-'0')*100 + int(value[1]-'0')*10 + int(value[2]-'0')
		h.RemoveAt(i)
	}
	if status == 0 {
		return 0, errNoStatus
	}
	return status, nil
}

// framing looks at the fields that framing is about. silent responses have a
// content-length without content; without ones have neither.
func (cs *ClientStream) framing(end, silent, without bool) error {
	h := &cs.head
	cs.length = -1
	const banned = 1<<stream.Connection | 1<<stream.ProxyConnection | 1<<stream.KeepAlive | 1<<stream.TransferEncoding | 1<<stream.Upgrade | 1<<stream.TE
	if h.HasAny(banned) {
		return errConnection
	}
	if h.HasAny(1 << stream.ContentLength) {
		for i := range h.Len() {
			_, value, id, ok := h.At(i)
			if !ok || id != stream.ContentLength {
				continue
			}
			n, ok := stream.ParseLength(value)
			if !ok || cs.length >= 0 && n != cs.length {
				return errLengthField
			}
			cs.length = n
		}
	}
	switch {
	case without:
		h.Remove("content-length")
		cs.length = -1
	case end && !silent && cs.length > 0:
		return errLengthDiffers
	case end && !silent:
		cs.length = 0
	}
	return nil
}

// trailers takes the trailer section.
func (cs *ClientStream) trailers(end bool, err error) {
	f := &cs.flow
	switch {
	case !end:
		cs.malformed(errLateHeaders)
	case err != nil || !trailerFields(&f.trailer):
		f.trailer.Reset()
		cs.malformed(errTrailers)
	default:
		f.hasTrail = f.trailer.Count() > 0
		f.end()
	}
}

// arrived is told of content, or of its end.
func (cs *ClientStream) arrived() {
	f := &cs.flow
	switch {
	case f.stopped || f.isReset:
	case !cs.headCame:
		cs.malformed(errEarlyContent)
	case cs.noBody && f.total > 0:
		cs.malformed(errNoContent)
	case !cs.noBody && cs.length >= 0 && (f.total > cs.length || f.gotEnd && f.total < cs.length):
		cs.malformed(errLengthDiffers)
	}
	cs.client.wake(cs)
}

// malformed ends the stream for a response that RFC 9113 section 8.1.1 calls so.
func (cs *ClientStream) malformed(cause error) {
	cs.broken(CodeProtocol, cause)
}

// fault is told of the endpoint's mistake on this stream.
func (cs *ClientStream) fault(code ErrCode) {
	cs.broken(code, &StreamError{code, false})
}

func (cs *ClientStream) broken(code ErrCode, cause error) {
	cs.flow.gotEnd = false // what came is not to be taken for a whole response
	cs.reset(code)
	cs.fail(cs.failure(stream.UpstreamProtocolError, true, cause))
}

// deliver hands the head out.
func (cs *ClientStream) deliver(resp *stream.Response) {
	f := &cs.flow
	resp.Reset()
	resp.Header, cs.head = cs.head, resp.Header
	resp.Status, resp.Length = cs.statusCode, cs.length
	cs.s.Record.UpstreamHead = cs.headAt
	cs.headTaken = true
	switch {
	case cs.tunnel:
		resp.Header.Remove("sec-websocket-accept") // it is about another key than the client's
		resp.Status, resp.Protocol, resp.Length = 101, cs.protocol, 0
		resp.Upgraded = (*clientTunnel)(cs)
	case cs.noBody:
		if resp.Length < 0 && cs.statusCode == 204 {
			resp.Length = 0
		}
	case f.gotEnd && f.held == 0 && !f.hasTrail:
		resp.Length = 0
	default:
		resp.Body = (*clientBody)(cs)
	}
}
