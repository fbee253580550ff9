package tls13

import (
	"bytes"
	"crypto/rand"
	"errors"
	"reflect"
	"slices"
	"testing"

	"longmen/tls/handshake"

	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
)

// FuzzMessages: each parser takes any bytes, and refuses them by an alert that is for that, or
// gives a message that, written, is parsed as the same.
func FuzzMessages(f *testing.F) {
	all := kinds()
	for _, k := range all {
		f.Add(must(k.example.marshal()))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, k := range all {
			parsed, err := k.parse(bytes.Clone(data))
			if err != nil {
				switch alert := handshake.AlertOf(err); alert {
				case handshake.DecodeError, handshake.IllegalParameter, handshake.UnexpectedMessage,
					handshake.MissingExtension, handshake.UnsupportedExtension, handshake.BadCertificate:
				default:
					t.Fatalf("%s: %v", name, err)
				}
				continue
			}
			if h, ok := parsed.(*clientHello); ok {
				checkHello(t, h)
				continue // not all of a hello is kept, and what is can be more than one is written with
			}
			written, err := parsed.marshal()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			again, err := k.parse(written)
			if h, ok := parsed.(*serverHello); ok && h.version == 0 {
				continue // of before TLS 1.3: it is never written
			}
			if err != nil || !reflect.DeepEqual(parsed, again) {
				t.Fatalf("%s: %+v, %v\n%+v", name, again, err, parsed)
			}
		}
	})
}

func checkHello(t *testing.T, h *clientHello) {
	if len(h.random) != 32 || len(h.sessionID) > 32 || len(h.suites) == 0 || len(h.serverName) > 255 {
		t.Fatalf("%+v", h)
	}
	if (h.psks != nil) != (h.bindersAt != 0) {
		t.Fatalf("%d PSKs, binders at %d", len(h.psks), h.bindersAt)
	}
	if h.psks != nil { // what stands there is a list of binders to the end of the message
		s := cryptobyte.String(h.raw[h.bindersAt:])
		var binders, one cryptobyte.String
		if !s.ReadUint16LengthPrefixed(&binders) || !s.Empty() {
			t.Fatal("no list of binders where it should begin")
		}
		for _, psk := range h.psks {
			if !binders.ReadUint8LengthPrefixed(&one) || !bytes.Equal(one, psk.binder) {
				t.Fatal("another binder")
			}
		}
	}
	if Offered(h.raw) && !slices.Contains(h.versions, 0x0304) {
		t.Fatal("a hello without TLS 1.3")
	}
}

// FuzzSession: what is in a ticket is parsed as it was written, or not at all.
func FuzzSession(f *testing.F) {
	f.Add(must(exampleSession().marshal()))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, ok := parseSession(data)
		if !ok {
			return
		}
		written, err := s.marshal()
		if err != nil || !bytes.Equal(written, data) {
			t.Fatalf("%x, %v\n%x", written, err, data)
		}
	})
}

// FuzzServer throws a client's bytes at a server: it ends, by an error, and does not wait for
// more than there is.
func FuzzServer(f *testing.F) {
	p := newPair(f).mutual(f)
	p.server.Tickets = &plainTickets{}
	for _, hold := range []bool{false, true} {
		p.client.holdShare = hold
		near, far := newWire(f)
		log := &recorder{Conn: near}
		if client, server := p.shakeOver(log, far); client.err != nil || server.err != nil {
			f.Fatal(client.err, server.err)
		}
		f.Add(log.written)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		near, far := newWire(t)
		if _, err := near.Write(data); err != nil {
			t.Fatal(err)
		}
		near.Close()
		if result, err := Server(far, p.server); err == nil {
			t.Fatalf("%+v", result) // nobody has the key of a random that is new each time
		}
	})
}

// FuzzClient throws a server's bytes at a client.
func FuzzClient(f *testing.F) {
	p := newPair(f).mutual(f)
	near, far := newWire(f)
	log := &recorder{Conn: far}
	if client, server := p.shakeOver(near, log); client.err != nil || server.err != nil {
		f.Fatal(client.err, server.err)
	}
	f.Add(log.written)
	f.Fuzz(func(t *testing.T, data []byte) {
		near, far := newWire(t)
		if _, err := far.Write(data); err != nil {
			t.Fatal(err)
		}
		far.Close()
		if result, err := Client(near, p.client); err == nil {
			t.Fatalf("%+v", result)
		}
	})
}

// FuzzEdited puts any message in the place of one of a handshake's, protected ones too. The other
// side ends the handshake for it.
func FuzzEdited(f *testing.F) {
	p := newPair(f).mutual(f)
	for _, server := range []bool{false, true} {
		var at byte
		p.edits(f, server, func(message []byte) [][]byte {
			f.Add(server, at, message[0], bytes.Clone(message[4:]))
			at++
			return [][]byte{message}
		})
	}
	f.Fuzz(func(t *testing.T, server bool, place, typ byte, body []byte) {
		if len(body) > maxEdited {
			return
		}
		var at byte
		same, reached := false, false
		edited, other := p.edits(t, server, func(message []byte) [][]byte {
			if at++; at != place+1 {
				return [][]byte{message}
			}
			replaced := withLength(handshake.MessageType(typ), body)
			same, reached = bytes.Equal(replaced, message), true
			return [][]byte{replaced}
		})
		if errors.Is(other.err, errPatience) || errors.Is(edited.err, errPatience) || reached && !same && other.err == nil {
			t.Fatalf("server %v, message %d, type %d: %v, and the edited side: %v", server, place, typ, other.err, edited.err)
		}
	})
}

// maxEdited keeps a message within one record, as the editor writes it.
const maxEdited = 16000

// FuzzPeer throws certificates and signatures at what judges a peer. No certificate passes but
// the one that was issued.
func FuzzPeer(f *testing.F) {
	a := newAuthority(f, "root")
	own := a.issue(f, "server.test", newKey(f), nil)
	transcript := []byte("what was said")
	proof := must(prove(shangMi(), rand.Reader, own, serverSignature, transcript))
	f.Add(own.Certificate[0], a.root.Raw, proof)
	f.Fuzz(func(t *testing.T, leaf, issuer, message []byte) {
		chain := [][]byte{leaf, issuer}
		certificates, err := parseChain(chain)
		if err == nil {
			err = verifyChain(certificates, a.pool, "server.test", smx509.ExtKeyUsageServerAuth, noon)
		}
		if err == nil && !bytes.Equal(leaf, own.Certificate[0]) {
			t.Fatalf("a certificate that nobody issued: %x", leaf)
		}
		// Each process has its own keys here: seeds of another's are as good as foreign ones.
		if checkProof(shangMi(), message, chain, serverSignature, transcript) == nil && len(message) < 4+2+2+8 {
			t.Fatalf("too short for a signature: %x", message)
		}
	})
}
