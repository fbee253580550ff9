package http2

import (
	"errors"
	"io"
	"strconv"

	"longmen/gateway/protocol/http2/hpack"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

var errNoTunnel = errors.New("the answer to a CONNECT is no tunnel")

// answer sends what the handler returned. co may be nil when atOnce is true.
func (st *serverStream) answer(co *worker.Coroutine, resp *stream.Response, err error) *stream.Response {
	if err == nil && st.connect && resp.Upgraded == nil && resp.Status >= 200 && resp.Status < 300 {
		// To the client it would mean that the tunnel is open.
		err = &stream.Error{Side: stream.Upstream, Phase: stream.PhaseTunnel, Flag: stream.UpstreamProtocolError, Status: 502, Sent: true, Cause: errNoTunnel}
	}
	if st.flow.isReset || st.conn.failed != nil {
		// Nobody is there to take it.
		if err == nil {
			err = st.cutShort()
		}
		if resp != nil && resp.Upgraded != nil {
			resp.Upgraded.Close()
		}
		st.Record.Err = stream.AsError(err)
		return nil
	}
	if err != nil {
		e := stream.AsError(err)
		st.Record.Err = e
		if e.Status == 0 {
			return nil
		}
		if resp, err = st.call(func(s *stream.Stream) (*stream.Response, error) { return st.cfg.Reply(s, e), nil }); err != nil {
			return nil
		}
	}
	if resp.Upgraded != nil {
		st.tunnel(co, resp)
		return resp
	}
	if err := st.send(co, resp); err != nil {
		st.Record.Err = stream.AsError(err)
	}
	return resp
}

// hasBody reports whether the response has content, and what content-length it
// says: -1 for none.
func (st *serverStream) frame(resp *stream.Response) (length int64, body bool) {
	switch {
	case resp.Status < 200 || resp.Status == 204:
		return -1, false
	case string(st.Request.Method) == "HEAD" || resp.Status == 304:
		return resp.Length, false
	case resp.Body == nil:
		if resp.Header.HasKnown(stream.GrpcStatus) {
			return -1, false // a trailers-only answer of gRPC
		}
		return 0, false
	}
	return resp.Length, true
}

// sendHead sends the response's head.
func (st *serverStream) sendHead(resp *stream.Response, length int64, end bool) {
	c, h := st.conn, &resp.Header
	out := c.Reserve(blockRoom(hpack.EncodedSize(h) + 128))
	start := len(out)
	out = append(out, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	status := resp.Status
	if resp.Upgraded != nil {
		status = 200
	}
	out = c.enc.AppendStatus(out, status)
	out = c.enc.AppendHeader(out, h, 1<<stream.ContentLength)
	if !h.HasKnown(stream.Date) && status >= 200 {
		out = c.enc.AppendField(out, stream.Date, nameDate, c.worker.date(st.Loop))
	}
	if length >= 0 {
		var digits [20]byte
		out = c.enc.AppendField(out, stream.ContentLength, nameLength, strconv.AppendInt(digits[:0], length, 10))
	}
	c.Commit(c.appendHeaders(out, start, st.flow.id, end))
	if resp.Status >= 200 || resp.Upgraded != nil {
		st.headSent = true
		st.Record.Status = resp.Status
		st.flow.sentEnd = end
	}
}

var (
	nameDate   = []byte("date")
	nameLength = []byte("content-length")
)

// send writes the response; a body as fast as its source gives and the client
// takes it.
func (st *serverStream) send(co *worker.Coroutine, resp *stream.Response) (err error) {
	defer st.caught(&err)
	f := &st.flow
	length, body := st.frame(resp)
	if !body {
		st.sendHead(resp, length, true)
		return nil
	}
	p, last := resp.Body.Buffered()
	if last && len(p) == 0 && (length <= 0) && resp.Body.Trailer() == nil {
		st.sendHead(resp, length, true)
		resp.Body.Next(co)
		return nil
	}
	st.sendHead(resp, length, false)
	st.sendBegan = st.Loop.Now()
	left := length
	for {
		p, err := resp.Body.Next(co)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if len(p) == 0 {
			continue
		}
		if length >= 0 {
			if left -= int64(len(p)); left < 0 {
				return &stream.Error{Side: stream.Local, Phase: stream.PhaseResponseBody, Flag: stream.LocalError, Cause: errLongResponse}
			}
		}
		st.active = st.Loop.Now()
		st.Record.ResponseBytes += int64(len(p))
		if err := f.write(co, p, lastPiece(resp.Body)); err != nil {
			return err
		}
		st.writeSince = 0
	}
	switch trailer := resp.Body.Trailer(); {
	case length >= 0 && left > 0:
		return &stream.Error{Side: stream.Upstream, Phase: stream.PhaseResponseBody, Flag: stream.UpstreamConnectionEnd, Cause: errShortResponse}
	case f.isReset || f.conn == nil:
		return st.cutShort()
	case trailer != nil:
		st.conn.sendTrailer(f, trailer)
	default:
		f.sendEnd()
	}
	return nil
}

// lastPiece reports whether the piece that b gave just now is known to be the last,
// and no trailers follow.
func lastPiece(b stream.Body) bool {
	more, last := b.Buffered()
	return last && len(more) == 0 && b.Trailer() == nil
}

// sendTrailer ends a stream's content with a trailer section.
func (c *conn) sendTrailer(f *flow, h *stream.Header) {
	if f.sentEnd || f.isReset {
		return
	}
	f.sentEnd = true
	out := c.Reserve(blockRoom(hpack.EncodedSize(h)))
	start := len(out)
	out = append(out, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	out = c.enc.AppendHeader(out, h, 0)
	c.Commit(c.appendHeaders(out, start, f.id, true))
}

// Inform sends an informational response (RFC 9110 section 15.2).
func (st *serverStream) Inform(status int, h *stream.Header) {
	if st.headSent || st.flow.isReset || st.conn.failed != nil || status == 101 || status == 100 && (st.continued || !st.Request.ExpectContinue) {
		return
	}
	if status == 100 {
		st.continued = true
	}
	r := stream.Response{Status: status, Header: *h}
	st.sendHead(&r, -1, false)
}

// date is the value of a Date field now (RFC 9110 section 6.6.1), made once a
// second.
func (w *Worker) date(l *worker.Loop) []byte {
	now := l.Wall()
	if at := now.Unix(); at != w.dateAt || w.dated == nil {
		w.dateAt = at
		w.dated = now.UTC().AppendFormat(w.dated[:0], "Mon, 02 Jan 2006 15:04:05 GMT")
	}
	return w.dated
}
