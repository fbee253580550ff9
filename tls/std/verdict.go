package std

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"slices"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// crypto/tls says bad_certificate whatever VerifyConnection finds wrong, and internal_error
// whatever Options.Choose does. Peers are to be told what it is (expired, revoked, of an unknown
// authority; RFC 8446 §6.2), so the wire puts the alert of their *handshake.Error in its place.

// judged has c's VerifyConnection leave its alert with the wire.
func (w *wire) judged(c *tls.Config) {
	verify := c.VerifyConnection
	if verify == nil {
		return
	}
	c.VerifyConnection = func(state tls.ConnectionState) error {
		err := verify(state)
		w.judge(err)
		return err
	}
}

// judge has the alert of an error told in place of crypto/tls's.
func (w *wire) judge(err error) {
	if e, ok := errors.AsType[*handshake.Error](err); ok && !e.Received {
		w.verdict = e.Alert
	}
}

// retold is p, a write of crypto/tls, with the verdict in its last record if that is an alert.
func (w *wire) retold(p []byte) []byte {
	last, number := 0, w.out.protected // of the last record: its place and its number
	for at := 0; len(p)-at >= record.HeaderSize; {
		if at > 0 && p[last] == record.TypeApplicationData {
			number++
		}
		last = at
		at += record.HeaderSize + int(binary.BigEndian.Uint16(p[at+3:]))
	}
	told := slices.Clone(p[:last])
	rec, alert := p[last:], []byte{2, byte(w.verdict)} // fatal
	if len(rec) == record.HeaderSize+len(alert) && rec[0] == record.TypeAlert {
		return append(append(told, rec[:record.HeaderSize]...), alert...) // in the clear
	}
	secret := w.log.clientHandshake // TLS 1.3: in place of the client's Finished
	if !w.client {
		secret, number = w.log.server, w.sealedCount // behind the server's
	}
	half, err := record.NewTLS13(w.suite(), secret)
	if err != nil {
		return p
	}
	half.SetSequence(number)
	if typ, _, err := half.Open(slices.Clone(rec)); err != nil || typ != record.TypeAlert {
		return p
	}
	half.SetSequence(number) // the record of crypto/tls's that has it is never sent
	return half.Seal(told, record.TypeAlert, alert)
}
