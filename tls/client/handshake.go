package client

import (
	"crypto"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"longmen/tls/certificate"
	"longmen/tls/handshake"
	"longmen/tls/sign"
	"longmen/tls/std"
	"longmen/tls/verify"
)

// A Handshake is one connection's.
type Handshake struct {
	Conn net.Conn // deadlines are its own
	// Name is the server's, or its address: sent if it is a name, and verified.
	Name string
	Now  time.Time
	// ALPN are the application protocols to offer (RFC 7301): Config.ALPN, or what
	// the user of the connection knows better. Nil offers none.
	ALPN []string
	// Await runs what burns CPU away from the caller's loop and returns its error.
	Await func(func() error) error

	peer *verify.Peer // the server's certificate, once it is verified
}

// Run runs a client's handshake. Its error is a *handshake.Error, or that of
// the connection.
func (c *Config) Run(h *Handshake) (*handshake.Result, error) {
	var result *handshake.Result
	var err error
	switch c.Protocol {
	case ProtocolTLCP:
		result, err = c.runTLCP(h)
	case ProtocolRFC8998:
		result, err = c.runRFC8998(h)
	default:
		result, err = c.runTLS(h)
	}
	if err != nil {
		return nil, err
	}
	result.Peer, result.PeerVerified = h.peer, h.peer != nil && h.peer.Verified
	return result, nil
}

// judge decides whether the server's certificate is accepted, in a full
// handshake as in one that resumes a session.
func (c *Config) judge(h *Handshake, chain [][]byte, verified func(*verify.Policy, [][]byte, string, time.Time) (*verify.Peer, error)) error {
	if c.Verify == nil {
		return nil // Insecure
	}
	host := h.Name
	if c.AnyName {
		host = ""
	}
	var peer *verify.Peer
	err := h.Await(func() (err error) {
		peer, err = verified(c.Verify, chain, host, h.Now)
		return err
	})
	if err != nil {
		if e, ok := errors.AsType[*verify.Error](err); ok {
			return &handshake.Error{Alert: handshake.Alert(e.Alert()), Cause: err}
		}
		return err
	}
	h.peer = peer
	return nil
}

// standard is the configuration of crypto/tls that a Config stands for, made at
// the first handshake.
type standard struct {
	once   sync.Once
	config *tls.Config
}

func (c *Config) standardConfig() *tls.Config {
	st := &c.standard
	st.once.Do(func() {
		st.config = &tls.Config{
			MinVersion:         c.MinVersion,
			MaxVersion:         c.MaxVersion,
			CipherSuites:       c.Suites,
			CurvePreferences:   c.Groups,
			InsecureSkipVerify: true, // judge verifies
		}
		if c.Sessions > 0 {
			st.config.ClientSessionCache = tls.NewLRUClientSessionCache(c.Sessions)
		}
	})
	return st.config
}

func (c *Config) runTLS(h *Handshake) (*handshake.Result, error) {
	if c.Verify == nil && !c.Insecure {
		return nil, errUnverified
	}
	config := c.standardConfig().Clone()
	config.ServerName, config.NextProtos = h.Name, h.ALPN
	config.VerifyConnection = func(state tls.ConnectionState) error {
		chain := make([][]byte, len(state.PeerCertificates))
		for i, certificate := range state.PeerCertificates {
			chain[i] = certificate.Raw
		}
		return c.judge(h, chain, (*verify.Policy).Verify)
	}
	if c.Certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.own(h) }
	}
	return std.Client(h.Conn, config, std.Options{})
}

var errUnverified = errors.New("the server's certificate is neither verified nor is that switched off")

// own is the certificate to show, whose signature is awaited when it is dear.
func (c *Config) own(h *Handshake) (*tls.Certificate, error) {
	if err := h.Await(func() error { _, err := c.Certificate.Signer(); return err }); err != nil {
		return nil, err
	}
	signer, err := c.Certificate.Signer()
	if err != nil {
		return nil, err
	}
	if key, ok := signer.(*sign.Key); ok && !key.Inline() {
		signer = &awaited{key, h, c.Certificate}
	}
	return &tls.Certificate{Certificate: c.Certificate.Chain, PrivateKey: signer}, nil
}

// awaited is a key whose signatures are made away from the loop.
type awaited struct {
	key *sign.Key
	h   *Handshake
	of  *certificate.Certificate
}

func (a *awaited) Public() crypto.PublicKey { return a.key.Public() }

// Sign waits for a signature.
func (a *awaited) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	err = a.h.Await(func() (err error) {
		if signature, err = a.key.Sign(rand, digest, opts); err != nil {
			a.of.Lost(a.key, err)
		}
		return err
	})
	return signature, err
}

// NameFor is the name that a connection's server is asked for by and verified
// with: of the endpoint (its hostname, else its address) or of the request.
func (c *Config) NameFor(hostname string, address netip.Addr, host []byte) string {
	switch {
	case c.Name == NameFixed:
		return c.ServerName
	case c.Name == NameRequest && len(host) > 0:
		return string(host)
	case hostname != "":
		return hostname
	}
	return address.Unmap().String()
}
