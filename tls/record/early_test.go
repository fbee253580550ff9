package record

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

var compatibility = []byte{TypeChangeCipherSpec, 3, 3, 0, 1, 1}

// An earlyPeer is a client of a server that has accepted its early data.
type earlyPeer struct {
	data, handshake *Half
	client          *Session // with the keys that come last
	finished        []byte
}

func earlySessions(t testing.TB, s *suite, most int) (*earlyPeer, *Session) {
	t.Helper()
	p := &earlyPeer{finished: append([]byte{20, 0, 0, byte(s.hashSize)}, bytes.Repeat([]byte{7}, s.hashSize)...)}
	var data, handshake *Half
	p.data, data = pairOf(t, s, 3)
	p.handshake, handshake = pairOf(t, s, 4)
	clientOut, in := pairOf(t, s, 1)
	out, clientIn := pairOf(t, s, 2)
	server, err := NewEarlySession(Early{Data: data, Handshake: handshake, Finished: p.finished, Most: most}, in, out)
	if err != nil {
		t.Fatal(err)
	}
	if p.client, err = NewSession(clientIn, clientOut, true); err != nil {
		t.Fatal(err)
	}
	return p, server
}

// flight is all that a client sends that goes the usual way.
func (p *earlyPeer) flight() []byte {
	b := p.data.Seal(bytes.Clone(compatibility), TypeApplicationData, []byte("early "))
	b = p.data.Seal(b, TypeApplicationData, []byte("data, "))
	b = p.data.Seal(b, TypeHandshake, endOfEarlyData)
	b = p.handshake.Seal(b, TypeHandshake, p.finished)
	return p.client.Seal(b, []byte("and more"))
}

func TestEarlySession(t *testing.T) {
	for _, s := range suites {
		if s.version != VersionTLS13 {
			continue
		}
		p, server := earlySessions(t, s, 12)
		data := p.data.Seal(bytes.Clone(compatibility), TypeApplicationData, []byte("early data"))
		if got := opened(t, server, data); string(got) != "early data" || !server.Early() {
			t.Fatalf("%s: %q, early %v", s, got, server.Early())
		}
		if got := opened(t, p.client, server.Seal(nil, []byte("0.5-RTT"))); string(got) != "0.5-RTT" {
			t.Fatalf("%q", got)
		}
		if _, err := server.AppendBinary(nil); err == nil {
			t.Fatal("an early session is written down")
		}
		opened(t, server, p.data.Seal(nil, TypeHandshake, endOfEarlyData))
		if !server.Early() {
			t.Fatal("complete without a Finished")
		}
		opened(t, server, p.handshake.Seal(nil, TypeHandshake, p.finished))
		if server.Early() {
			t.Fatal("not complete")
		}
		if got := opened(t, server, p.client.Seal(nil, []byte("later"))); string(got) != "later" {
			t.Fatalf("%q", got)
		}
		if _, err := server.AppendBinary(nil); err != nil {
			t.Fatal(err)
		}
		if _, _, err := server.Open(bytes.Clone(compatibility)); err == nil {
			t.Fatal("a change_cipher_spec after the handshake")
		}
	}
}

// A client's flight in two pieces, cut at every byte: what is opened, and when the handshake is
// complete, does not depend on it.
func TestEarlySessionCut(t *testing.T) {
	s := suiteFor(t, VersionTLS13)
	p, _ := earlySessions(t, s, 100)
	flight := p.flight()
	complete := len(flight) - len("and more") - 17 - HeaderSize
	for cut := range flight {
		_, server := earlySessions(t, s, 100)
		first := bytes.Clone(flight[:cut])
		plain, used, err := server.Open(first)
		if err != nil || server.Early() != (cut < complete) {
			t.Fatalf("cut at %d: early %v, %v", cut, server.Early(), err)
		}
		got := bytes.Clone(plain)
		plain, rest, err := server.Open(append(bytes.Clone(flight[used:cut]), flight[cut:]...))
		if got = append(got, plain...); err != nil || string(got) != "early data, and more" || used+rest != len(flight) || server.Early() {
			t.Fatalf("cut at %d: %q, %v", cut, got, err)
		}
	}
}

