package tls13

import (
	"hash"

	"longmen/tls/handshake"
)

// A transcript is the running hash of a handshake's messages, headers included (RFC 8446 §4.4.1).
type transcript struct {
	newHash func() hash.Hash
	running hash.Hash
	retried []byte // after a retry: what stands before the second ClientHello
}

func newTranscript(newHash func() hash.Hash) *transcript {
	return &transcript{newHash: newHash, running: newHash()}
}

func (t *transcript) add(message []byte) { t.running.Write(message) }

// sum is the hash of the messages so far.
func (t *transcript) sum() []byte { return t.running.Sum(nil) }

// retry adds a HelloRetryRequest after the first ClientHello, which gives way to the
// message_hash of itself.
func (t *transcript) retry(request []byte) {
	first := t.sum()
	t.retried = append([]byte{byte(handshake.MessageHash), 0, 0, byte(len(first))}, first...)
	t.retried = append(t.retried, request...)
	t.running.Reset()
	t.running.Write(t.retried)
}

// sumTruncated is the hash that a PSK binder covers: of a retry, if there was one, and of a
// ClientHello that is cut before its binders (RFC 8446 §4.2.11.2). It is asked for before that
// hello is added.
func (t *transcript) sumTruncated(hello []byte) []byte {
	h := t.newHash()
	h.Write(t.retried)
	h.Write(hello)
	return h.Sum(nil)
}
