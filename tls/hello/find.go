package hello

import "encoding/binary"

const (
	// MaxMessage bounds a ClientHello with its 4 bytes of header. Browsers send
	// up to 2 KB with post-quantum key shares; 16 KB also holds the long session
	// tickets of others.
	MaxMessage = 16384

	// MaxRecords bounds the records that a ClientHello may be split over, so that
	// looking at the bytes again whenever some more have come stays cheap. Some
	// clients split theirs into single bytes, to pass who looks for a name in it.
	MaxRecords = 1024

	// MaxBytes is the most that Find needs to see of a connection.
	MaxBytes = MaxMessage + MaxRecords*recordHeader

	maxRecord     = 16384
	messageHeader = 4
)

// Find finds the ClientHello at the front of p, the bytes that a connection of
// protocol TLS or TLCP (see Sniff) has received so far.
//
//   - used > 0: it is complete. msg is the handshake message with its header: a
//     part of p when it came in one record, else written over scratch (grown when
//     too small). used is how many bytes of p its records take up; what follows
//     them is early data or a change_cipher_spec.
//   - used == 0, no error: call again when p has more; at most MaxBytes are needed.
//   - an error is an *Error, found as early as the bytes show it.
//
// A ClientHello must end its record: nothing may follow it before the server has
// answered (RFC 8446, 5.1).
func Find(p, scratch []byte) (msg []byte, used int, err error) {
	var (
		header [messageHeader]byte // of the message; may itself be split
		have   int                 // bytes of the message that the records so far hold
		size   = messageHeader     // of the message, as far as it is known
	)
	for records := 0; have < size; records++ {
		payload, whole, err := record(p, used)
		if err != nil {
			return nil, 0, err
		}
		if records == MaxRecords {
			return nil, 0, errRecords
		}
		if have < messageHeader {
			copy(header[have:], payload)
			if size, err = messageSize(header[:], have+len(payload)); err != nil {
				return nil, 0, err
			}
		}
		if !whole {
			return nil, 0, nil
		}
		have += len(payload)
		used += recordHeader + len(payload)
	}
	if have > size {
		return nil, 0, errTrailing
	}
	msg = message(p[:used], scratch, size)
	if len(msg) >= messageHeader+2 && (versionAt(msg[messageHeader:]) == versionTLCP) != (versionAt(p[1:]) == versionTLCP) {
		return nil, 0, errMixed
	}
	return msg, used, nil
}

// record looks at the record at p[at:] and returns what is there of its payload,
// and whether that is all of it. It checks what can be seen of a part.
func record(p []byte, at int) (payload []byte, whole bool, err error) {
	r := p[at:]
	if len(r) > 0 && r[0] != typeHandshake {
		return nil, false, errRecordType
	}
	if len(r) > 1 && r[1] != p[1] || len(r) > 2 && r[1] != 3 && versionAt(r[1:]) != versionTLCP {
		return nil, false, errRecordVersion
	}
	if len(r) < recordHeader {
		return nil, false, nil
	}
	n := int(binary.BigEndian.Uint16(r[3:]))
	switch {
	case n == 0:
		return nil, false, errRecordEmpty // RFC 8446, 5.1; RFC 5246, 6.2.1
	case n > maxRecord:
		return nil, false, errRecordLength
	}
	r = r[recordHeader:]
	return r[:min(n, len(r))], n <= len(r), nil
}

// messageSize reads the header of the message, of which n bytes are there: the
// size of the whole message, or of its header while that is not complete.
func messageSize(header []byte, n int) (int, error) {
	if n > 0 && header[0] != typeClientHello {
		return 0, errMessageType
	}
	if n < messageHeader {
		return messageHeader, nil
	}
	size := messageHeader + int(header[1])<<16 + int(header[2])<<8 + int(header[3])
	if size > MaxMessage {
		return 0, errMessageLong
	}
	return size, nil
}

// message takes the message of that size out of its records.
func message(records, scratch []byte, size int) []byte {
	if len(records) == recordHeader+size {
		return records[recordHeader:]
	}
	msg := scratch[:0]
	for len(records) > 0 {
		end := recordHeader + int(binary.BigEndian.Uint16(records[3:]))
		msg = append(msg, records[recordHeader:end]...)
		records = records[end:]
	}
	return msg
}

func versionAt(p []byte) uint16 { return binary.BigEndian.Uint16(p) }
