// Package std runs the handshakes of TLS 1.2 and 1.3 in an unmodified crypto/tls and takes the
// connection over from it: when the handshake is complete, traffic keys and sequence numbers
// pass to a record.Session and crypto/tls's connection is dropped.
//
// Nothing of crypto/tls is looked into. Its Config.KeyLogWriter gives the secrets, and the
// socket that it is given is ours (wire): it never hands out a byte beyond the record that was
// asked for, and it counts the records that go by, which are the sequence numbers. SelfTest
// proves all of this on the Go release that the program was built with.
package std

import (
	"crypto/tls"
	"fmt"
	"io"
	"time"

	"longmen/tls/record"
)

// Options are what differs between handshakes under one configuration.
type Options struct {
	// GetCertificate chooses the certificate of this server handshake; nil leaves it to the
	// configuration. It may block as the connection may.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Choose gives the configuration of this server handshake when its ClientHello is known: of
	// Encrypted Client Hello (RFC 9849) that is the inner one, which only crypto/tls reads. It
	// comes before GetCertificate, and takes the place of the configuration that Server was
	// called with but for the keys that open the hello. Check has to suit it too. It may block
	// as the connection may; the alert of its *handshake.Error is what the client is told. Nil
	// for none.
	Choose func(*tls.ClientHelloInfo) (*tls.Config, error)
	// Ticket makes a NewSessionTicket message of TLS 1.3, its header included, and gives the ticket
	// in it too, for a server that has a way of its own to resume with it; without a message, or
	// with an error, crypto/tls makes the ticket. It must not wait. Nil for none. Clients are not
	// asked for certificates then.
	Ticket func(Session) (message, ticket []byte, err error)
	// Tickets seals and opens the session tickets of this server handshake if it is of TLS 1.2,
	// at the time Now, with less work than crypto/tls has. They must be for nothing else. Nil
	// leaves them, as those of TLS 1.3, to the configuration, which also says whether there are
	// any.
	Tickets Tickets
	Now     time.Time
	// KeyLog gets the secrets in the format of SSLKEYLOGFILE, one line a Write, never two at
	// once in this process, so it must not wait as the connection may. With them, everything
	// that was sent can be read. Nil for none. A resumed session of TLS 1.2 has no line: its
	// secret is that of the connection it began in.
	KeyLog io.Writer
}

// suites12 are the suites of TLS 1.2 that are offered and taken without an explicit list: those
// with forward secrecy whose records are protected by an AEAD. crypto/tls orders them.
var suites12 = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Check says what in a configuration Server and Client cannot work with. It is for when the
// configuration is made.
func Check(config *tls.Config) error {
	if config.MaxVersion != 0 && config.MaxVersion < tls.VersionTLS12 {
		return fmt.Errorf("no version of TLS below 1.2 is supported, and at most %s is asked for", tls.VersionName(config.MaxVersion))
	}
	for _, id := range config.CipherSuites {
		if record.Supported(record.VersionTLS13, id) {
			return fmt.Errorf("cipher suite %s cannot be listed: crypto/tls always has all of TLS 1.3", tls.CipherSuiteName(id))
		}
		if !record.Supported(record.VersionTLS12, id) {
			return fmt.Errorf("cipher suite %s is not supported: its records are not protected by an AEAD", tls.CipherSuiteName(id))
		}
	}
	if config.GetConfigForClient != nil {
		return fmt.Errorf("GetConfigForClient cannot be used: choose the configuration before the handshake, or by Options.Choose")
	}
	return nil
}

// prepare makes the configuration of one handshake.
func prepare(config *tls.Config, log *keyLog) *tls.Config {
	c := config.Clone()
	c.KeyLogWriter = log
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	c.Renegotiation = tls.RenegotiateNever
	if c.CipherSuites == nil {
		c.CipherSuites = suites12 // crypto/tls only reads it
	}
	return c
}
