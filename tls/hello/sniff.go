// Package hello reads what a connection begins with: which protocol it is
// (Sniff), the bytes of its ClientHello (Find), and what the ClientHello says
// (ClientHello.Parse), with its JA3 and JA4 fingerprints on demand. It does no
// I/O, and keeps nothing between calls: the caller holds the bytes received so
// far, as it must anyway to hand them to a handshake or to pass them through.
package hello

// Protocol is what a connection's first bytes are.
type Protocol uint8

const (
	Short Protocol = iota // too few bytes to tell; at most 5 are needed
	Plain                 // no TLS
	TLS                   // SSL 3.0 to TLS 1.3
	TLCP                  // GB/T 38636
	SSLv2                 // a hello in SSL 2.0's form (RFC 5246 E.2), which is always to be refused
)

func (p Protocol) String() string {
	switch p {
	case Short:
		return "short"
	case Plain:
		return "plain"
	case TLS:
		return "tls"
	case TLCP:
		return "tlcp"
	case SSLv2:
		return "sslv2"
	}
	return "unknown"
}

// The wire's numbers that more than one file needs.
const (
	recordHeader    = 5
	typeHandshake   = 22
	typeClientHello = 1
	versionTLCP     = 0x0101
)

// Sniff says what the first bytes p of a connection are: a TLS record of type
// handshake begins 16 03, a TLCP record 16 01 01 (GB/T 38636-2020, 6.3.3). What
// is neither is Plain, text or not.
func Sniff(p []byte) Protocol {
	if len(p) == 0 {
		return Short
	}
	switch {
	case p[0] == typeHandshake:
		return sniffRecord(p)
	case p[0]&0x80 != 0:
		return sniffSSLv2(p)
	}
	return Plain
}

func sniffRecord(p []byte) Protocol {
	switch {
	case len(p) < 2:
		return Short
	case p[1] == 3:
		return TLS
	case p[1] != versionTLCP>>8:
		return Plain
	case len(p) < 3:
		return Short
	case p[2] == versionTLCP&0xff:
		return TLCP
	}
	return Plain
}

// sniffSSLv2 looks at a first byte that has its high bit set: the length of an
// SSL 2.0 record, before the message type and the version, which is 0.2 or 3.x.
func sniffSSLv2(p []byte) Protocol {
	switch {
	case len(p) < 3:
		return Short
	case p[2] != typeClientHello:
		return Plain
	case len(p) < 4:
		return Short
	case p[3] == 3:
		return SSLv2
	case p[3] != 0:
		return Plain
	case len(p) < 5:
		return Short
	case p[4] == 2:
		return SSLv2
	}
	return Plain
}