// What a client must not send, and the alert for it.
func TestEarlySessionRefuses(t *testing.T) {
	s := suiteFor(t, VersionTLS13)
	wrong := func(p *earlyPeer, at int) []byte {
		b := bytes.Clone(p.finished)
		b[at] ^= 1
		return p.handshake.Seal(p.data.Seal(nil, TypeHandshake, endOfEarlyData), TypeHandshake, b)
	}
	for name, c := range map[string]struct {
		send  func(p *earlyPeer) []byte
		alert uint8
	}{
		"too much": {func(p *earlyPeer) []byte { return p.data.Seal(nil, TypeApplicationData, make([]byte, 101)) }, 10},
		"too much in all": {func(p *earlyPeer) []byte {
			return p.data.Seal(p.data.Seal(nil, 23, make([]byte, 60)), 23, make([]byte, 41))
		}, 10},
		"a wrong Finished":  {func(p *earlyPeer) []byte { return wrong(p, len(p.finished)-1) }, 51},
		"a long Finished":   {func(p *earlyPeer) []byte { return wrong(p, 3) }, 10},
		"another message":   {func(p *earlyPeer) []byte { return wrong(p, 0) }, 10},
		"no EndOfEarlyData": {func(p *earlyPeer) []byte { return p.data.Seal(nil, TypeHandshake, p.finished) }, 10},
		"a message behind EndOfEarlyData": {func(p *earlyPeer) []byte {
			return p.data.Seal(nil, TypeHandshake, append(bytes.Clone(endOfEarlyData), p.finished...))
		}, 10},
		"a message behind Finished": {func(p *earlyPeer) []byte {
			return p.handshake.Seal(p.data.Seal(nil, TypeHandshake, endOfEarlyData), TypeHandshake, append(bytes.Clone(p.finished), 24, 0, 0, 1, 0))
		}, 10},
		"data after EndOfEarlyData": {func(p *earlyPeer) []byte {
			return p.handshake.Seal(p.data.Seal(nil, TypeHandshake, endOfEarlyData), TypeApplicationData, []byte("x"))
		}, 10},
		"early data after EndOfEarlyData": {func(p *earlyPeer) []byte {
			return p.data.Seal(p.data.Seal(nil, TypeHandshake, endOfEarlyData), TypeApplicationData, []byte("x"))
		}, 20},
		"application data without Finished": {func(p *earlyPeer) []byte {
			return p.client.Seal(p.data.Seal(nil, TypeHandshake, endOfEarlyData), []byte("x"))
		}, 20},
		"data amid a message": {func(p *earlyPeer) []byte {
			return p.data.Seal(p.data.Seal(nil, TypeHandshake, endOfEarlyData[:2]), TypeApplicationData, []byte("x"))
		}, 10},
		"an alert amid a message": {func(p *earlyPeer) []byte {
			return p.data.Seal(p.data.Seal(nil, TypeHandshake, endOfEarlyData[:2]), TypeAlert, []byte{2, 40})
		}, 10},
		"an empty message":                {func(p *earlyPeer) []byte { return p.data.Seal(nil, TypeHandshake, nil) }, 10},
		"a protected change_cipher_spec":  {func(p *earlyPeer) []byte { return p.data.Seal(nil, TypeChangeCipherSpec, []byte{1}) }, 10},
		"two change_cipher_specs":         {func(p *earlyPeer) []byte { return append(bytes.Clone(compatibility), compatibility...) }, 10},
		"a change_cipher_spec of its own": {func(p *earlyPeer) []byte { return []byte{TypeChangeCipherSpec, 3, 3, 0, 1, 2} }, 10},
		"nothing, for ever": {func(p *earlyPeer) (b []byte) {
			for range maxUseless + 1 {
				b = p.data.Seal(b, TypeApplicationData, nil)
			}
			return b
		}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			p, server := earlySessions(t, s, 100)
			wants(t, server, p.client, c.send(p), c.alert)
		})
	}
}

