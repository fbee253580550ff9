package verify

import "sync"

// Identity is a certificate of this side's own, read when something is first told
// of it. Many goroutines may use it.
type Identity struct {
	der  []byte
	once sync.Once
	own  *Peer
}

// NewIdentity makes the identity of a certificate in DER, which must not change.
func NewIdentity(der []byte) *Identity { return &Identity{der: der} }

// Peer is what peers know of the certificate: its names, not whether they trust it.
// It is nil for a nil Identity and for a certificate that cannot be read.
func (i *Identity) Peer() *Peer {
	if i == nil {
		return nil
	}
	i.once.Do(func() {
		c, err := parse(i.der)
		if err != nil {
			return
		}
		if own, err := newPeer(c, [][]byte{i.der}); err == nil {
			i.own = own
		}
	})
	return i.own
}
