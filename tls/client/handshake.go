package client

import (
	"crypto"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync"

	"longmen/tls/handshake"
	"longmen/tls/sign"
	"longmen/tls/std"
)

// A Handshake is one connection's.
type Handshake struct {
	Conn net.Conn // deadlines are its own
	// Name is the server's, or its address: sent if it is a name, and verified.
	Name string
	// Await runs what burns CPU away from the caller's loop and returns its error.
	Await func(func() error) error
}

// standard is the configuration of crypto/tls that a Config stands for, made at
// the first handshake.
type standard struct {
	once   sync.Once
	config *tls.Config
	err    error
}

// Standard is the configuration for crypto/tls, without a server name. It is
// not to be changed.
func (c *Config) Standard() (*tls.Config, error) {
	st := &c.standard
	st.once.Do(func() {
		st.config = &tls.Config{
			RootCAs:            c.Roots,
			MinVersion:         c.MinVersion,
			MaxVersion:         c.MaxVersion,
			CipherSuites:       c.Suites,
			CurvePreferences:   c.Groups,
			NextProtos:         c.ALPN,
			InsecureSkipVerify: c.Insecure,
		}
		if c.Sessions > 0 {
			st.config.ClientSessionCache = tls.NewLRUClientSessionCache(c.Sessions)
		}
	})
	return st.config, st.err
}

// Run runs a client's handshake. Its error is a *handshake.Error, or that of
// the connection.
func (c *Config) Run(h *Handshake) (*handshake.Result, error) {
	config, err := c.Standard()
	if err != nil {
		return nil, err
	}
	config = config.Clone()
	config.ServerName = h.Name
	if c.Certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.own(h) }
	}
	return std.Client(h.Conn, config, std.Options{})
}

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
		signer = &awaited{key, h}
	}
	return &tls.Certificate{Certificate: c.Certificate.Chain, PrivateKey: signer}, nil
}

// awaited is a key whose signatures are made away from the loop.
type awaited struct {
	key *sign.Key
	h   *Handshake
}

func (a *awaited) Public() crypto.PublicKey { return a.key.Public() }

// Sign waits for a signature.
func (a *awaited) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	err = a.h.Await(func() (err error) {
		signature, err = a.key.Sign(rand, digest, opts)
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
