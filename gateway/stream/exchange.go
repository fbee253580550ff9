package stream

import "longmen/gateway/worker"

// Outgoing is what differs between a request as received and as it goes to an
// endpoint.
type Outgoing struct {
	Path      []byte // path and query; "*" for OPTIONS *
	Authority []byte
	Upgrade   []byte // protocol to ask for, nil for none
	Expect    bool   // pass on Expect: 100-continue
}

// WantsTunnel reports whether the client is to get a tunnel to an endpoint: it asked
// for one (RFC 9110 section 9.3.6), or its connection is spliced.
func (r *Request) WantsTunnel() bool { return r.Spliced || string(r.Method) == "CONNECT" }

// Exchange is a codec's half of one request to an endpoint and the response to
// it. The stream was attached to it; then come Send, and side by side SendBody
// and the reading of the response, and Detach at the end.
type Exchange interface {
	// Send writes the request's head and, when body holds all of a body, that
	// too. Whether there is a body, and whether it is whole, says whole: without
	// it, SendBody follows.
	Send(o *Outgoing, body []byte, whole bool)
	// SendBody carries Request.Body as fast as it comes and the endpoint takes
	// it. It returns ErrStopped when the body was stopped.
	SendBody(co *worker.Coroutine) error

	// ReadHead waits for the response's final head and sets up its body.
	// Informational responses are passed on to the client on the way. asked is
	// whether the request offered an upgrade.
	ReadHead(co *worker.Coroutine, resp *Response, asked bool) error
	// PollHead is ReadHead as far as it goes without waiting. It reports whether
	// the final head is there; after an error it must not be called again.
	PollHead(resp *Response, asked bool) (done bool, err error)
	// WakeOn lets w be woken, on the loop's own stack, when PollHead may have
	// more to tell or the try was cancelled; nil ends that.
	WakeOn(w Waker)

	// Fail lets what waits on the exchange fail with e: a time limit of this try
	// alone, which does not end the stream. Cancelled is that e, or nil.
	Fail(e *Error)
	Cancelled() *Error

	// Adopt makes the exchange that of another stream, which asks for the same: the
	// response's head was read, and what is left of it is s's.
	Adopt(s *Stream)

	// Answered reports whether anything of a response came.
	Answered() bool
	// Detach takes the exchange from its stream; what is not finished is given
	// up. It reports whether the connection may carry another one.
	Detach() (reusable bool)
}
