package tls13

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/replay"
)

func TestEarlyDataAccepted(t *testing.T) {
	p := newEarlyPair(t)
	for range 3 { // each with the ticket of the one before
		e, client, server := p.shake(t, "early data", nil)
		if client.err != nil || server.err != nil {
			t.Fatalf("client: %v, server: %v", client.err, server.err)
		}
		r := server.result
		if !e.accepted || r.EarlyData != handshake.EarlyDataAccepted || !r.Resumed || !r.Session.Early() || r.Protocol != "http/1.1" || r.ServerName != "server.test" {
			t.Fatalf("accepted %v: %s, resumed %v, early %v", e.accepted, r.EarlyData, r.Resumed, r.Session.Early())
		}
		if got := server.read(t, 10); got != "early data" {
			t.Fatalf("%q", got)
		}
		exchange(t, client, server)
		if r.Session.Early() {
			t.Fatal("the handshake is not complete")
		}
	}
}

// The server answers before the client's Finished is there, and what it reads by then is early.
func TestEarlyDataBeforeFinished(t *testing.T) {
	p := newEarlyPair(t)
	near, far := newWire(t)
	log := &recorder{Conn: near}
	done := make(chan *outcome, 1)
	go func() { done <- ended(far)(ServerStandard(far, p.server)) }()
	_, client := dialEarly(log, p.client, []byte("early data"), nil)
	server := <-done
	if client.err != nil || server.err != nil {
		t.Fatal(client.err, server.err)
	}
	// The flight again, to a server that has not seen it, without its end.
	p.server.EarlyData.Once = known{p.register}
	near, far = newWire(t)
	first := bytes.Index(log.written, []byte("\x14\x03\x03\x00\x01\x01")) // behind the early data
	near.Write(log.written[:first])
	end := ended(far)(ServerStandard(far, p.server))
	if end.err != nil {
		t.Fatal(end.err)
	}
	if got := end.read(t, 10); got != "early data" || !end.result.Session.Early() {
		t.Fatalf("%q, early %v", got, end.result.Session.Early())
	}
	end.write(t, "an answer that the attacker cannot read")
}

// known takes every hello for new, under the name of another.
type known struct{ *replay.Register }

func (known) First([]byte, time.Time, int) (bool, bool) { return true, false }

// What is rejected, and why; the client goes on with the same connection.
func TestEarlyDataRejected(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(p *earlyPair)
		edit    func(h *clientHello)
		want    handshake.EarlyData
		resumed bool
	}{
		"off":               {func(p *earlyPair) { p.server.EarlyData = nil }, nil, handshake.EarlyDataOff, true},
		"none":              {func(p *earlyPair) { p.server.EarlyData.Most = 0 }, nil, handshake.EarlyDataOff, true},
		"less":              {func(p *earlyPair) { p.server.EarlyData.Most = 999 }, nil, handshake.EarlyDataChanged, true},
		"more":              {func(p *earlyPair) { p.server.EarlyData.Most = 1001 }, nil, handshake.EarlyDataAccepted, true},
		"no ticket":         {func(p *earlyPair) { p.server.Tickets = &plainTickets{refuse: true} }, nil, handshake.EarlyDataTicket, false},
		"another process":   {func(p *earlyPair) { p.server.EarlyData.Once = replay.New(time.Minute) }, nil, handshake.EarlyDataTicket, true},
		"a protocol":        {nil, func(h *clientHello) { h.protocols = []string{"other"} }, handshake.EarlyDataChanged, true},
		"no protocol":       {nil, func(h *clientHello) { h.protocols = nil }, handshake.EarlyDataChanged, true},
		"not for it":        {func(p *earlyPair) { p.server.EarlyData.Protocols = []string{""} }, nil, handshake.EarlyDataChanged, true},
		"a certificate":     {func(p *earlyPair) { p.server.Certificate = p.otherCertificate() }, nil, handshake.EarlyDataChanged, true},
		"another name":      {nil, func(h *clientHello) { h.serverName = "other.test" }, handshake.EarlyDataTicket, false},
		"late":              {func(p *earlyPair) { p.at = noon.Add(EarlyWindow + time.Millisecond) }, nil, handshake.EarlyDataAge, true},
		"just in time":      {func(p *earlyPair) { p.at = noon.Add(EarlyWindow) }, nil, handshake.EarlyDataAccepted, true},
		"too soon":          {nil, func(h *clientHello) { h.psks[0].obfuscatedAge += 10001 }, handshake.EarlyDataAge, true},
		"a very early age":  {nil, func(h *clientHello) { h.psks[0].obfuscatedAge -= 10001 }, handshake.EarlyDataAge, true},
		"full":              {func(p *earlyPair) { p.fill() }, nil, handshake.EarlyDataFull, true},
		"retry":             {func(p *earlyPair) { p.client.holdShare = true }, nil, handshake.EarlyDataRetry, true},
		"no psk_dhe_ke":     {nil, func(h *clientHello) { h.pskModes = []byte{0} }, handshake.EarlyDataTicket, false},
		"of an old session": {func(p *earlyPair) { p.at = noon.Add(25 * time.Hour) }, nil, handshake.EarlyDataTicket, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newEarlyPair(t)
			if c.change != nil {
				c.change(p)
			}
			e, client, server := p.shake(t, "early data", c.edit)
			if client.err != nil || server.err != nil {
				t.Fatalf("client: %v, server: %v", client.err, server.err)
			}
			accepted := c.want == handshake.EarlyDataAccepted
			if server.result.EarlyData != c.want || server.result.Resumed != c.resumed || e.accepted != accepted || server.result.Session.Early() != accepted {
				t.Fatalf("%s, want %s; resumed %v; the client was told %v", server.result.EarlyData, c.want, server.result.Resumed, e.accepted)
			}
			if accepted {
				server.read(t, 10)
			}
			exchange(t, client, server)
		})
	}
}

