package http1

import "bytes"

// Event is what Request.Feed came to.
type Event uint8

const (
	More Event = iota // all of the input is consumed and the request goes on
	Head              // the head is complete: its fields may be read
	Done              // the request is complete
)

// Request parses one request after the other from a connection.
type Request struct {
	Target   []byte // the request target; valid only until the next Feed
	HeadOnly bool   // the method is HEAD
	Close    bool   // the client wants the connection closed after the answer
	Expect   bool   // the client waits for 100 Continue

	rest    []byte
	in      bool
	content body
}

// Size is how many bytes of content have come, without chunk framing.
func (r *Request) Size() int64 { return r.content.size }

// Feed consumes what of p belongs to the request. It stops after the head and
// again after the end; call it again (with what is left, even if that is
// nothing) to go on.
func (r *Request) Feed(p []byte) (n int, ev Event, err error) {
	if r.in {
		n, done, err := r.content.feed(p)
		if done {
			r.in = false
			return n, Done, err
		}
		return n, More, err
	}
	if len(p) == 0 {
		return 0, More, nil
	}
	whole, taken, err := gather(&r.rest, p)
	if err != nil || whole == nil {
		return taken, More, err
	}
	return taken, Head, r.head(whole)
}

func (r *Request) head(whole []byte) error {
	h, err := parseHead(whole)
	if err != nil {
		return err
	}
	method, rest, ok := bytes.Cut(h.line, []byte(" "))
	if !ok {
		return ErrHead
	}
	target, version, ok := bytes.Cut(rest, []byte(" "))
	if !ok || len(target) == 0 || len(version) != 8 || string(version[:7]) != "HTTP/1." {
		return ErrHead
	}
	r.Target = target
	r.HeadOnly = string(method) == "HEAD"
	r.Close = h.close || version[7] == '0' && !h.keepAlive
	r.Expect = h.expect
	r.in = true
	r.content = body{left: h.length}
	if h.chunked {
		r.content.framing = byChunks
	}
	return nil
}
