package http2

import (
	"io"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// tunnel answers with resp, and the stream becomes a tunnel to its other end.
func (st *serverStream) tunnel(co *worker.Coroutine, resp *stream.Response) {
	st.sendHead(resp, -1, false)
	st.tunneling = true
	up := resp.Upgraded
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
		st.giveUp(st.Record.Err)
		up.Close()
		st.flow.reset(CodeCancel)
	}
	for !request.done {
		request.co.Wake()
		co.Wait()
	}
	up.Close()
}

// tunnelDown carries the endpoint's bytes to the client until the endpoint has
// finished.
func (st *serverStream) tunnelDown(co *worker.Coroutine, up stream.Tunnel) error {
	for {
		p, err := up.Read(co)
		if err == io.EOF {
			st.flow.sendEnd()
			return nil
		}
		if err != nil {
			return err
		}
		st.active = st.Loop.Now()
		st.Record.ResponseBytes += int64(len(p))
		if err := st.flow.write(co, p, false); err != nil {
			return err
		}
		st.writeSince = 0
	}
}

// tunnelUp carries the client's bytes to the endpoint.
type tunnelUp struct {
	st   *serverStream
	up   stream.Tunnel
	co   *worker.Coroutine
	done bool
}

// Run carries bytes until the client has finished sending or the tunnel fails.
func (t *tunnelUp) Run(co *worker.Coroutine) {
	st := t.st
	defer func() {
		t.done = true
		st.Co.Wake()
	}()
	for st.Aborted() == nil {
		p, err := st.flow.pull(co)
		if err == nil {
			err = t.up.Write(co, p)
		} else if err == io.EOF {
			if err = t.up.CloseWrite(co); err == nil {
				return
			}
		}
		if err != nil {
			st.Abort(stream.AsError(err))
			return
		}
	}
}
