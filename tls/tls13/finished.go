package tls13

import (
	"longmen/tls/handshake"

	"golang.org/x/crypto/cryptobyte"
)

// parseFinished gives the verify_data of a Finished (RFC 8446 §4.4.4), which has to be size
// bytes.
func parseFinished(message []byte, size int) ([]byte, error) {
	s, err := bodyOf(message, handshake.Finished, "Finished")
	if err != nil {
		return nil, err
	}
	if len(s) != size {
		return nil, malformed("Finished")
	}
	return s, nil
}

func newFinished(verifyData []byte) ([]byte, error) {
	return newMessage(handshake.Finished, func(b *cryptobyte.Builder) { b.AddBytes(verifyData) })
}
