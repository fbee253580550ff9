package tls13

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/subtle"
	"hash"

	"golang.org/x/crypto/cryptobyte"
)

// A keySchedule is the chain of secrets of RFC 8446 §7.1, at the stage that it was taken to
// last: early, handshake, master. A method for a secret of one stage is called in that stage.
type keySchedule struct {
	newHash func() hash.Hash
	secret  []byte
}

// newKeySchedule begins at the early secret. psk is nil in a full handshake.
func newKeySchedule(newHash func() hash.Hash, psk []byte) *keySchedule {
	if psk == nil {
		psk = make([]byte, newHash().Size())
	}
	return &keySchedule{newHash, extract(newHash, psk, nil)}
}

// binderKey makes Finished-like values over a hello that offers a resumption PSK. Early stage.
func (k *keySchedule) binderKey() []byte { return k.derive("res binder", k.emptyHash()) }

// toHandshake goes on to the handshake secret with the key exchange's.
func (k *keySchedule) toHandshake(shared []byte) {
	k.secret = extract(k.newHash, shared, k.derive("derived", k.emptyHash()))
}

// toMaster goes on to the master secret.
func (k *keySchedule) toMaster() {
	k.secret = extract(k.newHash, make([]byte, k.newHash().Size()), k.derive("derived", k.emptyHash()))
}

// derive is Derive-Secret with the hash of the messages so far.
func (k *keySchedule) derive(label string, transcript []byte) []byte {
	return expandLabel(k.newHash, k.secret, label, transcript, len(transcript))
}

func (k *keySchedule) emptyHash() []byte { return k.newHash().Sum(nil) }

// The labels of the secrets that come of a handshake (RFC 8446 §7.1).
const (
	clientEarlyTraffic       = "c e traffic"
	clientHandshakeTraffic   = "c hs traffic"
	serverHandshakeTraffic   = "s hs traffic"
	clientApplicationTraffic = "c ap traffic"
	serverApplicationTraffic = "s ap traffic"
	resumptionMaster         = "res master"
)

// resumptionPSK is the PSK of the ticket with this nonce (RFC 8446 §4.6.1).
func resumptionPSK(newHash func() hash.Hash, resumptionSecret, nonce []byte) []byte {
	return expandLabel(newHash, resumptionSecret, "resumption", nonce, newHash().Size())
}

// finishedMAC is the verify_data of a Finished, and a PSK binder: the proof that its sender
// knows baseKey and saw the same messages (RFC 8446 §4.4.4, §4.2.11.2).
func finishedMAC(newHash func() hash.Hash, baseKey, transcript []byte) []byte {
	mac := hmac.New(newHash, expandLabel(newHash, baseKey, "finished", nil, newHash().Size()))
	mac.Write(transcript)
	return mac.Sum(nil)
}

// equalMAC compares in constant time.
func equalMAC(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

func extract(newHash func() hash.Hash, secret, salt []byte) []byte {
	key, err := hkdf.Extract(newHash, secret, salt)
	if err != nil {
		panic("tls13: " + err.Error()) // only FIPS mode refuses, by the hash; SM3 is never in it
	}
	return key
}

// expandLabel is HKDF-Expand-Label (RFC 8446 §7.1). Labels, contexts and lengths are ours and
// short: a failure is an error in this code.
func expandLabel(newHash func() hash.Hash, secret []byte, label string, context []byte, length int) []byte {
	var b cryptobyte.Builder
	b.AddUint16(uint16(length))
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte("tls13 " + label)) })
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(context) })
	key, err := hkdf.Expand(newHash, secret, string(b.BytesOrPanic()), length)
	if err != nil {
		panic("tls13: " + err.Error())
	}
	return key
}
