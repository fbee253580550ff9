package record

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// sessionsOf makes both ends of a connection.
func sessionsOf(t testing.TB, s *suite) (client, server *Session) {
	t.Helper()
	clientOut, serverIn := pairOf(t, s, 1)
	serverOut, clientIn := pairOf(t, s, 2)
	client, err := NewSession(clientIn, clientOut, true)
	if err != nil {
		t.Fatal(err)
	}
	if server, err = NewSession(serverIn, serverOut, false); err != nil {
		t.Fatal(err)
	}
	return client, server
}

func suiteFor(t testing.TB, version uint16) *suite {
	t.Helper()
	for _, s := range suites {
		if s.version == version {
			return s
		}
	}
	t.Fatal("no suite")
	return nil
}

// opened gives what records carry, which must be all there and end in no error.
func opened(t testing.TB, s *Session, records []byte) []byte {
	t.Helper()
	plain, used, err := s.Open(bytes.Clone(records))
	if err != nil || used != len(records) {
		t.Fatalf("%d of %d bytes used, %v", used, len(records), err)
	}
	return plain
}

// wants has s open records, which must end it with this alert for the peer, and the peer be told.
func wants(t testing.TB, s, peer *Session, records []byte, alert uint8) {
	t.Helper()
	_, _, err := s.Open(bytes.Clone(records))
	e, ok := errors.AsType[*AlertError](err)
	if !ok || e.Received || e.Alert != alert || !s.HasReply() {
		t.Fatalf("%v, reply %v, want alert %d", err, s.HasReply(), alert)
	}
	reply := s.AppendReply(nil)
	_, _, err = peer.Open(reply)
	if e, ok := errors.AsType[*AlertError](err); !ok || !e.Received || e.Alert != alert || peer.HasReply() {
		t.Fatalf("the peer sees %v, reply %v", err, peer.HasReply())
	}
	if s.HasReply() || len(s.AppendReply(nil)) > 0 || len(s.AppendClose(nil)) > 0 || len(s.Seal(nil, []byte("x"))) > 0 {
		t.Fatal("something is sent after a fatal alert")
	}
	if _, used, again := s.Open(records); used != 0 || again != err && again.(*AlertError).Alert != alert {
		t.Fatalf("a second Open: %d, %v", used, again)
	}
}

func TestSession(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite) {
		client, server := sessionsOf(t, s)
		for i, n := range []int{0, 1, 1299, 1300, 1301, 5000, 20000, 40000, 200000} {
			data := make([]byte, n)
			for j := range data {
				data[j] = byte(j * i)
			}
			from, to := client, server
			if i%2 == 1 {
				from, to = server, client
			}
			size := from.SealedSize(n)
			records := from.Seal(nil, data)
			if len(records) != size {
				t.Fatalf("%d bytes: sealed %d, said %d", n, len(records), size)
			}
			buf := append(bytes.Clone(records), "\x17\x03"...)
			if s.version == VersionTLCP {
				buf[len(buf)-1] = 1
			}
			plain, used, err := to.Open(buf)
			if err != nil || used != len(records) || !bytes.Equal(plain, data) {
				t.Fatalf("%d bytes: opened %d, used %d of %d, %v", n, len(plain), used, len(records), err)
			}
			if n > 0 && &plain[0] != &buf[to.in.before()] {
				t.Fatal("the plaintext is not where the first record was")
			}
			if from.HasReply() || to.HasReply() {
				t.Fatal("data calls for a reply")
			}
		}
	})
}

// A stream of records of every kind, cut in two at every byte, gives the same.
func TestSessionCut(t *testing.T) {
	for _, version := range []uint16{VersionTLS13, VersionTLS12, VersionTLCP} {
		s := suiteFor(t, version)
		client, server := sessionsOf(t, s)
		state, err := server.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		stream := client.Seal(nil, bytes.Repeat([]byte("data"), 400))
		stream = client.out.Seal(stream, TypeApplicationData, nil)
		if version == VersionTLS13 {
			stream = client.updateKey(stream)
		} else {
			stream = client.out.Seal(stream, TypeAlert, []byte{levelWarning, 41})
			stream = client.out.Seal(stream, TypeHandshake, []byte{messageClientHello, 0, 0, 3, 1})
			stream = client.out.Seal(stream, TypeHandshake, []byte{2, 3})
		}
		stream = client.AppendClose(client.Seal(stream, []byte("more")))
		want := string(bytes.Repeat([]byte("data"), 400)) + "more"
		for cut := range len(stream) + 1 {
			server, err := RestoreSession(state)
			if err != nil {
				t.Fatal(err)
			}
			p := bytes.Clone(stream)
			plain, used, err := server.Open(p[:cut])
			if err != nil && (err != io.EOF || cut < len(stream)) {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			got := string(plain)
			if err == nil {
				if plain, _, err = server.Open(p[used:]); err != io.EOF {
					t.Fatalf("cut at %d: then %v", cut, err)
				}
				got += string(plain)
			}
			if got != want {
				t.Fatalf("cut at %d: %d bytes of %d", cut, len(got), len(want))
			}
		}
	}
}

func TestSessionRefusesForgery(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite) {
		client, server := sessionsOf(t, s)
		good := client.Seal(nil, []byte("good"))
		bad := client.Seal(nil, []byte("forged"))
		bad[len(bad)-1] ^= 1
		plain, used, err := server.Open(append(good, bad...))
		if string(plain) != "good" || used == 0 {
			t.Fatalf("what came before is lost: %q", plain)
		}
		if e, ok := errors.AsType[*AlertError](err); !ok || e.Alert != alertBadRecordMAC {
			t.Fatal(err)
		}
	})
	client, server := sessionsOf(t, suiteFor(t, VersionTLS13))
	wants(t, server, client, []byte{23, 3, 4, 0, 1}, alertProtocolVersion) // by its header alone
	client, server = sessionsOf(t, suiteFor(t, VersionTLS13))
	wants(t, server, client, []byte{23, 3, 3, 0x41, 1}, alertRecordOverflow)
	client, server = sessionsOf(t, suiteFor(t, VersionTLS13))
	wants(t, server, client, []byte{20, 3, 3, 0, 1, 1}, alertUnexpectedMessage)
}

