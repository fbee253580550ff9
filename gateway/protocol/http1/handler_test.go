package http1

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// handle is the application of the tests: the path says what it does.
func handle(s *stream.Stream) (*stream.Response, error) {
	r := &s.Request
	path := string(r.Path)
	switch path {
	case "/hello":
		return s.Respond(200, "", hello), nil
	case "/echo":
		return echo(s)
	case "/none":
		return s.Respond(204, "", nil), nil
	case "/unchanged":
		resp := s.Respond(304, "", nil)
		resp.Length = 5
		return resp, nil
	case "/error":
		return nil, errors.New("the handler failed")
	case "/drop":
		return nil, &stream.Error{Side: stream.Local, Flag: stream.LocalReset, Cause: errors.New("not answered")}
	case "/panic":
		panic("the handler panics")
	case "/hints":
		var h stream.Header
		h.AddString("link", "a")
		if s.Informational != nil {
			s.Informational.Inform(103, &h)
		}
		return s.Respond(200, "", hello), nil
	case "/wait":
		for {
			if err := s.Wait(s.Co); err != nil {
				return nil, err
			}
		}
	case "/one-piece":
		// Takes one piece of the body and does not look for its end.
		p, err := r.Body.Next(s.Co)
		if err != nil {
			return nil, err
		}
		return s.Respond(200, "", append(s.Room(len(p)), p...)), nil
	case "/tunnel":
		resp := s.Respond(101, "", nil)
		resp.Protocol = r.Upgrade
		resp.Upgraded = &echoTunnel{s: s}
		return resp, nil
	case "/big", "/big-chunked", "/big-short", "/big-long":
		n, _ := strconv.Atoi(string(r.Query))
		resp := s.Respond(200, "", nil)
		resp.Body, resp.Length = &pieces{n: n / len(bigPiece), piece: bigPiece}, int64(n)
		switch path {
		case "/big-chunked":
			resp.Length = -1
		case "/big-short":
			resp.Length++
		case "/big-long":
			resp.Length--
		}
		return resp, nil
	case "/pieces", "/empty-pieces", "/panic-in-body", "/trailer", "/fail-in-body":
		resp := s.Respond(200, "", nil)
		b := &pieces{n: 3, piece: []byte("piece"), wait: true}
		resp.Body, resp.Length = b, -1
		b.panics, b.empty = path == "/panic-in-body", path == "/empty-pieces"
		if path == "/fail-in-body" {
			b.err = &stream.Error{Side: stream.Upstream, Phase: stream.PhaseResponseBody, Flag: stream.UpstreamConnectionEnd, Cause: io.ErrUnexpectedEOF}
		}
		if path == "/trailer" {
			b.trailer.AddString("x-sum", "1")
		}
		return resp, nil
	}
	return s.Respond(404, "", fmt.Appendf(s.Room(100), "no %s\n", path)), nil
}

var (
	hello    = []byte("hello")
	bigPiece = make([]byte, 10000)
)

// echo answers with the request's body, and its trailer's x-sum behind it.
func echo(s *stream.Stream) (*stream.Response, error) {
	var all []byte
	if b := s.Request.Body; b != nil {
		for {
			p, err := b.Next(s.Co)
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, err
			}
			all = append(all, p...)
		}
		if t := b.Trailer(); t != nil {
			all = append(append(all, '|'), t.Get("x-sum")...)
		}
	}
	return s.Respond(200, "", all), nil
}

// pieces is a Body of n equal pieces.
type pieces struct {
	n, given int
	piece    []byte
	wait     bool // let the loop turn between two of them
	panics   bool // after the first
	empty    bool // an empty piece before each
	was      bool // the last one was empty
	err      error
	trailer  stream.Header
}

func (b *pieces) Next(co *worker.Coroutine) ([]byte, error) {
	if b.wait {
		co.Yield()
	}
	if b.given > 0 && b.panics {
		panic("a body panics")
	}
	if b.given > 0 && b.err != nil {
		return nil, b.err
	}
	if b.given == b.n {
		return nil, io.EOF
	}
	if b.was = b.empty && !b.was; b.was {
		return b.piece[:0], nil
	}
	b.given++
	return b.piece, nil
}

func (b *pieces) Buffered() ([]byte, bool) { return nil, false }
func (b *pieces) Stop()                    {}
func (b *pieces) Trailer() *stream.Header {
	if b.trailer.Count() == 0 {
		return nil
	}
	return &b.trailer
}

// echoTunnel gives back what is written to it.
type echoTunnel struct {
	s      *stream.Stream
	data   []byte
	out    []byte
	reader *worker.Coroutine
	ended  bool
	closed int
}

func (t *echoTunnel) Read(co *worker.Coroutine) ([]byte, error) {
	t.reader = co
	for {
		if len(t.data) > 0 {
			t.out = append(t.out[:0], t.data...)
			t.data = t.data[:0]
			return t.out, nil
		}
		if t.ended {
			return nil, io.EOF
		}
		if err := t.s.Wait(co); err != nil {
			return nil, err
		}
	}
}

func (t *echoTunnel) Write(_ *worker.Coroutine, p []byte) error {
	t.data = append(t.data, p...)
	t.wake()
	return nil
}

func (t *echoTunnel) wake() {
	if t.reader != nil {
		t.reader.Wake()
	}
}

func (t *echoTunnel) CloseWrite(*worker.Coroutine) error {
	t.ended = true
	t.wake()
	return nil
}
func (t *echoTunnel) Close() { t.closed++ }
