package verify

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// Forwarding is what happens to x-forwarded-client-cert: Envoy's
// forward_client_cert_details.
type Forwarding uint8

const (
	Sanitize          Forwarding = iota // it is removed
	ForwardOnly                         // it is passed on from peers that showed a certificate, else removed
	AppendForward                       // likewise, with an element for this connection appended
	SanitizeSet                         // it is replaced by an element for this connection
	AlwaysForwardOnly                   // it is passed on from anybody
)

// Details are what an element tells beside By and Hash: Envoy's
// set_current_client_cert_details.
type Details struct {
	Cert    bool // the certificate, URL-encoded PEM
	Chain   bool // all certificates that the peer sent, likewise
	Subject bool
	URI     bool
	DNS     bool
}

// Bounds of a value that AppendForward appends to.
const (
	maxXFCC         = 64 << 10 // bytes
	maxXFCCElements = 64
)

// Element is the element of x-forwarded-client-cert for a peer, the same for all
// requests of its connection; by are the URIs in the certificate that this side
// showed. It is written as Envoy does, with two exceptions that keep a value from
// being taken for something else: URIs and DNS names with one of , ; = " are
// quoted, as Envoy's documentation says and its code does not, and bytes in them
// that are not printable are percent-encoded.
func (d Details) Element(peer *Peer, by []string) string {
	var b strings.Builder
	for _, uri := range by {
		writeValue(&b, "By", uri)
	}
	writeKey(&b, "Hash")
	b.WriteString(hex.EncodeToString(peer.Hash[:]))
	if d.Cert && len(peer.Chain) > 0 {
		writeKey(&b, "Cert")
		writePEM(&b, peer.Chain[:1])
	}
	if d.Chain && len(peer.Chain) > 0 {
		writeKey(&b, "Chain")
		writePEM(&b, peer.Chain)
	}
	if d.Subject {
		writeKey(&b, "Subject")
		b.WriteByte('"')
		b.WriteString(peer.Subject) // a quote in it is escaped already
		b.WriteByte('"')
	}
	if d.URI && len(peer.names.uris) == 0 {
		writeKey(&b, "URI")
	}
	if d.URI {
		for _, uri := range peer.names.uris {
			writeValue(&b, "URI", uri)
		}
	}
	if d.DNS {
		for _, name := range peer.names.dns {
			writeValue(&b, "DNS", name)
		}
	}
	return b.String()
}

func writeKey(b *strings.Builder, key string) {
	if b.Len() > 0 {
		b.WriteByte(';')
	}
	b.WriteString(key)
	b.WriteByte('=')
}

func writeValue(b *strings.Builder, key, value string) {
	writeKey(b, key)
	quote := strings.ContainsAny(value, `,;="`)
	if quote {
		b.WriteByte('"')
	}
	for i := range len(value) {
		switch c := value[i]; {
		case c == '"':
			b.WriteString(`\"`)
		case c <= ' ' || c >= 0x7f || c == '\\':
			b.WriteByte('%')
			b.WriteString(strings.ToUpper(hex.EncodeToString([]byte{c})))
		default:
			b.WriteByte(c)
		}
	}
	if quote {
		b.WriteByte('"')
	}
}

// writePEM writes certificates in PEM with those bytes encoded that Envoy does.
func writePEM(b *strings.Builder, chain [][]byte) {
	b.WriteByte('"')
	for _, der := range chain {
		b.Write(AppendPEM(make([]byte, 0, 80+2*len(der)), der))
	}
	b.WriteByte('"')
}

// AppendPEM appends a certificate in DER as PEM that is URL-encoded as Envoy does:
// what Cert of an element holds.
func AppendPEM(dst, der []byte) []byte {
	dst = append(dst, "-----BEGIN%20CERTIFICATE-----%0A"...)
	for len(der) > 0 {
		n := min(48, len(der))
		var line [64]byte
		base64.StdEncoding.Encode(line[:], der[:n])
		for _, c := range line[:(n+2)/3*4] {
			switch c {
			case '+':
				dst = append(dst, "%2B"...)
			case '/':
				dst = append(dst, "%2F"...)
			case '=':
				dst = append(dst, "%3D"...)
			default:
				dst = append(dst, c)
			}
		}
		dst = append(dst, "%0A"...)
		der = der[n:]
	}
	return append(dst, "-----END%20CERTIFICATE-----%0A"...)
}

// Decide says what the value of x-forwarded-client-cert for the next hop is made
// of: what the request brought, an element of Details.Element, both with a comma
// between them, or neither: no such field. received is the field's value (lines
// joined by commas), empty for none; shown says whether the connection's peer
// showed a certificate. A received value to which nothing can be appended safely
// is dropped: one in which a quote is left open, or with more than 64 elements or
// 64 KB.
func (f Forwarding) Decide(received []byte, shown bool) (keep, add bool) {
	switch {
	case f == AlwaysForwardOnly:
		return true, false
	case f == Sanitize || !shown:
		return false, false
	case f == ForwardOnly:
		return true, false
	}
	return f == AppendForward && len(received) > 0 && appendable(received), true
}

// appendable says whether a comma behind value would begin a new element.
func appendable(value []byte) bool {
	if len(value) > maxXFCC {
		return false
	}
	quoted, elements := false, 1
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			elements++
		}
	}
	return !quoted && elements < maxXFCCElements
}
