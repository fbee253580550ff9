package proxy

import "longmen/gateway/stream"

// Challenges gives the answers by which an authority sees that a name is ours
// (RFC 8555 section 8.3); nil where nothing is pending for a token.
type Challenges interface {
	// Active reports whether there can be any.
	Active() bool
	// Token does not block.
	Token(token []byte) []byte
	// StoredToken finds what other gateways are waiting for. It reads files.
	StoredToken(token string) []byte
}

const challengePath = "/.well-known/acme-challenge/"

// challenge answers a request for a challenge's token. Its response is nil for any
// other request; ErrCoroutine says that Resume will look further.
func (e *Edge) challenge(s *stream.Stream) (*stream.Response, error) {
	r, all := &s.Request, e.proxy.Challenges
	if len(r.Path) <= len(challengePath) || string(r.Path[:len(challengePath)]) != challengePath {
		return nil, nil
	}
	token := r.Path[len(challengePath):]
	if all == nil || string(r.Method) != "GET" && string(r.Method) != "HEAD" || !all.Active() {
		return nil, nil
	}
	if answer := all.Token(token); answer != nil {
		return e.solved(s, answer), nil
	}
	s.End = &lookup{token: string(token)}
	return nil, stream.ErrCoroutine
}

// lookup is a stream's while it is not known whether its token is pending.
type lookup struct{ token string }

// EndStream is called when the stream ends: a lookup holds nothing.
func (*lookup) EndStream(*stream.Stream) {}

// resume looks for a token that another gateway has ordered. Without one the
// request goes its way.
func (l *lookup) resume(e *Edge, s *stream.Stream) (*stream.Response, error) {
	s.End = nil
	var answer []byte
	if err := s.Await(func() error { answer = e.proxy.Challenges.StoredToken(l.token); return nil }); err != nil {
		return nil, err
	}
	if answer != nil {
		return e.solved(s, answer), nil
	}
	return e.route(s)
}

func (e *Edge) solved(s *stream.Stream, answer []byte) *stream.Response {
	s.Record.Route = "acme-challenge"
	resp := s.Respond(200, "application/octet-stream", answer)
	e.ours(resp)
	e.finish(s, resp)
	return resp
}
