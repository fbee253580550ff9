package ech

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"slices"
)

// Keys are those of a listener. The first is published, and sent to clients whose
// configuration is another; all of them open. They do not change.
type Keys struct {
	list  []*Key
	retry []tls.EncryptedClientHelloKey // the first
}

// NewKeys makes Keys of at least one and at most MaxKeys.
func NewKeys(list []*Key) (*Keys, error) {
	if len(list) == 0 || len(list) > MaxKeys {
		return nil, fmt.Errorf("%d ECH keys; 1 to %d are possible", len(list), MaxKeys)
	}
	return &Keys{list: slices.Clone(list), retry: []tls.EncryptedClientHelloKey{list[0].standard(true)}}, nil
}

// List gives the keys, the published one first.
func (k *Keys) List() []*Key { return slices.Clone(k.list) }

// Candidates are the keys that a ClientHello may be encrypted to, given the body of its
// extension encrypted_client_hello. There are none for GREASE (RFC 9849 section 6.2), but for
// one id in 256, and for the keys of others.
func (k *Keys) Candidates(extension []byte) []tls.EncryptedClientHelloKey {
	const outer = 0
	if k == nil || len(extension) < 1+4+1 || extension[0] != outer {
		return nil
	}
	suite := [2]uint16{binary.BigEndian.Uint16(extension[1:]), binary.BigEndian.Uint16(extension[3:])}
	var found []tls.EncryptedClientHelloKey
	for _, key := range k.list {
		if key.id == extension[5] && slices.Contains(key.suites, suite) {
			found = append(found, key.standard(false))
		}
	}
	return found
}

// Retry is what clients are sent whose hello could not be opened.
func (k *Keys) Retry() []tls.EncryptedClientHelloKey { return k.retry }

// Format names the keys for every verb: no way of printing shows them.
func (k *Keys) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.list) }
