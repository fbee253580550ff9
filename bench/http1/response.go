package http1

// Response parses one response after the other from a connection. Begin each
// with Reset.
type Response struct {
	Status int  // once the head has come
	Close  bool // the connection ends after this response

	rest    []byte
	noBody  bool // the request was a HEAD
	in      bool // inside the body
	content body
}

// Reset makes ready for the next response; head says that it answers a HEAD
// request and has no body.
func (r *Response) Reset(head bool) {
	*r = Response{rest: r.rest[:0], noBody: head}
}

// Size is how many bytes of content have come, without chunk framing.
func (r *Response) Size() int64 { return r.content.size }

// Feed consumes what of p belongs to the response; done when it is complete.
// Interim (1xx) responses are read over.
func (r *Response) Feed(p []byte) (n int, done bool, err error) {
	for {
		if r.in {
			m, done, err := r.content.feed(p[n:])
			return n + m, done, err
		}
		whole, taken, err := gather(&r.rest, p[n:])
		n += taken
		if err != nil || whole == nil {
			return n, false, err
		}
		if err := r.head(whole); err != nil {
			return n, false, err
		}
	}
}

// End tells that the connection ended: done when that completes the response.
func (r *Response) End() (done bool, err error) {
	if r.in && r.content.framing == byClose {
		return true, nil
	}
	return false, ErrEarly
}

func (r *Response) head(whole []byte) error {
	h, err := parseHead(whole)
	if err != nil {
		return err
	}
	// "HTTP/1.1 200" and a space or the end
	l := h.line
	if len(l) < 12 || string(l[:7]) != "HTTP/1." || l[8] != ' ' || len(l) > 12 && l[12] != ' ' {
		return ErrHead
	}
	status, err := decimal(l[9:12])
	if err != nil || status < 100 {
		return ErrHead
	}
	r.Status = int(status)
	if status < 200 {
		return nil
	}
	r.in = true
	r.Close = h.close || l[7] == '0' && !h.keepAlive
	r.content = body{}
	switch {
	case r.noBody || status == 204 || status == 304:
	case h.chunked:
		r.content.framing = byChunks
	case h.hasLength:
		r.content.left = h.length
	default:
		r.content.framing, r.Close = byClose, true
	}
	return nil
}
