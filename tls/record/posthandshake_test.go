package record

import (
	"bytes"
	"testing"
)

var (
	keyUpdate          = []byte{messageKeyUpdate, 0, 0, 1, 0}
	keyUpdateRequested = []byte{messageKeyUpdate, 0, 0, 1, 1}
)

// sendUpdate appends a KeyUpdate of s and goes on to its next key.
func (s *Session) sendUpdate(dst, message []byte) []byte {
	dst = s.out.Seal(dst, TypeHandshake, message)
	s.out.update()
	return dst
}

func TestKeyUpdate(t *testing.T) {
	for _, suite := range suites {
		if suite.version != VersionTLS13 {
			continue
		}
		client, server := sessionsOf(t, suite)
		before := bytes.Clone(client.out.secret)
		records := client.Seal(nil, []byte("one"))
		records = client.sendUpdate(records, keyUpdate)
		records = client.Seal(records, []byte("two"))
		if got := opened(t, server, records); string(got) != "onetwo" || server.HasReply() {
			t.Fatalf("%q, reply %v", got, server.HasReply())
		}
		if bytes.Equal(before, client.out.secret) || client.out.seq != 1 {
			t.Fatal("the key is the same")
		}
		// Requested thrice, answered once, before the next data.
		records = nil
		for range 3 {
			records = client.sendUpdate(records, keyUpdateRequested)
		}
		if got := opened(t, server, records); len(got) > 0 || !server.HasReply() {
			t.Fatal("no answer to a request")
		}
		inner := server.out
		number := inner.seq
		size := server.SealedSize(5)
		answer := server.Seal(nil, []byte("three"))
		if len(answer) > size || server.HasReply() || inner.seq != 1 || number != 0 {
			t.Fatalf("%d bytes, said %d; sequence %d", len(answer), size, inner.seq)
		}
		if got := opened(t, client, answer); string(got) != "three" || client.HasReply() {
			t.Fatalf("%q, reply %v", got, client.HasReply())
		}
		// An answer without data.
		opened(t, server, client.sendUpdate(nil, keyUpdateRequested))
		if got := opened(t, client, server.AppendReply(nil)); len(got) > 0 || server.HasReply() {
			t.Fatal("the answer alone")
		}
		if got := opened(t, client, server.Seal(nil, []byte("four"))); string(got) != "four" {
			t.Fatalf("%q", got)
		}
	}
}

func TestKeyUpdateLimit(t *testing.T) {
	tls13 := suiteFor(t, VersionTLS13)
	client, server := sessionsOf(t, tls13)
	for i := 0; ; i++ { // with a byte of data each, which does not pay for it
		records := client.Seal(client.sendUpdate(nil, keyUpdateRequested), []byte("x"))
		if _, _, err := server.Open(records); err != nil {
			if err != errKeyUpdates || i < maxUpdates || i > 2*maxUpdates {
				t.Fatalf("after %d: %v", i, err)
			}
			break
		}
		if len(server.AppendReply(nil)) == 0 {
			t.Fatal("no answer to a request")
		}
	}
	client, server = sessionsOf(t, tls13)
	for i := range 10 * maxUpdates { // with data that does
		records := client.sendUpdate(nil, keyUpdate)
		for range updateCost {
			records = client.Seal(records, []byte("x"))
		}
		if _, _, err := server.Open(records); err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
	}
}

// A key is changed before too much was sealed with it.
func TestOwnKeyUpdate(t *testing.T) {
	client, server := sessionsOf(t, suiteFor(t, VersionTLS13))
	client.sent = smallUntil
	client.out.seq, server.in.seq = gcmLimit-2, gcmLimit-2
	data := bytes.Repeat([]byte("data"), 5*MaxPayload/4)
	size := client.SealedSize(len(data))
	records := client.Seal(nil, data)
	if len(records) != size || client.out.seq != 3 {
		t.Fatalf("%d bytes, said %d; sequence %d", len(records), size, client.out.seq)
	}
	if got := opened(t, server, records); !bytes.Equal(got, data) || server.HasReply() || server.in.seq != 3 {
		t.Fatalf("%d bytes, reply %v", len(got), server.HasReply())
	}
}

