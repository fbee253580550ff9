package tls13

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/record"
	"longmen/tls/replay"
)

// An earlySide is a client that sends early data, which Client does not.
type earlySide struct {
	*client
	data     []byte
	accepted bool
	ea, hs   *record.Half // what seals early data, and the Finished
	first    []byte       // all that was written before the server's answer
}

// dialEarly runs the client's handshake; edit, if not nil, changes the hello.
func dialEarly(conn net.Conn, config *ClientConfig, data []byte, edit func(*clientHello)) (*earlySide, *outcome) {
	p := nist()
	log := &recorder{Conn: conn}
	e := &earlySide{data: data, client: &client{
		conn: handshake.NewConn(log, handshake.VersionTLS13), config: config, profile: p,
		transcript: newTranscript(p.newHash), random: source(nil), now: clock(config.Time),
	}}
	err := e.run(edit, log)
	if err != nil {
		err = e.conn.Fail(err)
	}
	return e, &outcome{result: &e.result, err: err, conn: conn}
}

func (e *earlySide) run(edit func(*clientHello), log *recorder) error {
	if err := e.prepareHello(); err != nil {
		return err
	}
	if e.offered == nil {
		return errors.New("no session to resume")
	}
	e.hello.earlyData = true
	psk := e.offered.psk
	if edit != nil {
		edit(e.hello)
	}
	if e.hello.psks == nil {
		e.offered = nil
	}
	if err := e.sendHello(); err != nil {
		return err
	}
	e.hello.earlyData = false // not in a second hello
	var err error
	e.ea, err = e.profile.half(newKeySchedule(e.profile.newHash, psk).derive(clientEarlyTraffic, e.transcript.sum()))
	if err != nil {
		return err
	}
	e.conn.SetWrite(e.ea)
	if len(e.data) > 0 {
		log.Write(e.ea.Seal(nil, record.TypeApplicationData, e.data))
	}
	e.first = bytes.Clone(log.written)
	e.conn.SetWrite(nil) // for the change_cipher_spec
	if err := e.receiveServerHello(); err != nil {
		return err
	}
	if e.hs, err = e.profile.half(e.clientHS); err != nil {
		return err
	}
	message, err := e.conn.Expect(handshake.EncryptedExtensions)
	if err != nil {
		return err
	}
	e.hello.earlyData = true
	answer, err := parseEncryptedExtensions(message, e.hello)
	if err != nil {
		return err
	}
	e.result.Protocol, e.accepted = answer.protocol, answer.earlyData
	e.transcript.add(message)
	for _, step := range []func() error{e.receiveCertificate, e.client.receiveFinished, e.sendEnd, e.client.sendFinished, e.client.conclude} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (e *earlySide) sendEnd() error {
	if e.accepted {
		e.conn.SetWrite(e.ea)
		if err := e.send([]byte{byte(handshake.EndOfEarlyData), 0, 0, 0}, nil); err != nil {
			return err
		}
	}
	e.conn.SetWrite(e.hs)
	return nil
}

// An earlyPair is a server and a client with a session for early data.
type earlyPair struct {
	*nistPair
	register *replay.Register
	server   *ServerConfig
	client   *ClientConfig
	at       time.Time // the server's clock
}

func newEarlyPair(t testing.TB) *earlyPair {
	t.Helper()
	p := &earlyPair{nistPair: newNISTPair(t), register: replay.New(2 * EarlyWindow), at: noon}
	p.server = &ServerConfig{
		Certificate: p.nistPair.server, Protocols: []string{"http/1.1", "other"}, Tickets: &plainTickets{}, Time: func() time.Time { return p.at },
		EarlyData: &EarlyData{Most: 1000, Protocols: []string{"", "http/1.1"}, Once: p.register, Remember: 100},
	}
	p.client = &ClientConfig{ServerName: "server.test", Roots: p.ours, Protocols: []string{"http/1.1"}, Sessions: NewSessions(4), Time: atNoon}
	p.session(t)
	return p
}

// session has the client get a session by a full handshake.
func (p *earlyPair) session(t testing.TB) {
	t.Helper()
	near, far := newWire(t)
	done := make(chan *outcome, 1)
	go func() { done <- ended(far)(ServerStandard(far, p.server)) }()
	client := ended(near)(dial(near, p.client, nist()))
	server := <-done
	if client.err != nil || server.err != nil {
		t.Fatalf("client: %v, server: %v", client.err, server.err)
	}
	exchange(t, client, server)
}

// shake runs a handshake with early data.
func (p *earlyPair) shake(t testing.TB, data string, edit func(*clientHello)) (e *earlySide, client, server *outcome) {
	t.Helper()
	near, far := newWire(t)
	done := make(chan *outcome, 1)
	go func() { done <- ended(far)(ServerStandard(far, p.server)) }()
	e, client = dialEarly(near, p.client, []byte(data), edit)
	return e, client, <-done
}
