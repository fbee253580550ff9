package tls13

import (
	"crypto/rand"
	"crypto/tls"
	"io"
	"time"

	"github.com/emmansun/gmsm/smx509"
)

// ClientAuth says whether a client must show a certificate. One that it shows is always
// verified.
type ClientAuth uint8

// The modes.
const (
	ClientAuthNone    ClientAuth = iota // not asked for
	ClientAuthOffered                   // asked for; a client without one is served too
	ClientAuthRequire                   // asked for; without one the handshake fails
)

// A ServerConfig is what handshakes of a server go by. Many may use one at once; none changes
// it.
type ServerConfig struct {
	// Certificate is the chain, leaf first, its key and, if there is one, its OCSP response.
	// The leaf's key is of SM2; PrivateKey is a crypto.Signer that takes an
	// *sm2.SM2SignerOption and the message as it is, as *sm2.PrivateKey does.
	Certificate *tls.Certificate

	// Protocols are those to choose from by ALPN, the preferred first. If there are some, a
	// client that offers others only is refused; one that offers none is served.
	Protocols []string

	ClientAuth ClientAuth
	// ClientCAs is what client certificates are verified up to; clients are told of it. If it is
	// nil, VerifyPeer judges alone, and PeerVerified of the result stays false.
	ClientCAs *smx509.CertPool
	// VerifyPeer, if not nil, has the last word on a client's chain, leaf first as it was
	// received, after it was verified: in full handshakes and in resumed ones. An error that
	// is no *handshake.Error is told as bad_certificate.
	VerifyPeer func(chain []*smx509.Certificate) error

	// Tickets seals the sessions that clients bring back; nil: there is no resumption.
	// A ticket is good for the server name that it was given out for, and a client's
	// certificate in it is verified again.
	Tickets Tickets
	// TicketLifetime is how long a ticket is good for. It is cut to 7 days, to which also a
	// session is held that lives on from ticket to ticket. 0 stands for 24 hours.
	TicketLifetime time.Duration

	// Groups are those for the key exchange of ServerStandard; none: all that it knows.
	Groups []tls.CurveID
	// EarlyData says what of 0-RTT is accepted; nil: nothing.
	EarlyData *EarlyData

	Time   func() time.Time // nil: time.Now
	Rand   io.Reader        // nil: the system's
	KeyLog io.Writer        // gets the secrets (NSS key log format), one line a Write; nil: nobody does
}

// Tickets seals what clients are to bring back; *ticket.Keys does. Tickets have to be secret,
// and authentic: Open takes none that Seal did not make.
type Tickets interface {
	// Seal appends to dst a ticket with this content.
	Seal(dst, content []byte, now time.Time) ([]byte, error)
	// Open gives the content of a ticket in memory of its own; an error if the ticket is not
	// one of ours, or of a key that was given up.
	Open(ticket []byte, now time.Time) (content []byte, renew bool, err error)
}

// A ClientConfig is how a client goes about handshakes. Many may use one at once; none
// changes it.
type ClientConfig struct {
	// ServerName is sent, unless it is an IP address, and verified in the server's
	// certificate unless VerifyName is.
	ServerName string
	VerifyName string
	Roots      *smx509.CertPool // what the server's certificate is verified up to; nil: the system's
	// Insecure verifies neither chain nor name: whoever is on the way can be the server. Its
	// signature is checked still.
	Insecure bool
	// VerifyPeer, if not nil, has the last word on the server's chain, leaf first as it was
	// received, after it was verified (or not, if Insecure): in full handshakes and before a
	// session is resumed. An error that is no *handshake.Error is told as bad_certificate.
	VerifyPeer func(chain []*smx509.Certificate) error

	Certificate *tls.Certificate // shown if the server asks, as in ServerConfig; nil: none
	Protocols   []string         // ALPN, in order of preference; none: not offered

	Sessions *Sessions // nil: none is resumed
	// SessionKey is what sessions are kept under; "" stands for ServerName. What is used with
	// one key has to have the same servers and the same roots: a resumed session's chain is
	// not verified up to the roots again.
	SessionKey string

	Time   func() time.Time // nil: time.Now
	Rand   io.Reader        // nil: the system's
	KeyLog io.Writer        // as in ServerConfig

	holdShare bool // no share in the first hello, which RFC 8446 §4.2.8 allows: tests of retries
}

// verifyName is the name that the server's certificate has to be for.
func (c *ClientConfig) verifyName() string {
	if c.VerifyName != "" {
		return c.VerifyName
	}
	return c.ServerName
}

func clock(now func() time.Time) time.Time {
	if now == nil {
		return time.Now()
	}
	return now()
}

func source(random io.Reader) io.Reader {
	if random == nil {
		return rand.Reader
	}
	return random
}

func randomBytes(random io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(random, b)
	return b, err
}