// Messages may come in parts, and alerts as ever.
func TestEarlySessionParts(t *testing.T) {
	s := suiteFor(t, VersionTLS13)
	p, server := earlySessions(t, s, 100)
	var b []byte
	for _, one := range endOfEarlyData {
		b = p.data.Seal(b, TypeHandshake, []byte{one})
	}
	for at := 0; at < len(p.finished); at += 8 {
		b = p.handshake.Seal(b, TypeHandshake, p.finished[at:min(at+8, len(p.finished))])
	}
	opened(t, server, b)
	if server.Early() {
		t.Fatal("not complete")
	}
	p, server = earlySessions(t, s, 100)
	if _, _, err := server.Open(p.data.Seal(nil, TypeAlert, []byte{1, 0})); err != io.EOF {
		t.Fatalf("close_notify: %v", err)
	}
	p, server = earlySessions(t, s, 100)
	_, _, err := server.Open(p.data.Seal(nil, TypeAlert, []byte{2, 40}))
	if e, ok := errors.AsType[*AlertError](err); !ok || !e.Received || e.Alert != 40 {
		t.Fatalf("%v", err)
	}
}

func TestNewEarlySession(t *testing.T) {
	of := func(s *suite) *Half { h, _ := pairOf(t, s, 1); return h }
	a, b, c := suites[0], suites[2], suiteFor(t, VersionTLS12)
	for _, one := range [][4]*suite{{a, a, a, b}, {a, a, b, a}, {a, b, a, a}, {b, a, a, a}, {c, c, c, c}} {
		if _, err := NewEarlySession(Early{Data: of(one[0]), Handshake: of(one[1])}, of(one[2]), of(one[3])); err == nil {
			t.Errorf("%v", one)
		}
	}
}

// FuzzEarlySession reads its input as records, type, flags, length and payload, of which flags
// chooses the key; bit 3 has the right message in place of the payload. The session never takes
// itself for complete without the right Finished, nor more data than is allowed.
func FuzzEarlySession(f *testing.F) {
	f.Add([]byte{100, 23, 0, 4, 'd', 'a', 't', 'a', 22, 8, 0, 22, 9, 0, 23, 2, 1, 'x'})
	f.Add([]byte{3, 20, 4, 6, 20, 3, 3, 0, 1, 1, 22, 0, 2, 5, 0, 22, 0, 2, 0, 0, 22, 1, 3, 20, 0, 0})
	f.Add([]byte{200, 21, 0, 2, 1, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 0 {
			return
		}
		const most = 300
		p, server := earlySessions(t, suites[0], most)
		piece := int(in[0]) + 1
		var stream []byte
		right := false
		for in = in[1:]; len(in) >= 3; {
			typ, flags, n := in[0], in[1], min(int(in[2]), len(in)-3)
			payload := in[3 : 3+n]
			in = in[3+n:]
			if flags&8 != 0 {
				payload = [][]byte{endOfEarlyData, p.finished}[flags&1]
			}
			right = right || bytes.IndexByte(payload, 7) >= 0
			switch flags & 7 {
			case 0:
				stream = p.data.Seal(stream, typ, payload)
			case 1:
				stream = p.handshake.Seal(stream, typ, payload)
			case 2:
				stream = p.client.out.Seal(stream, typ, payload)
			default:
				stream = append(stream, payload...)
			}
		}
		got := 0
		var buf []byte
		for len(stream) > 0 {
			n := min(piece, len(stream))
			buf, stream = append(buf, stream[:n]...), stream[n:]
			plain, used, err := server.Open(buf)
			buf = buf[used:]
			if server.Early() {
				got += len(plain)
			}
			if got > most {
				t.Fatalf("%d bytes of early data", got)
			}
			if !server.Early() && !right {
				t.Fatal("complete without a Finished")
			}
			if err != nil {
				if _, ok := errors.AsType[*AlertError](err); !ok && err != io.EOF {
					t.Fatal(err)
				}
				return
			}
		}
	})
}