func TestClose(t *testing.T) {
	for _, version := range []uint16{VersionTLS13, VersionTLS12, VersionTLCP} {
		client, server := sessionsOf(t, suiteFor(t, version))
		last := client.AppendClose(client.Seal(nil, []byte("last")))
		plain, used, err := server.Open(last)
		if string(plain) != "last" || used != len(last) || err != io.EOF || server.HasReply() {
			t.Fatalf("%q, %d, %v", plain, used, err)
		}
		if len(client.Seal(nil, []byte("x"))) > 0 || len(client.AppendClose(nil)) > 0 || client.SealedSize(1) != 0 {
			t.Fatal("something is sent after close_notify")
		}
		if got := opened(t, client, server.Seal(nil, []byte("answer"))); string(got) != "answer" {
			t.Fatalf("the other direction gives %q", got)
		}
		if plain, used, err := server.Open(last); len(plain) > 0 || used > 0 || err != io.EOF {
			t.Fatal("input after close_notify")
		}
	}
}

func TestAlerts(t *testing.T) {
	const accepted, received = 255, 254
	for _, c := range []struct {
		version uint16
		payload []byte
		want    uint8
	}{
		{VersionTLS13, []byte{levelWarning, alertUserCanceled}, accepted},
		{VersionTLS13, []byte{levelFatal, 40}, received},
		{VersionTLS13, []byte{levelWarning, 40}, received}, // all others are fatal whatever they say
		{VersionTLS13, []byte{}, alertUnexpectedMessage},
		{VersionTLS13, []byte{levelFatal}, alertDecodeError},
		{VersionTLS13, []byte{levelFatal, 40, 40}, alertDecodeError},
		{VersionTLS12, []byte{levelWarning, 41}, accepted},
		{VersionTLS12, []byte{levelWarning, alertNoRenegotiation}, accepted},
		{VersionTLS12, []byte{levelFatal, 40}, received},
		{VersionTLS12, []byte{3, 40}, alertIllegalParameter},
		{VersionTLS12, []byte{}, alertUnexpectedMessage},
		{VersionTLCP, []byte{levelWarning, 41}, accepted},
		{VersionTLCP, []byte{levelFatal, 200}, received},
	} {
		client, server := sessionsOf(t, suiteFor(t, c.version))
		records := client.out.Seal(nil, TypeAlert, c.payload)
		switch c.want {
		case accepted:
			opened(t, server, records)
			if got := opened(t, server, client.Seal(nil, []byte("on"))); string(got) != "on" {
				t.Errorf("%x %v: then %q", c.version, c.payload, got)
			}
		case received:
			_, _, err := server.Open(records)
			if e, ok := errors.AsType[*AlertError](err); !ok || !e.Received || e.Alert != c.payload[1] || server.HasReply() {
				t.Errorf("%x %v: %v", c.version, c.payload, err)
			}
		default:
			wants(t, server, client, records, c.want)
		}
	}
}

func TestUnexpectedTypes(t *testing.T) {
	for _, version := range []uint16{VersionTLS13, VersionTLS12, VersionTLCP} {
		for _, typ := range []byte{0, TypeChangeCipherSpec, 24, 80, 255} {
			if version == VersionTLS13 && typ == 0 {
				continue // padding
			}
			client, server := sessionsOf(t, suiteFor(t, version))
			wants(t, server, client, client.out.Seal(nil, typ, []byte{1}), alertUnexpectedMessage)
		}
	}
}

// Records that bring nothing are borne up to a number.
func TestUselessRecords(t *testing.T) {
	for _, c := range []struct {
		version uint16
		typ     byte
		payload []byte
	}{
		{VersionTLS13, TypeApplicationData, nil},
		{VersionTLS13, TypeAlert, []byte{levelWarning, alertUserCanceled}},
		{VersionTLS12, TypeApplicationData, nil},
		{VersionTLS12, TypeAlert, []byte{levelWarning, 41}},
		{VersionTLS12, TypeHandshake, []byte{messageClientHello, 0, 0, 0}},
		{VersionTLCP, TypeApplicationData, nil},
	} {
		client, server := sessionsOf(t, suiteFor(t, c.version))
		for range 3 {
			for range maxUseless {
				opened(t, server, client.out.Seal(nil, c.typ, c.payload))
			}
			opened(t, server, client.Seal(nil, []byte("data")))
		}
		var records []byte
		for range maxUseless + 1 {
			records = client.out.Seal(records, c.typ, c.payload)
		}
		plain, _, err := server.Open(records)
		if err != errUseless || len(plain) > 0 {
			t.Errorf("%x type %d: %v", c.version, c.typ, err)
		}
	}
}
