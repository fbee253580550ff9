package verify

import (
	"crypto/sha256"
	"math/big"
	"net/netip"
	"time"
)

// Peer is what is known of a connection's peer by its certificate. It is made
// once a handshake and not changed after that.
type Peer struct {
	// Verified says that the certificate passed, and that a chain or a pin was
	// asked for.
	Verified bool
	// Failure is why not, when the policy lets untrusted peers in; else nil.
	Failure *Error

	Subject   string // RFC 2253's form, as Envoy and OpenSSL write it
	Issuer    string // likewise
	Serial    *big.Int
	NotBefore time.Time
	NotAfter  time.Time
	Hash      [32]byte // SHA-256 of the certificate in DER
	SPIFFE    string   // the SPIFFE id, when the certificate's only URI is one; verified only if Verified
	Chain     [][]byte // what the peer sent, in DER, leaf first

	names altNames
}

func newPeer(leaf *certificate, chain [][]byte) (p *Peer, err error) {
	p = &Peer{
		Serial: leaf.serial, NotBefore: leaf.notBefore, NotAfter: leaf.notAfter,
		Hash: sha256.Sum256(leaf.raw), Chain: chain,
	}
	if p.Subject, err = distinguishedName(leaf.rawSubject); err != nil {
		return nil, err
	}
	if p.Issuer, err = distinguishedName(leaf.rawIssuer); err != nil {
		return nil, err
	}
	if p.names, err = parseAltNames(leaf.san); err != nil {
		return nil, err
	}
	p.SPIFFE = spiffeID(p.names.uris)
	return p, nil
}

// DNSNames are the DNS names among the subject alternative names; not to be changed.
func (p *Peer) DNSNames() []string { return p.names.dns }

// URIs are the URIs among them; not to be changed.
func (p *Peer) URIs() []string { return p.names.uris }

// Emails are the mail addresses among them; not to be changed.
func (p *Peer) Emails() []string { return p.names.emails }

// Addresses are the IP addresses among them; not to be changed.
func (p *Peer) Addresses() []netip.Addr { return p.names.addresses }