func (p *earlyPair) fill() {
	for i := range 100 {
		p.register.First(bytes.Repeat([]byte{byte(i)}, 32), noon, 100)
	}
}

// otherCertificate is another certificate that the client takes, for the same name.
func (p *earlyPair) otherCertificate() *tls.Certificate {
	other := *p.nistPair.server
	other.Certificate = [][]byte{append(bytes.Clone(other.Certificate[0]), 0)} // it is not shown
	return &other
}

// The first flight, sent again, is not accepted, and what is accepted once is the same however
// often it comes at once.
func TestEarlyDataReplayed(t *testing.T) {
	p := newEarlyPair(t)
	e, client, server := p.shake(t, "early data", nil)
	if client.err != nil || server.err != nil || !e.accepted {
		t.Fatal(client.err, server.err, e.accepted)
	}
	near, far := newWire(t)
	near.Write(e.first)
	near.Close()
	if end := ended(far)(ServerStandard(far, p.server)); end.err == nil {
		t.Fatal("a replay is a connection")
	}
	p = newEarlyPair(t)
	e, client, _ = p.shake(t, "early data", nil) // to see its bytes
	if client.err != nil {
		t.Fatal(client.err)
	}
	p.server.EarlyData.Once = &named{replay.New(time.Minute), p.register.Origin()}
	accepted := make(chan bool, 16)
	for range cap(accepted) {
		near, far := newWire(t)
		near.Write(e.first)
		near.Close()
		go func() { _, err := ServerStandard(far, p.server); accepted <- err == nil }()
	}
	n := 0
	for range cap(accepted) {
		if <-accepted {
			n++
		}
	}
	if n != 1 {
		t.Fatalf("accepted %d times", n)
	}
}

// named is a register under another's name.
type named struct {
	*replay.Register
	origin [16]byte
}

func (n *named) Origin() [16]byte { return n.origin }

