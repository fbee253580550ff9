package router

import (
	"bytes"
	"slices"

	"longmen/gateway/stream"
)

// Value is what the policy has of a request to hash, nil when there is nothing.
// It may be the request's own memory. Several values of one header field are
// put together in sorted order, as Envoy does, so that their order does not count.
func (p *HashPolicy) Value(s *stream.Stream) []byte {
	r := &s.Request
	switch p.Kind {
	case HashHeader:
		return p.header(s)
	case HashCookie:
		value, _ := CookieValue(&r.Header, p.Name)
		return value
	case HashSourceIP:
		if !s.Client.IsValid() {
			return nil
		}
		return s.Client.AppendTo(s.Room(64))
	case HashQuery:
		value, _ := queryValue(r.Query, p.Name)
		return value
	}
	return r.Path
}

// header is the value of a HashHeader.
func (p *HashPolicy) header(s *stream.Stream) []byte {
	r := &s.Request
	switch p.Name {
	case ":authority":
		return p.rewritten(s, r.Authority)
	case ":method":
		return p.rewritten(s, r.Method)
	case ":path":
		return p.rewritten(s, appendQuery(append(s.Room(len(r.Path)+len(r.Query)+1), r.Path...), r))
	}
	h, id := &r.Header, stream.KnownName(p.Name)
	var only []byte
	var all [][]byte // nil while there is one
	for i := range h.Len() {
		name, value, fieldID, ok := h.At(i)
		if !ok || fieldID != id || id == stream.Other && string(name) != p.Name {
			continue
		}
		value = p.rewritten(s, value)
		switch {
		case only == nil:
			if only = value; only == nil {
				only = []byte{} // it is there
			}
		case all == nil:
			all = [][]byte{only, value}
		default:
			all = append(all, value)
		}
	}
	if all == nil {
		return only
	}
	slices.SortFunc(all, bytes.Compare)
	return bytes.Join(all, nil)
}

// rewritten is a field's value as the policy changes it.
func (p *HashPolicy) rewritten(s *stream.Stream, value []byte) []byte {
	if p.Regex == nil {
		return value
	}
	return p.Regex.replace(s.Room(len(value)+64), value)
}
