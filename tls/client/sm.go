package client

import (
	"sync"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/handshake"
	"longmen/tls/tlcp"
	"longmen/tls/tls13"
	"longmen/tls/verify"
)

// sm is what handshakes of SM keep.
type sm struct {
	once     sync.Once
	sessions *tls13.Sessions
	tlcp     tlcp.SessionCache
}

// sessionLife is how long a session of TLCP is offered again.
const sessionLife = 4 * time.Hour

func (c *Config) kept() *sm {
	c.sm.once.Do(func() {
		if c.Sessions > 0 {
			c.sm.sessions, c.sm.tlcp = tls13.NewSessions(c.Sessions), tlcp.NewCache(c.Sessions, sessionLife)
		}
	})
	return &c.sm
}

func (c *Config) judgeSM(h *Handshake) func([]*smx509.Certificate) error {
	return func(list []*smx509.Certificate) error {
		return c.judge(h, encoded(list), (*verify.Policy).Verify)
	}
}

func (c *Config) judgePair(h *Handshake) func([]*smx509.Certificate) error {
	return func(list []*smx509.Certificate) error {
		return c.judge(h, encoded(list), (*verify.Policy).VerifyPair)
	}
}

func encoded(list []*smx509.Certificate) [][]byte {
	chain := make([][]byte, len(list))
	for i, c := range list {
		chain[i] = c.Raw
	}
	return chain
}

// runTLCP runs the handshake of GB/T 38636.
func (c *Config) runTLCP(h *Handshake) (*handshake.Result, error) {
	if c.Verify == nil && !c.Insecure {
		return nil, errUnverified
	}
	config := &tlcp.ClientConfig{
		ServerName: h.Name,
		Insecure:   true, // judgePair verifies
		VerifyPeer: c.judgePair(h),
		Protocols:  h.ALPN,
		Sessions:   c.kept().tlcp,
		Time:       func() time.Time { return h.Now },
	}
	if own := c.Certificate; own != nil {
		sign, err := own.SM2Key()
		if err != nil {
			return nil, err
		}
		config.Certificate = &tlcp.Certificate{Chain: own.PairChain(), Sign: sign}
		if own.Encryption != nil {
			encrypt, err := own.Encryption.SM2Key()
			if err != nil {
				return nil, err
			}
			config.Certificate.Encrypt = encrypt
		}
	}
	return tlcp.Client(h.Conn, config)
}

// runRFC8998 runs the handshake of TLS 1.3 with SM.
func (c *Config) runRFC8998(h *Handshake) (*handshake.Result, error) {
	if c.Verify == nil && !c.Insecure {
		return nil, errUnverified
	}
	config := &tls13.ClientConfig{
		ServerName: h.Name,
		Insecure:   true, // judgeSM verifies
		VerifyPeer: c.judgeSM(h),
		Protocols:  h.ALPN,
		Sessions:   c.kept().sessions,
		Time:       func() time.Time { return h.Now },
	}
	if c.Certificate != nil {
		own, err := c.Certificate.Standard(h.Now)
		if err != nil {
			return nil, err
		}
		config.Certificate = own
	}
	return tls13.Client(h.Conn, config)
}
