package tls13

import (
	"longmen/tls/handshake"
	"longmen/tls/record"
)

// What is passed over of early data that is rejected: as much as a ticket of any server is
// likely to have allowed, and what protects it.
const (
	maxSkippedRecords = 256
	maxSkippedBytes   = 64 << 10
)

// skipEarlyData goes on to read with keys, past the early data of a client that sent some.
// Before a second hello keys is nil: then what is not early data is not protected either
// (RFC 8446 §4.2.10).
func (s *server) skipEarlyData(hello *clientHello, keys *record.Half) error {
	switch {
	case hello.earlyData:
		most := maxSkippedBytes
		if e := s.config.EarlyData; e != nil {
			most += int(e.Most)
		}
		s.conn.Ignore(maxSkippedRecords)
		return s.conn.SetRead(&skipper{keys: keys, records: maxSkippedRecords, bytes: most})
	case keys != nil:
		return s.conn.SetRead(keys)
	}
	return nil
}

// A skipper opens records and turns those of early data, which no key here opens, into
// change_cipher_spec records, which say nothing.
type skipper struct {
	keys    *record.Half // nil: before a second hello
	records int          // that may yet be early data
	bytes   int          // in them
}

func (e *skipper) Seal(dst []byte, typ byte, payload []byte) []byte {
	return e.keys.Seal(dst, typ, payload)
}

func (e *skipper) Open(rec []byte) (typ byte, payload []byte, err error) {
	switch {
	case e.keys != nil:
		// A record that fails to open leaves the half as it was: the next is tried with
		// the same sequence number.
		if typ, payload, err = e.keys.Open(rec); err == nil {
			e.records = 0 // the client has gone on to the handshake's keys
			return typ, payload, nil
		}
	case rec[0] != record.TypeApplicationData:
		return rec[0], rec[record.HeaderSize:], nil
	default:
		err = handshake.Errorf(handshake.UnexpectedMessage, "a protected record before the second ClientHello")
	}
	if e.records--; e.records < 0 {
		return 0, nil, err
	}
	if e.bytes -= len(rec); e.bytes < 0 {
		return 0, nil, err
	}
	return record.TypeChangeCipherSpec, []byte{1}, nil
}