// TLS 1.2 cannot change keys: the connection ends, and the peer is told.
func TestSequenceExhausted(t *testing.T) {
	for _, version := range []uint16{VersionTLS12, VersionTLCP} {
		client, server := sessionsOf(t, suiteFor(t, version))
		client.out.seq, server.in.seq = lastSequence-1, lastSequence-1
		opened(t, server, client.Seal(nil, []byte("last")))
		_, _, err := server.Open(client.Seal(nil, []byte("one more")))
		if e, ok := err.(*AlertError); !ok || !e.Received || e.Alert != alertInternalError {
			t.Fatal(err)
		}
		if _, _, err := client.Open(nil); err != errExhausted {
			t.Fatal(err)
		}
		if len(client.Seal(nil, []byte("x"))) > 0 {
			t.Fatal("it goes on")
		}
	}
}

// Handshake messages may be cut into records anywhere, and several may be in one.
func TestHandshakeFragments(t *testing.T) {
	tls13 := suiteFor(t, VersionTLS13)
	ticket := append([]byte{messageNewSessionTicket, 0, 1, 0}, make([]byte, 256)...)
	for size := 8; size <= 260; size++ {
		client, server := sessionsOf(t, tls13)
		got := 0
		client.OnTicket(func(m []byte) {
			if !bytes.Equal(m, ticket) {
				t.Fatalf("ticket of %d bytes", len(m))
			}
			got++
		})
		all := append(append(bytes.Clone(ticket), ticket...), keyUpdate...)
		var records []byte
		for len(all) > 0 {
			n := min(size, len(all))
			if all = all[n:]; len(all) < 5 { // the rest of the key update stays with its beginning
				n += len(all)
				all = nil
			}
			sent := append(append(bytes.Clone(ticket), ticket...), keyUpdate...)
			at := len(sent) - len(all) - n
			records = server.out.Seal(records, TypeHandshake, sent[at:at+n])
		}
		server.out.update()
		if plain, _, err := client.Open(server.Seal(records, []byte("data"))); err != nil && size > 17 || err == nil && (got != 2 || string(plain) != "data") {
			t.Fatalf("in pieces of %d: %d tickets, %q, %v", size, got, plain, err)
		}
	}
	// A key update byte by byte.
	client, server := sessionsOf(t, tls13)
	var records []byte
	for i := range keyUpdate {
		records = client.out.Seal(records, TypeHandshake, keyUpdate[i:i+1])
	}
	client.out.update()
	if got := opened(t, server, client.Seal(records, []byte("data"))); string(got) != "data" || server.hand != nil {
		t.Fatalf("%q", got)
	}
}

func TestTickets(t *testing.T) {
	ticket := append([]byte{messageNewSessionTicket, 0, 0, 2}, "tt"...)
	client, server := sessionsOf(t, suiteFor(t, VersionTLS13))
	opened(t, client, server.out.Seal(nil, TypeHandshake, ticket)) // skipped
	calls := 0
	client.OnTicket(func(m []byte) {
		if !bytes.Equal(m, ticket) {
			t.Errorf("ticket %x", m)
		}
		calls++
	})
	opened(t, client, server.out.Seal(server.out.Seal(nil, TypeHandshake, ticket), TypeHandshake, ticket))
	opened(t, client, server.Seal(nil, []byte("data")))
	opened(t, client, server.out.Seal(nil, TypeHandshake, ticket))
	if calls != 2 {
		t.Fatalf("%d calls", calls)
	}
}

