package proxy

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"unsafe"

	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
)

// forwarding adds what tells an endpoint of the client: X-Forwarded-*,
// Forwarded (RFC 7239), Via and X-Forwarded-Client-Cert, and finds the client's address
// behind proxies that are trusted.
func (e *Edge) forwarding(s *stream.Stream) {
	h := &s.Request.Header
	cfg := e.http
	peer := s.Remote.Addr()
	s.Client = peer
	trusted := cfg.TrustedHops > 0
	if trusted {
		if a, ok := hop(h, cfg.TrustedHops); ok {
			s.Client = a
		}
	}
	e.clientCert(s)
	var text [64]byte
	address := peer.AppendTo(text[:0])
	if cfg.UseRemote {
		appendBytes(s, h, stream.XForwardedFor, "x-forwarded-for", address)
		// What an untrusted client says of scheme and host is not believed.
		if !trusted || !h.HasKnown(stream.XForwardedProto) {
			set(h, stream.XForwardedProto, "x-forwarded-proto", s.Request.Scheme)
		}
		if !trusted || !h.HasKnown(stream.XForwardedHost) {
			if h.HasKnown(stream.XForwardedHost) {
				h.Set("x-forwarded-host", s.Request.Authority)
			} else if len(s.Request.Authority) > 0 {
				h.Add("x-forwarded-host", s.Request.Authority)
			}
		}
	}
	if cfg.Forwarded {
		e.forwarded(s, address)
	}
	if cfg.Via != "" {
		protocol := "1.1 " // as received (RFC 9110 section 7.6.3)
		if s.Request.Minor == 0 {
			protocol = "1.0 "
		}
		appendList(s, h, stream.Via, "via", protocol, cfg.Via)
	}
}

func set(h *stream.Header, id stream.Known, name, value string) {
	if h.HasKnown(id) {
		h.Set(name, []byte(value))
	} else {
		h.AddString(name, value)
	}
}

// hop is the n-th address from the right of all X-Forwarded-For fields.
func hop(h *stream.Header, n int) (netip.Addr, bool) {
	for i := h.Len() - 1; i >= 0; i-- {
		_, list, id, ok := h.At(i)
		if !ok || id != stream.XForwardedFor {
			continue
		}
		for {
			comma := bytes.LastIndexByte(list, ',')
			item := bytes.TrimSpace(list[comma+1:])
			if n--; n == 0 {
				// Without a copy: only the error, dropped here, refers to it.
				a, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(item), len(item)))
				return a.Unmap(), err == nil
			}
			if comma < 0 {
				break
			}
			list = list[:comma]
		}
	}
	return netip.Addr{}, false
}

// forwarded adds an element to Forwarded (RFC 7239 section 4).
func (e *Edge) forwarded(s *stream.Stream, address []byte) {
	element := append(s.Room(len(address)+len(s.Request.Authority)+64), "for="...)
	if s.Remote.Addr().Is6() {
		element = append(append(append(element, `"[`...), address...), `]"`...)
	} else {
		element = append(element, address...)
	}
	if len(s.Request.Authority) > 0 {
		element = append(append(append(element, `;host="`...), s.Request.Authority...), '"')
	}
	element = append(append(element, ";proto="...), s.Request.Scheme...)
	appendBytes(s, &s.Request.Header, stream.Forwarded, "forwarded", element)
}

// appendBytes adds an element to a list field: at the end of its last line, or
// as a field of its own.
func appendBytes(s *stream.Stream, h *stream.Header, id stream.Known, name string, element []byte) {
	old := h.GetKnown(id)
	if old == nil {
		h.Add(name, element)
		return
	}
	n := len(element)
	for i := range h.Len() {
		if _, v, k, ok := h.At(i); ok && k == id {
			n += len(v) + 2
		}
	}
	all := s.Room(n)
	for i := range h.Len() {
		if _, v, k, ok := h.At(i); ok && k == id && len(v) > 0 {
			all = append(append(all, v...), ", "...)
		}
	}
	h.Set(name, append(all, element...))
}

func appendList(s *stream.Stream, h *stream.Header, id stream.Known, name, prefix, value string) {
	element := append(append(s.Room(len(prefix)+len(value)), prefix...), value...)
	appendBytes(s, h, id, name, element)
}

// requestID sees to X-Request-Id by the listener's policy. A new one is a random
// UUID (RFC 9562 version 4).
func (e *Edge) requestID(h *stream.Header) {
	switch e.http.RequestID {
	case snapshot.RequestIDOff:
		return
	case snapshot.RequestIDPreserve:
		if id := h.GetKnown(stream.XRequestID); len(id) > 0 && len(id) <= 128 {
			return
		}
	}
	var raw [16]byte
	a, b := e.proxy.random.Uint64(), e.proxy.random.Uint64()
	for i := range 8 {
		raw[i], raw[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	var text [36]byte
	hex.Encode(text[0:8], raw[0:4])
	hex.Encode(text[9:13], raw[4:6])
	hex.Encode(text[14:18], raw[6:8])
	hex.Encode(text[19:23], raw[8:10])
	hex.Encode(text[24:36], raw[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	if h.HasKnown(stream.XRequestID) {
		h.Set("x-request-id", text[:])
	} else {
		h.Add("x-request-id", text[:])
	}
}
