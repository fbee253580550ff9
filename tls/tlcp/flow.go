package tlcp

import (
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// A flow is what the two sides of a handshake have in common.
type flow struct {
	conn       *handshake.Conn
	transcript hash.Hash

	suite                      uint16
	clientRandom, serverRandom []byte
	master                     []byte
}

func newFlow(conn *handshake.Conn) flow { return flow{conn: conn, transcript: sm3.New()} }

// read takes a message of the given type into the transcript and gives its body.
func (f *flow) read(want handshake.MessageType) ([]byte, error) {
	m, err := f.conn.Expect(want)
	if err != nil {
		return nil, err
	}
	f.transcript.Write(m)
	return m.Body(), nil
}

// write takes a message that was marshalled into the transcript and the flight.
func (f *flow) write(m []byte, err error) error {
	if err != nil {
		return err
	}
	f.transcript.Write(m)
	f.conn.Write(m)
	return nil
}

// halves are the record protection of the client's and of the server's direction.
func (f *flow) halves() (client, server *record.Half, err error) {
	keys := deriveKeys(f.suite, f.master, f.clientRandom, f.serverRandom)
	if client, err = record.NewTLCP(f.suite, keys.clientMAC, keys.clientKey, keys.clientIV); err != nil {
		return nil, nil, err
	}
	server, err = record.NewTLCP(f.suite, keys.serverMAC, keys.serverKey, keys.serverIV)
	return client, server, err
}

// writeFinished changes to out and proves that this side saw the same handshake.
func (f *flow) writeFinished(label string, out *record.Half) error {
	f.conn.WriteChangeCipherSpec()
	f.conn.SetWrite(out)
	data := finished(f.master, label, f.transcript)
	m := append([]byte{byte(handshake.Finished), 0, 0, byte(len(data))}, data...)
	return f.write(m, nil)
}

// readFinished changes to in and checks that the peer saw the same handshake.
func (f *flow) readFinished(label string, in *record.Half) error {
	if err := f.conn.ReadChangeCipherSpec(); err != nil {
		return err
	}
	if err := f.conn.SetRead(in); err != nil {
		return err
	}
	want := finished(f.master, label, f.transcript)
	body, err := f.read(handshake.Finished)
	if err != nil {
		return err
	}
	if len(body) != finishedLen {
		return decodeError("Finished")
	}
	if !equal(body, want) {
		return handshake.Errorf(handshake.DecryptError, "the peer's Finished does not match the handshake")
	}
	return f.conn.End()
}

// logKeys writes the master secret down for those who asked for it.
func (f *flow) logKeys(w io.Writer) error {
	if w == nil {
		return nil
	}
	_, err := fmt.Fprintf(w, "CLIENT_RANDOM %x %x\n", f.clientRandom, f.master)
	return err
}

// finalWord asks the user of this package about the peer's chain.
func finalWord(ask func([]*smx509.Certificate) error, p *peer) error {
	if ask == nil {
		return nil
	}
	err := ask(p.chain)
	if _, ok := errors.AsType[*handshake.Error](err); err != nil && !ok {
		err = &handshake.Error{Alert: handshake.BadCertificate, Cause: err}
	}
	return err
}
