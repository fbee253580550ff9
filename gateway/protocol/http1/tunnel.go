package http1

import (
	"io"

	"longmen/gateway/connection"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// tunnel answers with resp and becomes a tunnel to its other end.
func (st *serverStream) tunnel(co *worker.Coroutine, resp *stream.Response) {
	accept(&st.Request, resp)
	st.sendHead(resp, responseFraming{length: -1})
	st.relay(co, resp.Upgraded)
}

// relay carries bytes in both directions until both sides have ended, one
// fails, or nothing moves for too long.
func (st *serverStream) relay(co *worker.Coroutine, up stream.Tunnel) {
	st.tunneling = true
	st.body.done = true // what follows are the tunnel's bytes
	request := &tunnelUp{st: st, up: up}
	request.co = st.Loop.GoLater(request)
	err := st.tunnelDown(co, up)
	if err == nil {
		for !request.done && st.Aborted() == nil {
			co.Wait()
		}
		if e := st.Aborted(); e != nil {
			err = e
		}
	}
	if err != nil {
		st.Record.Err = stream.AsError(err)
		st.Abort(st.Record.Err)
		up.Close()
		st.conn.Close()
	}
	for !request.done {
		request.co.Wake()
		co.Wait()
	}
	st.body.total = request.total
	up.Close()
}

// tunnelDown carries the endpoint's bytes to the client until the endpoint has
// finished.
func (st *serverStream) tunnelDown(co *worker.Coroutine, up stream.Tunnel) error {
	c := st.conn
	for {
		p, err := up.Read(co)
		if err == io.EOF {
			c.Finish()
			return nil
		}
		if err != nil {
			return err
		}
		st.active = st.Loop.Now()
		st.Record.ResponseBytes += int64(len(p))
		c.Write(p)
		if c.Pending() > highWater {
			if err := st.drain(co, lowWater); err != nil {
				return err
			}
		}
	}
}

// tunnelUp carries the client's bytes to the endpoint.
type tunnelUp struct {
	st    *serverStream
	up    stream.Tunnel
	co    *worker.Coroutine
	total int64
	done  bool
}

// Run carries bytes until the client has finished sending or the tunnel fails.
func (t *tunnelUp) Run(co *worker.Coroutine) {
	defer func() {
		t.done = true
		t.st.bodyWaiter = nil
		t.st.Co.Wake()
	}()
	st, c := t.st, t.st.conn
	for st.Aborted() == nil {
		if p := c.Bytes(); len(p) > 0 {
			st.active = st.Loop.Now()
			t.total += int64(len(p))
			err := t.up.Write(co, p)
			c.Consume(len(p))
			if err != nil {
				st.Abort(stream.AsError(err))
				return
			}
			continue
		}
		switch err := c.Fill(bodyRead); err {
		case nil:
		case io.EOF:
			if err := t.up.CloseWrite(co); err != nil {
				st.Abort(stream.AsError(err))
			}
			return
		case connection.ErrWait:
			st.bodyWaiter = co
			co.Wait()
			st.bodyWaiter = nil
		default:
			st.Abort(st.clientGone(stream.PhaseTunnel, err))
			return
		}
	}
}
