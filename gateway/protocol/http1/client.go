package http1

import (
	"errors"
	"fmt"
	"io"

	"longmen/gateway/connection"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// ClientOwner is who holds a Client while no stream uses it.
type ClientOwner interface {
	// ClientIdle is told of events on an idle connection: the endpoint closed
	// it, or sent what nobody asked for. Either way it is of no more use.
	ClientIdle(c *Client)
}

// Client is a connection to an endpoint: the stream.Exchange of the one stream at a
// time that uses it.
type Client struct {
	connection.Conn
	owner  ClientOwner
	s      *stream.Stream
	limits *Limits

	reader, writer stream.Waker  // who waits for bytes, and for room
	cancelled      *stream.Error // set by Fail
	f              framing
	body           reader
	trailer        stream.Header
	served         int
	scanned        int  // of the head under way, see headEnd
	sent           bool // the request, or a part of it, went to the socket
	bodySent       bool // all of the request did
	gotBytes       bool // something of the response came
	headDone       bool
	key            []byte // of a WebSocket handshake, when it is ours; nil else
	minor          uint8
	informed       uint8 // informational responses before the final one
}

var (
	errNoResponse    = errors.New("the endpoint closed the connection without a response")
	errResponseHead  = &Malformed{502, "response head is too large"}
	errInformational = &Malformed{502, "too many informational responses"}
	errSwitch        = &Malformed{502, "101 Switching Protocols without having been asked"}
)

// maxInformational bounds the 1xx responses to one request.
const maxInformational = 32

// Take starts a client on a connection that was made, over TLS with its handshake
// done; from is closed but for the socket. limits bound response heads.
func (c *Client) Take(from *connection.Conn, limits *Limits, owner ClientOwner) {
	c.owner, c.limits = owner, limits
	c.Conn.Take(from, c)
}

// ConnReady is told of events by the connection.
func (c *Client) ConnReady(ev worker.Events) {
	if c.s == nil {
		if ev != worker.Writable { // the end of the last request was taken
			c.owner.ClientIdle(c)
		}
		return
	}
	if c.reader != nil {
		c.reader.Wake()
	}
	if c.writer != nil {
		c.writer.Wake()
	}
}

// Attach gives the connection to a stream.
func (c *Client) Attach(s *stream.Stream) {
	c.s = s
	c.sent, c.bodySent, c.gotBytes, c.headDone = false, false, false, false
	c.body.done, c.informed, c.scanned, c.cancelled = false, 0, 0, nil
}

// Detach takes the connection from its stream and reports whether another one
// may use it.
func (c *Client) Detach() (reusable bool) {
	c.body.release()
	c.s, c.reader, c.writer = nil, nil, nil
	c.served++
	return c.headDone && c.body.done && c.bodySent && c.IsOpen() && c.Err() == nil && !c.PeerClosed() &&
		c.Buffered() == 0 && c.Pending() == 0 && c.cancelled == nil && !c.f.close && (c.minor >= 1 || c.f.keepAlive) && !c.Finished()
}

// Fail lets what waits on the connection fail with e: a time limit of this try
// alone, which does not end the stream.
func (c *Client) Fail(e *stream.Error) {
	c.cancelled = e
	if c.reader != nil {
		c.reader.Wake()
	}
	if c.writer != nil {
		c.writer.Wake()
	}
}

func (c *Client) wait(co *worker.Coroutine) error {
	if c.cancelled != nil {
		return c.cancelled
	}
	if err := c.s.Wait(co); err != nil {
		return err
	}
	if c.cancelled != nil {
		return c.cancelled
	}
	return nil
}

// Served is how many streams have used the connection.
func (c *Client) Served() int { return c.served }

// Send writes the request's head, and body when it is whole.
func (c *Client) Send(o *stream.Outgoing, body []byte, whole bool) {
	r := &c.s.Request
	out := appendRequest(c.Reserve(requestSize(r, o)), r, o)
	if c.key = challenge(r, o); c.key != nil {
		out = append(append(append(out[:len(out)-2], nameKey+": "...), c.key...), "\r\n\r\n"...)
	}
	c.Commit(out)
	if len(body) > 0 {
		c.Write(body)
	}
	c.sent = true
	c.bodySent = whole
}

// SendBody carries the request's body as fast as it comes and the endpoint
// takes it. It returns stream.ErrStopped when the body was stopped.
func (c *Client) SendBody(co *worker.Coroutine) error {
	r := &c.s.Request
	chunked := r.Length < 0
	for {
		p, err := r.Body.Next(co)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := c.Err(); err != nil {
			return c.failed(stream.PhaseRequestBody, err)
		}
		if len(p) == 0 {
			continue // as a chunk it would end the body
		}
		if chunked {
			c.Commit(appendChunkSize(c.Reserve(chunkOverhead), len(p)))
			c.Write(p)
			c.Commit(append(c.Reserve(2), '\r', '\n'))
		} else {
			c.Write(p)
		}
		if c.Pending() > highWater {
			if err := c.drain(co); err != nil {
				return err
			}
		}
	}
	if chunked {
		trailer := r.Body.Trailer()
		n := 8
		if trailer != nil {
			n += trailer.WireSize()
		}
		c.Commit(appendLastChunk(c.Reserve(n), trailer))
	}
	c.bodySent = true
	return nil
}

func (c *Client) drain(co *worker.Coroutine) error {
	c.Flush()
	c.writer = co
	defer func() { c.writer = nil }()
	for c.Pending() > lowWater {
		if err := c.Err(); err != nil {
			return c.failed(stream.PhaseRequestBody, err)
		}
		if err := c.wait(co); err != nil {
			return err
		}
	}
	return nil
}

// ReadHead waits for the response's head and sets up its body. Informational
// responses are passed on to the client on the way; asked is whether the
// request offered an upgrade.
func (c *Client) ReadHead(co *worker.Coroutine, resp *stream.Response, asked bool) error {
	c.reader = co
	defer func() { c.reader = nil }()
	for c.cancelled == nil {
		done, err := c.PollHead(resp, asked)
		if done || err != nil {
			return err
		}
		if err := c.wait(co); err != nil {
			return err
		}
	}
	return c.cancelled
}

// PollHead is ReadHead as far as it goes without waiting. It reports whether
// the final head is there; after an error it must not be called again.
func (c *Client) PollHead(resp *stream.Response, asked bool) (done bool, err error) {
	for {
		if buf := c.Bytes(); len(buf) > 0 {
			c.gotBytes = true
			end, scanned := headEnd(buf, c.scanned)
			if end > c.limits.Head || end == 0 && len(buf) > c.limits.Head {
				return false, c.protocolError(errResponseHead)
			}
			if end > 0 {
				final, err := c.head(resp, buf[:end], asked)
				if err != nil || final {
					return final, err
				}
				c.scanned = 0
				continue
			}
			c.scanned = scanned
			if buf[0] != 'H' {
				return false, c.protocolError(errStatusLine)
			}
		}
		switch err := c.Fill(headRead); err {
		case nil:
		case connection.ErrWait:
			return false, nil
		default:
			if err == io.EOF {
				err = errNoResponse
				if c.Buffered() > 0 {
					err = errCut
				}
			}
			return false, c.failed(stream.PhaseResponseHead, err)
		}
	}
}

// WakeOn lets w be woken, on the loop's own stack, when PollHead may have more
// to tell or the try is cancelled; nil ends that.
func (c *Client) WakeOn(w stream.Waker) { c.reader = w }

// Cancelled is the error given to Fail, or nil.
func (c *Client) Cancelled() *stream.Error { return c.cancelled }

// head parses one head, which is final unless it is informational.
func (c *Client) head(resp *stream.Response, raw []byte, asked bool) (final bool, err error) {
	resp.Reset()
	c.f = framing{}
	minor, m := parseResponse(resp, raw, c.limits, &c.f)
	if m != nil {
		return false, c.protocolError(m)
	}
	c.Consume(len(raw))
	c.minor = minor
	c.s.Record.UpstreamHead = c.s.Loop.Now()
	if resp.Status == 101 {
		if !asked || resp.Protocol == nil {
			return false, c.protocolError(errSwitch)
		}
		if c.key != nil && !accepted(resp, c.key) {
			return false, c.protocolError(errAccept)
		}
		c.body.start(&c.Conn, noBody, 0, c.limits, nil)
		resp.Upgraded = (*tunnelConn)(c)
		return true, nil
	}
	if resp.Status < 200 {
		if c.informed++; c.informed > maxInformational {
			return false, c.protocolError(errInformational)
		}
		if c.s.Informational != nil {
			c.s.Informational.Inform(resp.Status, &resp.Header)
		}
		return false, nil
	}
	c.headDone = true
	kind := bodyOf(resp, &c.f, string(c.s.Request.Method) == "HEAD")
	c.body.start(&c.Conn, kind, resp.Length, c.limits, &c.trailer)
	c.trailer.Reset()
	if kind == untilClose {
		c.f.close = true
	}
	if kind != noBody {
		resp.Body = (*responseBody)(c)
	} else if resp.Length < 0 && string(c.s.Request.Method) != "HEAD" && resp.Status != 304 {
		resp.Length = 0
	}
	return true, nil
}

// Adopt makes the exchange that of another stream.
func (c *Client) Adopt(s *stream.Stream) { c.s = s }

// Answered reports whether anything of a response came.
func (c *Client) Answered() bool { return c.gotBytes }

func (c *Client) failed(p stream.Phase, cause error) *stream.Error {
	return &stream.Error{Side: stream.Upstream, Phase: p, Flag: stream.UpstreamConnectionEnd, Status: 502, Sent: c.sent, Cause: cause}
}

func (c *Client) protocolError(m *Malformed) *stream.Error {
	return &stream.Error{Side: stream.Upstream, Phase: stream.PhaseResponseHead, Flag: stream.UpstreamProtocolError, Status: 502, Sent: true, Cause: m}
}

// responseBody is a Client as the Body of its response.
type responseBody Client

// Next returns the next piece of the body.
func (b *responseBody) Next(co *worker.Coroutine) ([]byte, error) {
	c := (*Client)(b)
	r := &c.body
	r.release()
	for {
		p, m := r.peek()
		switch {
		case m != nil:
			e := c.protocolError(m)
			e.Phase = stream.PhaseResponseBody
			return nil, e
		case len(p) > 0:
			return r.take(p), nil
		case r.done:
			return nil, io.EOF
		}
		switch err := c.Fill(bodyRead); err {
		case nil:
		case connection.ErrWait:
			c.reader = co
			err := c.wait(co)
			c.reader = nil
			if err != nil {
				return nil, err
			}
		default:
			if r.ended(err) {
				return nil, io.EOF
			}
			return nil, c.failed(stream.PhaseResponseBody, fmt.Errorf("%w: %w", errCut, err))
		}
	}
}

// Buffered returns what is at hand of the body.
func (b *responseBody) Buffered() ([]byte, bool) { return b.body.buffered() }

// Stop does nothing: a response's body is pulled by the coroutine that stops.
func (b *responseBody) Stop() {}

// Trailer is the trailer section, nil when there was none.
func (b *responseBody) Trailer() *stream.Header { return b.body.fields() }

// Tunnel makes the connection, over which nothing was sent, a tunnel: what a
// CONNECT asks for.
func (c *Client) Tunnel() stream.Tunnel {
	c.body.start(&c.Conn, noBody, 0, c.limits, nil)
	return (*tunnelConn)(c)
}

// tunnelConn is a Client as a Tunnel.
type tunnelConn Client

// Read waits for bytes.
func (t *tunnelConn) Read(co *worker.Coroutine) ([]byte, error) {
	c := (*Client)(t)
	c.body.release()
	for {
		if p := c.Bytes(); len(p) > 0 {
			c.body.given = len(p)
			return p, nil
		}
		switch err := c.Fill(bodyRead); err {
		case nil:
		case io.EOF:
			return nil, io.EOF
		case connection.ErrWait:
			c.reader = co
			err := c.wait(co)
			c.reader = nil
			if err != nil {
				return nil, err
			}
		default:
			return nil, c.tunnelError(err)
		}
	}
}

// Write takes all of p.
func (t *tunnelConn) Write(co *worker.Coroutine, p []byte) error {
	c := (*Client)(t)
	c.Conn.Write(p)
	if c.Pending() <= highWater {
		return nil
	}
	return t.until(co, func() bool { return c.Pending() <= lowWater })
}

// until waits until the endpoint has taken what sent asks for.
func (t *tunnelConn) until(co *worker.Coroutine, sent func() bool) error {
	c := (*Client)(t)
	c.Flush()
	c.writer = co
	defer func() { c.writer = nil }()
	for !sent() {
		if err := c.Err(); err != nil {
			return c.tunnelError(err)
		}
		if err := c.wait(co); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) tunnelError(cause error) *stream.Error {
	return &stream.Error{Side: stream.Upstream, Phase: stream.PhaseTunnel, Flag: stream.UpstreamRemoteReset, Sent: true, Cause: cause}
}

// CloseWrite half-closes the connection.
func (t *tunnelConn) CloseWrite(co *worker.Coroutine) error {
	c := (*Client)(t)
	c.Finish()
	return t.until(co, c.Finished)
}

// Close ends both directions.
func (t *tunnelConn) Close() { (*Client)(t).Conn.Close() }
