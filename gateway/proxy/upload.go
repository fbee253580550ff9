package proxy

import (
	"errors"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// upload carries a request's body to the endpoint on a coroutine of its own, so
// that the response may begin before the body has ended.
type upload struct {
	x       *exchange
	co      *worker.Coroutine
	running bool
	ending  bool
}

// errUploadPanic stands until the carrying has ended otherwise.
var errUploadPanic = errors.New("panic while the request body was carried")

// errUploadEnded is what a carrying that has to stop finds on its connection.
var errUploadEnded = &stream.Error{Side: stream.Upstream, Phase: stream.PhaseRequestBody, Flag: stream.LocalReset, Sent: true, Cause: stream.ErrStopped}

// start begins to carry the body, in this turn.
func (u *upload) start(co *worker.Coroutine) {
	u.running, u.ending = true, false
	u.co = co.Loop().GoLater(u)
}

func (u *upload) wake() {
	if u.running {
		u.co.Wake()
	}
}

// end stops the carrying and waits until it has stopped.
func (u *upload) end(co *worker.Coroutine) {
	if !u.running {
		return
	}
	u.ending = true
	u.x.s.Request.Body.Stop()
	// An endpoint that takes no more must not keep it waiting: a part of the
	// body is missing, so the connection is of no more use anyway.
	u.x.conn.Fail(errUploadEnded)
	u.co.Wake()
	for u.running {
		co.Wait()
	}
}

// Run carries the body.
func (u *upload) Run(co *worker.Coroutine) {
	err := errUploadPanic
	defer func() { u.stopped(err) }()
	err = u.carry(co)
}

// stopped tells the stream how the carrying ended.
func (u *upload) stopped(err error) {
	x := u.x
	u.running = false
	switch {
	case err == nil:
		if x.record.whole {
			x.hasCopy, x.spent = true, false
		}
		x.requestDone()
		if !x.answered {
			x.awaitHead()
		}
	case errors.Is(err, stream.ErrStopped) || u.ending:
	default:
		if e := stream.AsError(err); e.Side != stream.Upstream {
			x.s.Abort(e) // the client's fault: the request never becomes whole
		}
		// An endpoint that takes no more may still have answered: whoever
		// reads the response finds out.
	}
	x.s.Co.Wake()
}

func (u *upload) carry(co *worker.Coroutine) error {
	x := u.x
	if x.out.Expect {
		x.s.Loop.Arm(&x.pause, continueWait)
		for !x.goOn {
			if u.ending || x.answered {
				return stream.ErrStopped // the client heard no 100 and may keep its body
			}
			if err := x.s.Wait(co); err != nil {
				return err
			}
		}
	}
	return x.conn.SendBody(co)
}