// What no client may send ends the handshake, in the right alert.
func TestEarlyDataIllegal(t *testing.T) {
	p := newEarlyPair(t)
	_, client, server := p.shake(t, "early data", func(h *clientHello) { h.psks = nil })
	if server.err == nil {
		t.Fatal(client.err)
	}
	wantAlert(t, server.err, handshake.IllegalParameter, false)

	p = newEarlyPair(t)
	near, far := newWire(t)
	done := make(chan *outcome, 1)
	go func() { done <- ended(far)(ServerStandard(far, p.server)) }()
	dialEarly(&flipped{Conn: near}, p.client, []byte("early data"), nil)
	wantAlert(t, (<-done).err, handshake.DecryptError, false)

	// More than is ever allowed, to a server that passes it over.
	p = newEarlyPair(t)
	p.server.EarlyData = nil
	near, far = newWire(t)
	go func() { done <- ended(far)(ServerStandard(far, p.server)) }()
	go func() {
		_, client := dialEarly(near, p.client, make([]byte, 16000), func(h *clientHello) {})
		client.conn.Close()
	}()
	if end := <-done; end.err != nil {
		t.Fatal(end.err) // that much is passed over
	}
	p.session(t)
	near, far = newWire(t)
	go func() { done <- ended(far)(ServerStandard(far, p.server)) }()
	go func() {
		dialEarly(&many{Conn: near}, p.client, make([]byte, 16000), func(h *clientHello) {})
	}()
	wantAlert(t, (<-done).err, handshake.BadRecordMAC, false)
}

// flipped changes the last bit of what is written first: of the hello's binder.
type flipped struct {
	net.Conn
	done bool
}

func (f *flipped) Write(p []byte) (int, error) {
	if !f.done {
		f.done = true
		p = bytes.Clone(p)
		p[len(p)-1] ^= 1
	}
	return f.Conn.Write(p)
}

// many writes the second thing six times.
type many struct {
	net.Conn
	n int
}

func (m *many) Write(p []byte) (int, error) {
	if m.n++; m.n == 2 {
		for range 5 {
			m.Conn.Write(p)
		}
	}
	return m.Conn.Write(p)
}

// TestEarlyDataCut ends the connection behind each byte of the client's first flight: the server
// ends with an error of the connection, or with a session in which no more data came than was sent.
func TestEarlyDataCut(t *testing.T) {
	p := newEarlyPair(t)
	e, client, server := p.shake(t, "early data", nil)
	if client.err != nil || server.err != nil {
		t.Fatal(client.err, server.err)
	}
	p.server.EarlyData.Once = known{p.register}
	whole := bytes.Index(e.first, []byte("\x17\x03\x03"))
	for cut := range len(e.first) + 1 {
		near, far := newWire(t)
		near.Write(e.first[:cut])
		near.Close()
		result, err := ServerStandard(far, p.server)
		if (err == nil) != (cut >= whole) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if err != nil {
			continue
		}
		in, err := io.ReadAll(far)
		if err != nil {
			t.Fatal(err)
		}
		plain, _, err := result.Session.Open(in)
		if err != nil || !result.Session.Early() || (string(plain) == "early data") != (cut == len(e.first)) {
			t.Fatalf("cut at %d: %q, %v", cut, plain, err)
		}
	}
}

// FuzzEarly throws a client's bytes at a server that takes early data: nothing but the one flight
// that is known is accepted, and nothing is complete.
func FuzzEarly(f *testing.F) {
	p := newEarlyPair(f)
	e, client, server := p.shake(f, "early data", nil)
	if client.err != nil || server.err != nil {
		f.Fatal(client.err, server.err)
	}
	p.server.EarlyData.Once = known{p.register}
	hello := e.first[:bytes.Index(e.first, []byte("\x17\x03\x03"))]
	f.Add(e.first, 0, byte(0))
	f.Add(e.first, 100, byte(1))
	f.Fuzz(func(t *testing.T, data []byte, at int, xor byte) {
		data = bytes.Clone(data)
		if len(data) > 0 {
			data[uint(at)%uint(len(data))] ^= xor
		}
		near, far := newWire(t)
		near.Write(data)
		near.Close()
		result, err := ServerStandard(far, p.server)
		if err != nil {
			return
		}
		if result.EarlyData != handshake.EarlyDataAccepted || len(data) < len(hello) || !bytes.Equal(data[5:len(hello)], hello[5:]) {
			t.Fatalf("%s", result.EarlyData)
		}
		rest, _ := io.ReadAll(far)
		plain, _, _ := result.Session.Open(rest)
		if !result.Session.Early() || len(plain) > 0 && string(plain) != "early data" {
			t.Fatalf("%q", plain)
		}
	})
}
