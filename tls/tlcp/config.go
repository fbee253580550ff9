package tlcp

import (
	"errors"
	"io"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/record"
)

// ClientAuth says whether a client must show certificates. Those that it shows are always
// verified.
type ClientAuth uint8

// The modes. Without ClientAuthNone the suites of ECDHE, which cannot do without a client's
// certificates, take any: the client stays as unknown as in the other suites.
const (
	ClientAuthNone    ClientAuth = iota // not asked for
	ClientAuthOffered                   // asked for; a client without them is served too
	ClientAuthRequire                   // asked for; without them the handshake fails
)

// ServerConfig is how a server speaks TLCP. Many handshakes may use one at once; none
// changes it.
type ServerConfig struct {
	Certificate *Certificate // both leaves and both keys
	Suites      []uint16     // in order of preference; nil: Suites
	Protocols   []string     // ALPN, in order of preference; nil: the client's offer is passed over

	ClientAuth ClientAuth
	// ClientCAs is what client certificates are verified up to; clients are told of it. If it is
	// nil, VerifyPeer judges alone, and PeerVerified of the result stays false.
	ClientCAs *smx509.CertPool
	// VerifyPeer, if not nil, has the last word on a client's certificates, in the order of
	// handshake.Result.PeerChain, after they were verified: in full handshakes and in resumed
	// ones. An error that is no *handshake.Error is told as bad_certificate.
	VerifyPeer func(chain []*smx509.Certificate) error

	Sessions SessionCache // nil: none is resumed
	// Context sets apart sessions that must not go from one use of a cache to another: it
	// stands for the domain and for what its clients are verified by.
	Context string

	Rand   io.Reader        // nil: the system's
	Time   func() time.Time // nil: time.Now
	KeyLog io.Writer        // gets each master secret (NSS key log format); nil: nobody does
}

// ClientConfig is how a client speaks TLCP. Many handshakes may use one at once; none
// changes it.
type ClientConfig struct {
	// ServerName is sent, unless it is an IP address, and verified in the server's
	// certificates unless VerifyName is.
	ServerName string
	VerifyName string
	Roots      *smx509.CertPool // what the server's certificates are verified up to; nil: the system's
	// Insecure verifies neither chain nor name; the server's signatures are checked still.
	Insecure bool
	// VerifyPeer, if not nil, has the last word on the server's certificates, as in
	// ServerConfig; Insecure or not.
	VerifyPeer func(chain []*smx509.Certificate) error

	Certificate *Certificate // the client's own; nil: none
	Suites      []uint16     // in order of preference; nil: Suites
	Protocols   []string     // ALPN, in order of preference

	Sessions SessionCache // nil: none is resumed
	// SessionKey is what sessions are kept under; "" stands for ServerName. What is used with
	// one key has to have the same servers and the same roots: a resumed session's chain is
	// not verified up to the roots again.
	SessionKey string

	Rand   io.Reader
	Time   func() time.Time
	KeyLog io.Writer
}

// Errors of a configuration: nothing that a peer did.
var (
	errNoCertificate = errors.New("a TLCP server needs a signing and an encryption certificate and their keys")
	errNoName        = errors.New("a TLCP client needs the server's name, or to be told to verify nothing")
	errNoSuite       = errors.New("no TLCP cipher suite is left to use")
)

func now(f func() time.Time) time.Time {
	if f == nil {
		return time.Now()
	}
	return f()
}

// usable are the suites of list, Suites if it is nil, that the certificate can serve.
func usable(list []uint16, c *Certificate) []uint16 {
	if list == nil {
		list = Suites()
	}
	agreement := c.agreementKey() != nil
	suites := make([]uint16, 0, len(list))
	for _, suite := range list {
		if record.Supported(version, suite) && (agreement || !agrees(suite)) {
			suites = append(suites, suite)
		}
	}
	return suites
}
