package http1

import (
	"errors"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

var errAbandoned = errors.New("panic while the stream was served")

// guard, when deferred, ends the connection when serving it panics where nothing
// can make an error of it: in Reply, in Finish, in the codec. The panic goes on:
// the worker logs it.
func (c *serverConn) guard() {
	v := recover()
	if v == nil {
		return
	}
	c.abandon(worker.Unwinding(v))
	panic(v)
}

// abandon closes the socket and lets a coroutine give back what the stream
// holds. When the loop is closed nobody needs it back.
func (c *serverConn) abandon(unwinding bool) {
	c.Close()
	st := c.st
	if st == nil {
		c.srv.gone(c)
		return
	}
	st.Loop.Drop(&st.timer)
	if unwinding {
		c.st = nil
		c.srv.gone(c)
		return
	}
	st.handedOver = true
	st.Loop.GoSoon((*wreck)(c))
}

// wreck is a connection whose stream was abandoned.
type wreck serverConn

// Run ends the stream, and the connection with it.
func (w *wreck) Run(co *worker.Coroutine) {
	c := (*serverConn)(w)
	st := c.st
	defer func() {
		c.st = nil
		c.srv.gone(c)
	}()
	st.Co = co
	st.Abort(&stream.Error{Side: stream.Local, Phase: st.phase(), Flag: stream.LocalError, Cause: errAbandoned})
	for _, waiter := range []*worker.Coroutine{st.bodyWaiter, st.writeWaiter} {
		if waiter != nil {
			waiter.Wake() // half of a tunnel
		}
	}
	co.Yield() // they end before the connection does
	if st.Record.Err == nil {
		st.Record.Err = st.Aborted()
	}
	if st.logged {
		return
	}
	var resp *stream.Response
	if st.headSent {
		resp = &st.Response
	}
	st.finish(resp)
}
