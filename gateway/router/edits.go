package router

import (
	"fmt"

	"longmen/gateway/stream"
)

// Apply makes the edits on h, the head of s's request or of resp. A value that
// comes out empty, because what it is made of is absent, writes no field; only a
// template that is empty itself writes an empty one. resp is nil when h is the
// request's.
func (e *HeaderEdits) Apply(h *stream.Header, s *stream.Stream, resp *stream.Response) {
	if e == nil {
		return
	}
	for _, name := range e.Remove {
		h.Remove(name)
	}
	var buf [512]byte
	for i := range e.Fields {
		f := &e.Fields[i]
		switch f.Action {
		case AddIfAbsent:
			if h.Has(f.Name) {
				continue
			}
		case SetIfPresent:
			if !h.Has(f.Name) {
				continue
			}
		}
		text, constant := f.Value.Constant()
		if constant && f.Action != SetAlways && f.Action != SetIfPresent {
			h.AddString(f.Name, text)
			continue
		}
		value := f.Value.AppendValue(buf[:0], s, resp)
		switch {
		case len(value) == 0 && !constant:
		case f.Action == SetAlways || f.Action == SetIfPresent:
			h.Set(f.Name, value)
		default:
			h.Add(f.Name, value)
		}
	}
}

// Check refuses edits that would break a message: of names that are none, of the
// fields that frame a message or belong to one connection (RFC 9110 section
// 7.6.1), which the gateway writes itself, of Host, which is the authority's to
// change, and values that no field may have.
func (e *HeaderEdits) Check() error {
	for _, name := range e.Remove {
		if err := checkFieldName(name); err != nil {
			return err
		}
	}
	for i := range e.Fields {
		f := &e.Fields[i]
		if err := checkFieldName(f.Name); err != nil {
			return err
		}
		if f.Value == nil || !f.Value.IsFieldValue() {
			return fmt.Errorf("%q: the value holds control characters or begins or ends with a blank", f.Name)
		}
	}
	return nil
}

func checkFieldName(name string) error {
	if name == "host" || name != "" && name[0] == ':' {
		return fmt.Errorf("%q cannot be edited: a host rewrite changes the authority, a path rewrite the path", name)
	}
	if !stream.IsToken(name) {
		return fmt.Errorf("%q is no header name", name)
	}
	if name != lowerString(name) {
		return fmt.Errorf("%q is not in lower case", name)
	}
	switch stream.KnownName(name) {
	case stream.Connection, stream.ContentLength, stream.KeepAlive, stream.ProxyConnection, stream.TE,
		stream.Trailer, stream.TransferEncoding, stream.Upgrade:
		return fmt.Errorf("%q cannot be edited: the gateway writes it itself", name)
	}
	return nil
}
