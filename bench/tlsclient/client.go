// Package tlsclient is the client half of TLS for the load generator: TLS 1.3,
// TLS 1.2, TLCP and TLS 1.3 with the SM suite, each with one suite and one
// group, without I/O of its own and as cheap as can be, so that a server on
// one CPU can be loaded with handshakes from another.
//
// It is cheap because it leaves out what a server cannot notice: it does not
// verify the server's certificate and signature, and all connections of a
// Client share one ephemeral key (with TLCP, one encrypted premaster secret).
// It does check the server's Finished. Whoever uses it for anything but load
// is mistaken. It shares no code with the gateway, so that an error in one
// cannot hide in the other.
package tlsclient

import (
	"crypto/rand"
	"fmt"
	"time"

	gmecdh "github.com/emmansun/gmsm/ecdh"
)

// Protocol is what a Client speaks.
type Protocol string

// The protocols, and the one suite and group that each has here.
const (
	TLS13   Protocol = "tls1.3"  // TLS_AES_128_GCM_SHA256, X25519
	TLS12   Protocol = "tls1.2"  // ECDHE-RSA- or ECDHE-ECDSA-AES128-GCM-SHA256, X25519, extended master secret
	TLCP    Protocol = "tlcp"    // ECC_SM4_GCM_SM3 (GB/T 38636)
	RFC8998 Protocol = "rfc8998" // TLS_SM4_GCM_SM3, curveSM2
)

// Config says what handshakes a Client makes.
type Config struct {
	Protocol Protocol
	Resume   bool // by the latest ticket that came; not with TLCP and RFC 8998
}

// A Client is what the connections of one generator share. It is not safe for
// concurrent use.
type Client struct {
	config Config
	suite  *suite
	keys   keyShare
	random randomSource
	tlcp   sealedPremaster
	ticket *ticket // the latest
	// Full and Resumed count the handshakes that were completed.
	Full, Resumed uint64
}

// New makes a Client with a new ephemeral key.
func New(config Config) (*Client, error) {
	c := &Client{config: config, suite: suites[config.Protocol]}
	if c.suite == nil {
		return nil, fmt.Errorf("unknown protocol %q: want %s, %s, %s or %s", config.Protocol, TLS13, TLS12, TLCP, RFC8998)
	}
	if config.Resume && c.suite.sm {
		return nil, fmt.Errorf("resumption by %s is not built", config.Protocol)
	}
	var err error
	if c.keys, err = newKeyShare(c.suite.sm); err != nil {
		return nil, err
	}
	return c, nil
}

// Protocols are all that New takes.
func Protocols() []Protocol { return []Protocol{TLS13, TLS12, TLCP, RFC8998} }

// SM says whether the protocol's certificates are SM2's.
func (p Protocol) SM() bool { return p == TLCP || p == RFC8998 }

// HasTicket says whether the next handshake can be resumed.
func (c *Client) HasTicket() bool { return c.ticket != nil }

// A ticket is what a resumption needs.
type ticket struct {
	opaque   []byte
	secret   []byte // TLS 1.3: the early secret; TLS 1.2: the master secret
	binder   []byte // TLS 1.3: the key of the binder
	ageAdd   uint32
	received time.Time
}

// A randomSource hands out the kernel's random bytes, many for one call.
type randomSource struct {
	block [4096]byte
	left  []byte
}

func (r *randomSource) fill(p []byte) {
	for len(p) > 0 {
		if len(r.left) == 0 {
			rand.Read(r.block[:])
			r.left = r.block[:]
		}
		n := copy(p, r.left)
		p, r.left = p[n:], r.left[n:]
	}
}

// keyShare is the ephemeral key of all handshakes.
type keyShare struct {
	group  uint16
	public []byte
	agree  func(peer []byte) ([]byte, error)
}

func newKeyShare(sm bool) (keyShare, error) {
	if !sm {
		return newX25519()
	}
	key, err := gmecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return keyShare{}, err
	}
	return keyShare{groupSM2, key.PublicKey().Bytes(), func(peer []byte) ([]byte, error) {
		public, err := gmecdh.P256().NewPublicKey(peer)
		if err != nil {
			return nil, err
		}
		return key.ECDH(public)
	}}, nil
}