func TestRefusedMessages(t *testing.T) {
	for _, c := range []struct {
		name       string
		version    uint16
		fromServer bool
		payloads   [][]byte // "" is a record of data
		alert      uint8
	}{
		{"a ticket from a client", VersionTLS13, false, [][]byte{{messageNewSessionTicket, 0, 0, 0}}, alertUnexpectedMessage},
		{"a hello from a client", VersionTLS13, false, [][]byte{{messageClientHello, 0, 0, 0}}, alertUnexpectedMessage},
		{"a request of certificates", VersionTLS13, true, [][]byte{{13, 0, 0, 0}}, alertUnexpectedMessage},
		{"an unknown message", VersionTLS13, true, [][]byte{{99, 0, 0, 0}}, alertUnexpectedMessage},
		{"a type, refused once its length is there", VersionTLS13, true, [][]byte{{99, 0}, {0, 9}}, alertUnexpectedMessage},
		{"a long key update", VersionTLS13, true, [][]byte{{messageKeyUpdate, 0, 0, 2, 0, 0}}, alertDecodeError},
		{"an empty key update", VersionTLS13, false, [][]byte{{messageKeyUpdate, 0, 0, 0}}, alertDecodeError},
		{"a key update of 2", VersionTLS13, false, [][]byte{{messageKeyUpdate, 0, 0, 1, 2}}, alertIllegalParameter},
		{"a key update amid a record", VersionTLS13, false, [][]byte{append(keyUpdate[:5:5], keyUpdate...)}, alertUnexpectedMessage},
		{"a key update amid a record, in parts", VersionTLS13, false, [][]byte{keyUpdate[:2], append(keyUpdate[2:5:5], 24)}, alertUnexpectedMessage},
		{"a huge ticket", VersionTLS13, true, [][]byte{{messageNewSessionTicket, 1, 0, 0}}, alertDecodeError},
		{"an empty record", VersionTLS13, true, [][]byte{{}}, alertUnexpectedMessage},
		{"data amid a message", VersionTLS13, true, [][]byte{{messageNewSessionTicket, 0, 0, 9, 1}, nil}, alertUnexpectedMessage},
		{"data amid a header", VersionTLS13, false, [][]byte{{messageKeyUpdate}, nil}, alertUnexpectedMessage},
		{"a finished", VersionTLS12, false, [][]byte{{20, 0, 0, 12}}, alertUnexpectedMessage},
		{"a hello request from a client", VersionTLS12, false, [][]byte{{messageHelloRequest, 0, 0, 0}}, alertUnexpectedMessage},
		{"a hello from a server", VersionTLS12, true, [][]byte{{messageClientHello, 0, 0, 0}}, alertUnexpectedMessage},
		{"a hello request with a body", VersionTLS12, true, [][]byte{{messageHelloRequest, 0, 0, 1, 0}}, alertDecodeError},
		{"a huge hello", VersionTLS12, false, [][]byte{{messageClientHello, 1, 0, 0}}, alertDecodeError},
		{"a key update", VersionTLS12, false, [][]byte{keyUpdate}, alertUnexpectedMessage},
		{"data amid a hello", VersionTLS12, false, [][]byte{{messageClientHello, 0, 0, 9}, nil}, alertUnexpectedMessage},
		{"a hello from a server", VersionTLCP, true, [][]byte{{messageClientHello, 0, 0, 0}}, alertUnexpectedMessage},
	} {
		t.Run(c.name, func(t *testing.T) {
			peer, s := sessionsOf(t, suiteFor(t, c.version))
			if c.fromServer {
				peer, s = s, peer
			}
			var records []byte
			for _, p := range c.payloads {
				if p == nil {
					records = peer.out.Seal(records, TypeApplicationData, []byte("data"))
					continue
				}
				records = peer.out.Seal(records, TypeHandshake, p)
			}
			wants(t, s, peer, records, c.alert)
		})
	}
}

// Before TLS 1.3, a renegotiation is refused with a warning, and the connection goes on.
func TestRenegotiation(t *testing.T) {
	hello := append([]byte{messageClientHello, 0, 4, 0}, make([]byte, 1024)...)
	for _, version := range []uint16{VersionTLS12, VersionTLCP} {
		for _, size := range []int{100, 1027, len(hello)} {
			client, server := sessionsOf(t, suiteFor(t, version))
			var records []byte
			for rest := hello; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				records = client.out.Seal(records, TypeHandshake, rest[:min(size, len(rest))])
			}
			opened(t, server, records)
			reply := server.AppendReply(nil)
			typ, payload, err := client.in.Open(bytes.Clone(reply))
			if err != nil || typ != TypeAlert || !bytes.Equal(payload, []byte{levelWarning, alertNoRenegotiation}) {
				t.Fatalf("reply of type %d: %x, %v", typ, payload, err)
			}
			if got := opened(t, server, client.Seal(nil, []byte("on"))); string(got) != "on" || server.HasReply() {
				t.Fatalf("then %q", got)
			}
		}
		client, server := sessionsOf(t, suiteFor(t, version))
		opened(t, client, server.out.Seal(nil, TypeHandshake, []byte{messageHelloRequest, 0, 0, 0}))
		if got := opened(t, server, client.Seal(nil, []byte("on"))); string(got) != "on" || client.HasReply() {
			t.Fatalf("then %q", got)
		}
	}
}
