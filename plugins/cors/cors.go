// Package cors answers what browsers ask before they let a page of one origin read
// what another one serves (the CORS protocol of the Fetch standard, section 3.3).
package cors

import (
	"regexp"
	"strings"

	"longmen/gateway/filter"
	"longmen/gateway/stream"
)

// policy is the filter: who may read what.
type policy struct {
	origins []origin
	// Fields of answers, "" where none is to be sent.
	methods, headers, expose, maxAge string

	credentials bool
	private     bool // pages of the public network may ask for a private one
	refuse      bool // preflights of origins that are not allowed are answered here
}

// origin is one pattern of allowed origins. Exactly one field is set, or any.
type origin struct {
	exact, prefix, suffix, contains string
	regex                           *regexp.Regexp
	any, ignoreCase                 bool
}

func (o *origin) matches(s string) bool {
	if o.ignoreCase {
		s = strings.ToLower(s)
	}
	switch {
	case o.any:
		return true
	case o.regex != nil:
		return o.regex.MatchString(s)
	case o.exact != "":
		return s == o.exact
	case o.prefix != "":
		return strings.HasPrefix(s, o.prefix)
	case o.suffix != "":
		return strings.HasSuffix(s, o.suffix)
	}
	return strings.Contains(s, o.contains)
}

func (p *policy) allows(origin string) bool {
	for i := range p.origins {
		if p.origins[i].matches(origin) {
			return true
		}
	}
	return false
}

// Serve answers preflights, and tells of what may be read of any other answer.
func (p *policy) Serve(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
	h := &s.Request.Header
	from := string(h.Get("origin"))
	allowed := from != "" && p.allows(from)
	if from != "" && string(s.Request.Method) == "OPTIONS" && h.Has("access-control-request-method") {
		switch {
		case allowed:
			return p.preflight(s, from), nil
		case p.refuse:
			resp := s.Respond(200, "", nil)
			resp.Header.AddString("vary", "Origin")
			return resp, nil
		}
	}
	resp, err := filter.Answer(s, next)
	if err != nil {
		return nil, err
	}
	vary(&resp.Header)
	if allowed {
		// What the endpoint says about this is replaced: two answers are none.
		p.allow(&resp.Header, from)
		set(&resp.Header, "access-control-expose-headers", p.expose)
	}
	return resp, nil
}

// preflight answers the question whether a request may be made.
func (p *policy) preflight(s *stream.Stream, from string) *stream.Response {
	private := string(s.Request.Header.Get("access-control-request-private-network")) == "true"
	resp := s.Respond(200, "", nil)
	h := &resp.Header
	h.AddString("vary", "Origin")
	p.allow(h, from)
	set(h, "access-control-allow-methods", p.methods)
	set(h, "access-control-allow-headers", p.headers)
	set(h, "access-control-max-age", p.maxAge)
	if p.private && private {
		h.AddString("access-control-allow-private-network", "true")
	}
	return resp
}

// allow names the origin that may read the answer. It is the one that asked and
// never "*", which does not go with credentials.
func (p *policy) allow(h *stream.Header, from string) {
	set(h, "access-control-allow-origin", from)
	h.Remove("access-control-allow-credentials")
	if p.credentials {
		h.AddString("access-control-allow-credentials", "true")
	}
}

func set(h *stream.Header, name, value string) {
	if value != "" {
		h.Set(name, []byte(value))
	}
}

// vary tells caches that the answer depends on the origin (RFC 9110 section
// 12.5.5), unless it says so already.
func vary(h *stream.Header) {
	for i := range h.Len() {
		name, value, _, ok := h.At(i)
		if !ok || string(name) != "vary" {
			continue
		}
		for member := range strings.SplitSeq(string(value), ",") {
			if member = strings.TrimSpace(member); member == "*" || strings.EqualFold(member, "origin") {
				return
			}
		}
	}
	h.AddString("vary", "Origin")
}
