package proxy

import "longmen/gateway/stream"

const clientCertField = "x-forwarded-client-cert"

// clientCert does with X-Forwarded-Client-Cert what the listener asks for. An
// endpoint believes the field, so what a client wrote into it gets through only
// where the listener says so.
func (e *Edge) clientCert(s *stream.Stream) {
	h, shown := &s.Request.Header, s.TLS != nil && s.TLS.Peer != nil
	if !shown && !h.HasKnown(stream.XForwardedClientCert) {
		return
	}
	received := joined(s, h, stream.XForwardedClientCert)
	keep, add := e.http.ClientCert.Decide(received, shown)
	if keep && !add {
		return
	}
	h.Remove(clientCertField)
	if !add {
		return
	}
	element := s.TLS.Element(e.http.ClientCertDetails)
	if !keep {
		h.AddString(clientCertField, element)
		return
	}
	value := append(s.Room(len(received)+1+len(element)), received...)
	h.Add(clientCertField, append(append(value, ','), element...))
}

// joined is the value of a list field, its lines joined by commas.
func joined(s *stream.Stream, h *stream.Header, id stream.Known) []byte {
	n, lines := 0, 0
	for i := range h.Len() {
		if _, v, k, ok := h.At(i); ok && k == id {
			n += len(v) + 1
			lines++
		}
	}
	if lines < 2 {
		return h.GetKnown(id)
	}
	all := s.Room(n)
	for i := range h.Len() {
		if _, v, k, ok := h.At(i); ok && k == id && len(v) > 0 {
			if len(all) > 0 {
				all = append(all, ',')
			}
			all = append(all, v...)
		}
	}
	return all
}
