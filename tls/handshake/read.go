package handshake

import (
	"errors"
	"io"

	"longmen/tls/record"
)

// readRecord reads one record that is not to be ignored and removes its protection. The
// payload is valid until the next call.
func (c *Conn) readRecord() (typ byte, payload []byte, err error) {
	for {
		if c.records++; c.records > maxRecords {
			return 0, nil, Errorf(UnexpectedMessage, "more than %d records", maxRecords)
		}
		if typ, payload, err = c.nextRecord(); err != nil {
			return 0, nil, err
		}
		switch {
		case typ == recordAlert:
			if err := c.receiveAlert(payload); err != nil {
				return 0, nil, err
			}
		case typ == recordChangeCipherSpec && c.tls13:
			if !c.ccs || len(payload) != 1 || payload[0] != 1 {
				return 0, nil, Errorf(UnexpectedMessage, "an unexpected change_cipher_spec")
			}
			// RFC 8446 §5.1: no record of another type stands between the parts of a message.
			if len(c.pending) != 0 {
				return 0, nil, Errorf(UnexpectedMessage, "a change_cipher_spec within a handshake message")
			}
		case typ != recordHandshake && len(c.pending) != 0:
			return 0, nil, Errorf(UnexpectedMessage, "a record of type %d within a handshake message", typ)
		default:
			return typ, payload, nil
		}
		if c.ignored++; c.ignored > maxIgnored {
			return 0, nil, Errorf(UnexpectedMessage, "more than %d records that say nothing", maxIgnored)
		}
	}
}

// nextRecord reads one record and removes its protection.
func (c *Conn) nextRecord() (typ byte, payload []byte, err error) {
	if cap(c.record) < recordHeader {
		c.record = make([]byte, recordHeader, 1024)
	}
	c.record = c.record[:recordHeader]
	if err := c.readFull(c.record); err != nil {
		return 0, nil, err
	}
	length := int(c.record[3])<<8 | int(c.record[4])
	plain := c.plaintext(c.record[0])
	if err := c.checkHeader(c.record, length, plain); err != nil {
		return 0, nil, err
	}
	if need := recordHeader + length; cap(c.record) < need {
		c.record = append(make([]byte, 0, need), c.record...)
	}
	c.record = c.record[:recordHeader+length]
	if err := c.readFull(c.record[recordHeader:]); err != nil {
		if err == io.EOF { // a record without its body is no clean end
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	if plain {
		return c.record[0], c.record[recordHeader:], nil
	}
	c.protected = true
	typ, payload, err = c.read.Open(c.record)
	if err != nil {
		if e, ok := errors.AsType[*record.AlertError](err); ok {
			err = &Error{Alert: Alert(e.Alert), Cause: err}
		}
		return 0, nil, err
	}
	return typ, payload, nil
}

// plaintext reports whether a record of this outer type comes unprotected. In TLS 1.3 that
// is change_cipher_spec always, and an alert of a client that could not yet take up the
// keys (RFC 8446 §6: it may fail before).
func (c *Conn) plaintext(typ byte) bool {
	return c.read == nil || c.tls13 && (typ == recordChangeCipherSpec || typ == recordAlert && !c.protected)
}

func (c *Conn) checkHeader(header []byte, length int, plain bool) error {
	typ, version := header[0], uint16(header[1])<<8|uint16(header[2])
	if typ < recordChangeCipherSpec || typ > recordApplicationData {
		return Errorf(UnexpectedMessage, "a record of the unknown type %d", typ)
	}
	// The first ClientHello of TLS may name any version of TLS (RFC 8446 §5.1).
	if version != c.version && (c.version == VersionTLCP || version>>8 != 3) {
		return Errorf(ProtocolVersion, "a record of version %#04x", version)
	}
	limit := maxPlaintext
	switch {
	case plain:
	case c.tls13:
		limit += maxExpansion3
	default:
		limit += maxExpansion
	}
	if length > limit {
		return Errorf(RecordOverflow, "a record of %d bytes", length)
	}
	return nil
}

// receiveAlert gives the error that an alert ends the handshake with, nil if it ends
// nothing.
func (c *Conn) receiveAlert(payload []byte) error {
	if len(payload) != 2 {
		return Errorf(DecodeError, "an alert of %d bytes", len(payload))
	}
	const warning = 1
	alert := Alert(payload[1])
	// TLS 1.3 knows two alerts that are not fatal, whatever their level says (RFC 8446 §6).
	ignored := payload[0] == warning && alert != CloseNotify && !c.tls13 || c.tls13 && alert == UserCanceled
	if ignored {
		return nil
	}
	c.alerted = true
	return &Error{Alert: alert, Received: true}
}
