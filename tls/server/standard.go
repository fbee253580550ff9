package server

import (
	"crypto"
	"crypto/tls"
	"io"
	"sync"
	"time"

	"longmen/tls/certificate"
	"longmen/tls/handshake"
	"longmen/tls/sign"
	"longmen/tls/std"
	"longmen/tls/ticket"
	"longmen/tls/verify"
)

// standard is the configuration of crypto/tls that settings stand for. It is
// made at the first handshake; only its ticket keys change after that.
type standard struct {
	mu      sync.Mutex
	config  *tls.Config
	tickets *ticket.Keys // of TLS 1.2; made with config; nil: none are given
	until   time.Time    // when config's own ticket keys change; zero: never
}

// config returns the configuration with the ticket keys of now.
func (s *Settings) config(now time.Time) *tls.Config {
	st := &s.standard
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.config == nil {
		st.config = &tls.Config{
			MinVersion:             s.MinVersion,
			MaxVersion:             s.MaxVersion,
			CipherSuites:           s.Suites,
			CurvePreferences:       s.Groups,
			NextProtos:             s.ALPN,
			SessionTicketsDisabled: s.Tickets == nil,
		}
		if s.ClientRoots != nil {
			st.config.ClientCAs = s.ClientRoots.Standard()
		}
		switch s.clientMode() { // Clients has the word on what is shown
		case verify.Request:
			st.config.ClientAuth = tls.RequestClientCert
		case verify.Require:
			st.config.ClientAuth = tls.RequireAnyClientCert
		}
		if s.Tickets != nil {
			st.tickets = s.Tickets.For("TLS 1.2")
			st.renew(s, now)
		}
	} else if !st.until.IsZero() && !now.Before(st.until) {
		st.renew(s, now)
	}
	return st.config
}

func (st *standard) renew(s *Settings, now time.Time) {
	keys, until := s.Tickets.Standard(now)
	st.config.SetSessionTicketKeys(keys)
	st.until = until
}

// serveTLS runs the handshake in crypto/tls.
func (c *Config) serveTLS(h *Handshake, s *Settings, chosen *certificate.Certificate) (*handshake.Result, error) {
	own, err := s.standardCertificate(h, chosen)
	if err != nil {
		return nil, h.refuse(refused(handshake.InternalError, err))
	}
	config := s.configFor(h)
	if c.ECH != nil && h.Hello.ECH { // GREASE, or to a key that is not ours: it is told those that are
		config = config.Clone()
		config.GetEncryptedClientHelloKeys = keysThenRetry([]tls.EncryptedClientHelloKey{}, c.ECH)
	}
	options := std.Options{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own, nil },
		KeyLog:         h.KeyLog,
		Now:            h.Now,
	}
	if tickets := s.standard.tickets; tickets != nil {
		options.Tickets = tickets
	}
	if s.early() {
		if result, err := s.returning(h, own); result != nil || err != nil {
			return result, err
		}
		options.Ticket = s.ticket(h, own)
	}
	return std.Server(h.Conn, config, options)
}

// standardCertificate is a certificate for one handshake in crypto/tls.
func (s *Settings) standardCertificate(h *Handshake, chosen *certificate.Certificate) (*tls.Certificate, error) {
	stored, err := chosen.Standard(h.Now)
	if err != nil {
		return nil, err
	}
	own := *stored
	if s.OCSP == OCSPOff {
		own.OCSPStaple = nil
	}
	if key, ok := own.PrivateKey.(*sign.Key); ok && !key.Inline() {
		own.PrivateKey = &awaited{key, h, chosen}
	}
	return &own, nil
}

// configFor is the configuration of one handshake in crypto/tls.
func (s *Settings) configFor(h *Handshake) *tls.Config {
	config := s.config(h.Now)
	if s.clientMode() == verify.None {
		return config
	}
	config = config.Clone()
	config.VerifyConnection = func(state tls.ConnectionState) error {
		chain := make([][]byte, len(state.PeerCertificates))
		for i, c := range state.PeerCertificates {
			chain[i] = c.Raw
		}
		return s.judge(h, chain)
	}
	return config
}

// awaited is a key whose signatures are made away from the loop.
type awaited struct {
	key *sign.Key
	h   *Handshake
	of  *certificate.Certificate
}

func (a *awaited) Public() crypto.PublicKey { return a.key.Public() }

// Sign waits for a signature. One that comes after the wait was given up is
// nobody's.
func (a *awaited) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	var signature []byte
	sign := func() (err error) {
		if signature, err = a.key.Sign(rand, digest, opts); err != nil {
			a.of.Lost(a.key, err)
		}
		return err
	}
	var err error
	if a.key.Brief() {
		err = a.h.Burn(a.key.Flow(), sign)
	} else {
		err = a.h.Offload(a.key.Flow(), sign)
	}
	if err != nil {
		return nil, err
	}
	return signature, nil
}
