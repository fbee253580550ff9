package tls13

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"longmen/tls/handshake"
)

// A kind is one kind of message: how it is parsed, one of them, and what parsing gives.
type kind struct {
	parse   func([]byte) (message, error)
	example message
	shorter []int // lengths at which a shorter one is whole too
}

type message interface{ marshal() ([]byte, error) }

// as makes the result of a parser a message, without a nil pointer in it.
func as[T message](v T, err error) (message, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

func kinds() map[string]kind {
	random, id := bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{8}, 32)
	hello := &clientHello{
		random: random, sessionID: id, suites: []uint16{0xC6, 0x1301}, serverName: "server.test",
		protocols: []string{"h2", "http/1.1"}, versions: []uint16{0x0304, 0x0303}, groups: []uint16{41, 29},
		schemes: []uint16{0x0708, 0x0403}, hasShares: true, staple: true, shares: []keyShare{{41, bytes.Repeat([]byte{4}, 65)}, {29, random}},
		cookie: []byte("cookie"), earlyData: true, pskModes: []byte{0, 1},
		psks: []offeredPSK{{identity: []byte("ticket"), obfuscatedAge: 0x01020304, binder: random}},
	}
	return map[string]kind{
		// A hello may end before its extensions: behind its compression methods.
		"ClientHello": {func(m []byte) (message, error) { return as(parseClientHello(m)) }, hello, []int{4 + 2 + 32 + 33 + 6 + 2}},
		"ServerHello": {func(m []byte) (message, error) { return as(parseServerHello(m)) },
			&serverHello{random: random, sessionID: id, suite: 0xC6, version: 0x0304, group: 41, share: bytes.Repeat([]byte{4}, 65), psk: 0},
			[]int{4 + 2 + 32 + 33 + 2 + 1}},
		"HelloRetryRequest": {func(m []byte) (message, error) { return as(parseServerHello(m)) },
			&serverHello{retry: true, random: retryRandom(), sessionID: id, suite: 0xC6, version: 0x0304, group: 41, cookie: []byte("cookie"), psk: -1},
			[]int{4 + 2 + 32 + 33 + 2 + 1}},
		"EncryptedExtensions": {func(m []byte) (message, error) { return as(parseEncryptedExtensions(m, hello)) },
			&encryptedExtensions{protocol: "h2", names: true, earlyData: true}, nil},
		"CertificateRequest": {func(m []byte) (message, error) { return as(parseCertificateRequest(m)) },
			&certificateRequest{context: []byte{}, schemes: []uint16{0x0708}, authorities: [][]byte{{0x30, 0}, {0x30, 1, 0}}}, nil},
		"Certificate": {func(m []byte) (message, error) { return as(parseCertificate(m)) },
			&certificateMessage{context: []byte{1}, chain: [][]byte{[]byte("leaf"), []byte("issuer")}, staple: []byte("staple")}, nil},
		"CertificateVerify": {func(m []byte) (message, error) { return as(parseCertificateVerify(m)) },
			&certificateVerify{scheme: 0x0708, signature: []byte("signature")}, nil},
		"NewSessionTicket": {func(m []byte) (message, error) { return as(parseNewSessionTicket(m)) },
			&newSessionTicket{lifetime: 7200, ageAdd: 0xFFFFFFFF, nonce: []byte{0}, ticket: []byte("ticket"), early: 16384}, nil},
	}
}

// TestMessages writes each kind of message, parses it, and finds the same.
func TestMessages(t *testing.T) {
	for name, k := range kinds() {
		written, err := k.example.marshal()
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := k.parse(written)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(parsed, k.example) {
			t.Errorf("%s:\n%+v\n%+v", name, parsed, k.example)
		}
	}
}

// TestMessagesCutAlone cuts each kind of message at every byte: with the length that it says and
// with one made to fit. Each is refused, by decode_error or for what a list may not be.
func TestMessagesCutAlone(t *testing.T) {
	for name, k := range kinds() {
		written := must(k.example.marshal())
		for n := range written {
			if _, err := k.parse(written[:n:n]); handshake.AlertOf(err) != handshake.DecodeError {
				t.Errorf("%s, %d of %d bytes: %v", name, n, len(written), err)
			}
			if n < 4 {
				continue
			}
			fitted := withLength(handshake.MessageType(written[0]), written[4:n:n])
			_, err := k.parse(fitted)
			if slices.Contains(k.shorter, n) {
				if err != nil {
					t.Errorf("%s, %d of %d bytes: %v, and it is whole", name, n, len(written), err)
				}
				continue
			}
			if handshake.AlertOf(err) != handshake.DecodeError {
				t.Errorf("%s, the first %d of %d bytes: %v", name, n, len(written), err)
			}
		}
		if _, err := k.parse(append(bytes.Clone(written), 0)); handshake.AlertOf(err) != handshake.DecodeError {
			t.Errorf("%s and a byte: %v", name, err)
		}
		other := bytes.Clone(written)
		other[0] = 99
		if _, err := k.parse(other); handshake.AlertOf(err) != handshake.UnexpectedMessage {
			t.Errorf("%s of another type: %v", name, err)
		}
	}
}
