package proxy

import (
	"errors"
	"fmt"

	"longmen/gateway/protocol/cdnloop"
	"longmen/gateway/stream"
	"longmen/gateway/upstream"
)

// loopGuard refuses requests that come round (RFC 8586). Requests to other
// gateways carry our token at the end of CDN-Loop; one that comes with it has been here.
type loopGuard struct {
	id     string
	hops   int
	tokens [3][]byte // by upstream.Sent: what is added
	status []byte    // Proxy-Status of a refusal
}

// GuardLoops sets how requests that come round are refused. It is to be called before any
// request comes.
func (p *Proxy) GuardLoops(g cdnloop.Guard) {
	if g.ID == "" {
		p.guard = nil
		return
	}
	hops := g.Hops
	if hops <= 0 {
		hops = cdnloop.DefaultHops
	}
	p.guard = &loopGuard{id: g.ID, hops: hops, status: fmt.Appendf(nil, "%q; error=%s", g.ID, loopDetected)}
	for why := range p.guard.tokens {
		token := g.ID
		if sent := upstream.Sent(why); sent != upstream.SentNot {
			token += ";" + upstream.SentParameter + "=" + sent.String()
		}
		p.guard.tokens[why] = []byte(token)
	}
}

// loopDetected is the error of Proxy-Status (RFC 9209 section 2.3.24) that tells a
// gateway that the request was refused because it came round: nothing was done with it.
const loopDetected = "proxy_loop_detected"

var (
	errCameRound = errors.New("the request came round")
	errHops      = errors.New("the request came through too many gateways")
)

// cameRound looks at a request that has come through other gateways.
func (g *loopGuard) cameRound(h *stream.Header) error {
	hops, own := 0, false
	for i := range h.Len() {
		_, list, id, ok := h.At(i)
		if !ok || id != stream.CDNLoop {
			continue
		}
		for {
			info, rest, err := cdnloop.Next(list)
			if err != nil {
				return &stream.Error{Side: stream.Downstream, Phase: stream.PhaseRequestHead, Flag: stream.DownstreamProtocolError, Status: 400, Cause: err}
			}
			if info.ID == nil {
				break
			}
			hops++
			own = own || info.Is(g.id)
			list = rest
		}
	}
	cause := errHops
	switch {
	case own:
		cause = errCameRound
	case hops < g.hops:
		return nil
	}
	return local(stream.PhaseRoute, stream.LoopDetected, 508, fmt.Errorf("%w: CDN-Loop: %s; this is %s", cause, path(h), g.id))
}

// mostPath bounds what a log line says of a request's way, in bytes.
const mostPath = 256

// path is the way that the request has come, for the log.
func path(h *stream.Header) []byte {
	var all []byte
	for i := range h.Len() {
		if _, list, id, ok := h.At(i); ok && id == stream.CDNLoop {
			if len(all) > 0 {
				all = append(all, ", "...)
			}
			all = append(all, list...)
		}
	}
	if len(all) > mostPath {
		all = append(all[:mostPath], "..."...)
	}
	return all
}

// sign adds our token to a request that goes on.
func (p *Proxy) sign(s *stream.Stream, why upstream.Sent) {
	if p.guard != nil {
		appendBytes(s, &s.Request.Header, stream.CDNLoop, "cdn-loop", p.guard.tokens[why])
	}
}
