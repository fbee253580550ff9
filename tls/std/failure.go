package std

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// failure turns crypto/tls's error into one that names the alert. crypto/tls does not say which
// one it sent; the wire does.
func (w *wire) failure(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		if a, ok := alertNamed(op.Err.Error()); ok {
			return &handshake.Error{Alert: a, Received: true}
		}
	}
	if w.alertSize == 2 && w.header[0] == record.TypeAlert && binary.BigEndian.Uint16(w.header[3:]) == 2 {
		// A client that does not trust the server's certificate has no keys of its own
		// yet: it says so in the clear, and crypto/tls takes that for a broken record.
		return &handshake.Error{Alert: handshake.Alert(w.alert[1]), Received: true}
	}
	if a, ok := w.sentAlert(); ok {
		if own, ok := errors.AsType[*handshake.Error](err); ok && own.Alert == a && own.Cause != nil {
			err = own.Cause // of VerifyConnection, which has named the alert
		}
		return &handshake.Error{Alert: a, Sent: w.failed == nil, Cause: err}
	}
	if w.failed != nil {
		return w.failed
	}
	return &handshake.Error{Alert: handshake.InternalError, Cause: err}
}

// alertNamed finds an alert by what crypto/tls calls it.
func alertNamed(name string) (handshake.Alert, bool) {
	for a := range 256 {
		if tls.AlertError(a).Error() == name {
			return handshake.Alert(a), true
		}
	}
	return 0, false
}

// sentAlert reads the alert that crypto/tls wrote last, if it did.
func (w *wire) sentAlert() (handshake.Alert, bool) {
	rec := w.out.last[:w.out.lastSize]
	if len(rec) < record.HeaderSize {
		return 0, false
	}
	typ, payload := rec[0], rec[record.HeaderSize:]
	if half := w.alertHalf(rec); half != nil {
		var err error
		if typ, payload, err = half.Open(append([]byte(nil), rec...)); err != nil {
			return 0, false
		}
	}
	if typ != record.TypeAlert || len(payload) != 2 {
		return 0, false
	}
	return handshake.Alert(payload[1]), true
}

// alertHalf opens the last record that was written: it stands at that record's number. It is
// nil if the record is in the clear, or if nothing opens it.
func (w *wire) alertHalf(rec []byte) *record.Half {
	var half *record.Half
	var number uint64
	switch {
	case rec[0] == record.TypeApplicationData && w.sealedCount > 0: // a server after its Finished
		half, number = w.sealed, w.sealedCount-1
	case rec[0] == record.TypeApplicationData:
		secret := w.log.serverHandshake
		if w.client {
			secret = w.log.clientHandshake
		}
		half, _ = record.NewTLS13(w.suite(), secret)
		number = w.out.protected - 1
	case rec[0] == record.TypeAlert && w.out.changed && w.log.master != nil: // TLS 1.2
		_, out, err := w.keys12(w.suite())
		if err != nil {
			return nil
		}
		half, number = out, w.out.count-1
	}
	if half != nil {
		half.SetSequence(number)
	}
	return half
}
