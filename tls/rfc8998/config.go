package rfc8998

import (
	"crypto/rand"
	"crypto/tls"
	"io"
	"time"

	"github.com/emmansun/gmsm/smx509"
)

// A ServerConfig is what one handshake of a server goes by. It may be shared by handshakes
// that run at once.
type ServerConfig struct {
	// Certificate is the chain, leaf first, its key and, if there is one, its OCSP response.
	// The leaf's key is of SM2; PrivateKey is a crypto.Signer that takes an
	// *sm2.SM2SignerOption and the message as it is, as *sm2.PrivateKey does.
	Certificate *tls.Certificate

	// Protocols are those to choose from by ALPN, the preferred first. If there are some, a
	// client that offers others only is refused; one that offers none is served.
	Protocols []string

	// ClientAuth says whether clients are asked for a certificate, and whether it has to be
	// there and to be verified.
	ClientAuth tls.ClientAuthType
	// ClientRoots are what client certificates have to descend from; their names are told to
	// clients. Nil stands for the system's.
	ClientRoots *smx509.CertPool
	// VerifyClient, if not nil, stands in for the verification against ClientRoots: it gets
	// the chain in DER, leaf first, at least one. An error that is no *handshake.Error is told
	// as bad_certificate.
	VerifyClient func(chain [][]byte) error

	// Tickets seals the sessions that clients bring back; nil: there is no resumption.
	Tickets Tickets
	// TicketLifetime is how long a ticket is good for, and is cut to 7 days, to which also a
	// session is held that lives on from ticket to ticket. 0 stands for 24 hours.
	TicketLifetime time.Duration

	// Time is the clock for certificates and tickets; nil stands for time.Now.
	Time func() time.Time
	// Random is the source of secrets; nil stands for crypto/rand's.
	Random io.Reader
	// KeyLog, if not nil, gets the secrets of each connection in the format of NSS. Whoever
	// reads it can read the traffic.
	KeyLog io.Writer
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

// A ClientConfig is what one handshake of a client goes by. It may be shared by handshakes
// that run at once.
type ClientConfig struct {
	// ServerName is the name or the IP address that the server's certificate has to be for. A
	// name is sent to the server.
	ServerName string

	// Protocols are offered by ALPN, the preferred first; none: ALPN is not offered.
	Protocols []string

	// Certificate is shown if the server asks for one; nil: there is none. It is as in
	// ServerConfig.
	Certificate *tls.Certificate

	// Roots are what the server's certificate has to descend from; nil stands for the
	// system's.
	Roots *smx509.CertPool
	// VerifyServer, if not nil, stands in for the verification against Roots and ServerName:
	// it gets the chain in DER, leaf first, at least one. An error that is no
	// *handshake.Error is told as bad_certificate.
	VerifyServer func(chain [][]byte) error
	// InsecureSkipVerify takes any certificate: whoever is on the way can be the server.
	InsecureSkipVerify bool

	// Sessions keeps sessions for resumption; nil: there is none.
	Sessions *Sessions
	// SessionKey is what sessions are kept under: all that is used with one key has to have
	// the same peers and the same way of verifying them. "" stands for ServerName.
	SessionKey string

	// Time, Random and KeyLog are as in ServerConfig.
	Time   func() time.Time
	Random io.Reader
	KeyLog io.Writer

	holdShare bool // no share in the first hello, which RFC 8446 §4.2.8 allows: tests of retries
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
