package tls13

import (
	"longmen/tls/handshake"
	"longmen/tls/record"
)

// maxEarlyRecords bounds the early data that is passed over: a client of a server that took
// early data before, on tickets of the same keys, sends its first request at most.
const maxEarlyRecords = 8

// skipEarlyData goes on to read with keys, past the early data of a client that sent some.
// Before a second hello keys is nil: then what is not early data is not protected either
// (RFC 8446 §4.2.10).
func (s *server) skipEarlyData(hello *clientHello, keys *record.Half) error {
	switch {
	case hello.earlyData:
		return s.conn.SetRead(&earlyData{keys: keys, left: maxEarlyRecords})
	case keys != nil:
		return s.conn.SetRead(keys)
	}
	return nil
}

// earlyData opens records and turns those of early data, which no key here opens, into
// change_cipher_spec records, which say nothing.
type earlyData struct {
	keys *record.Half // nil: before a second hello
	left int          // records that may yet be early data
}

func (e *earlyData) Seal(dst []byte, typ byte, payload []byte) []byte {
	return e.keys.Seal(dst, typ, payload)
}

func (e *earlyData) Open(rec []byte) (typ byte, payload []byte, err error) {
	switch {
	case e.keys != nil:
		// A record that fails to open leaves the half as it was: the next is tried with
		// the same sequence number.
		if typ, payload, err = e.keys.Open(rec); err == nil {
			e.left = 0 // the client has gone on to the handshake's keys
			return typ, payload, nil
		}
	case rec[0] != record.TypeApplicationData:
		return rec[0], rec[record.HeaderSize:], nil
	default:
		err = handshake.Errorf(handshake.UnexpectedMessage, "a protected record before the second ClientHello")
	}
	if e.left == 0 {
		return 0, nil, err
	}
	e.left--
	return record.TypeChangeCipherSpec, []byte{1}, nil
}
