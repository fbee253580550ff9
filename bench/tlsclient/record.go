package tlsclient

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	recordCCS       byte = 20
	recordAlert     byte = 21
	recordHandshake byte = 22
	recordData      byte = 23

	headerSize = 5
	maxPlain   = 16 << 10
	maxRecord  = maxPlain + 2048
)

var (
	errRecord  = errors.New("malformed record")
	errDecrypt = errors.New("record that does not authenticate")
)

// seal appends one record.
func (c *Conn) seal(dst []byte, kind byte, p []byte) []byte {
	h := &c.out
	at := len(dst)
	dst = append(dst, kind, byte(c.suite.record>>8), byte(c.suite.record), 0, 0)
	size := func() { binary.BigEndian.PutUint16(dst[at+3:], uint16(len(dst)-at-headerSize)) }
	if h.aead == nil {
		dst = append(dst, p...)
		size()
		return dst
	}
	nonce := h.nonce()
	if h.explicit {
		var extra [13]byte
		binary.BigEndian.PutUint64(extra[:], h.number)
		copy(extra[8:], dst[at:at+3])
		binary.BigEndian.PutUint16(extra[11:], uint16(len(p)))
		dst = append(dst, nonce[4:]...)
		dst = h.aead.Seal(dst, nonce[:], p, extra[:])
		size()
	} else {
		dst[at] = recordData
		dst = append(dst, p...)
		dst = append(dst, kind)
		n := len(p) + 1
		binary.BigEndian.PutUint16(dst[at+3:], uint16(n+h.aead.Overhead()))
		dst = h.aead.Seal(dst[:at+headerSize], nonce[:], dst[at+headerSize:at+headerSize+n], dst[at:at+headerSize])
	}
	h.number++
	return dst
}

// open decrypts a whole record in place.
func (c *Conn) open(rec []byte) (kind byte, p []byte, err error) {
	h := &c.in
	kind, p = rec[0], rec[headerSize:]
	if h.aead == nil || kind == recordCCS && !h.explicit {
		return kind, p, nil
	}
	nonce := h.nonce()
	if h.explicit {
		if len(p) < 8+h.aead.Overhead() {
			return 0, nil, errRecord
		}
		copy(nonce[4:], p[:8])
		p = p[8:]
		var extra [13]byte
		binary.BigEndian.PutUint64(extra[:], h.number)
		copy(extra[8:], rec[:3])
		binary.BigEndian.PutUint16(extra[11:], uint16(len(p)-h.aead.Overhead()))
		p, err = h.aead.Open(p[:0], nonce[:], p, extra[:])
	} else {
		if kind != recordData {
			return kind, p, fmt.Errorf("record of type %d in the clear: %x", kind, p[:min(len(p), 2)])
		}
		if p, err = h.aead.Open(p[:0], nonce[:], p, rec[:headerSize]); err == nil {
			n := len(p)
			for n > 0 && p[n-1] == 0 { // padding
				n--
			}
			if n == 0 {
				return 0, nil, errRecord
			}
			kind, p = p[n-1], p[:n-1]
		}
	}
	if err != nil {
		return 0, nil, errDecrypt
	}
	h.number++
	return kind, p, nil
}

// record takes the next whole record out of the input: nil when there is none.
// What is left over is kept for the next Feed.
func (c *Conn) record() ([]byte, error) {
	if len(c.rest) == 0 && len(c.input) == 0 {
		return nil, nil
	}
	if len(c.rest) == 0 && len(c.input) >= headerSize {
		total, err := recordSize(c.input)
		if err != nil {
			return nil, err
		}
		if len(c.input) >= total {
			rec := c.input[:total]
			c.input = c.input[total:]
			return rec, nil
		}
	}
	for want := headerSize; ; {
		n := min(max(want-len(c.rest), 0), len(c.input))
		c.rest = append(c.rest, c.input[:n]...)
		c.input = c.input[n:]
		if len(c.rest) < want {
			return nil, nil
		}
		total, err := recordSize(c.rest)
		if err != nil {
			return nil, err
		}
		if want == total {
			rec := c.rest
			c.rest = c.rest[:0] // rec is read before more is put there
			return rec, nil
		}
		want = total
	}
}

// recordSize is a record's size with its header.
func recordSize(header []byte) (int, error) {
	n := int(binary.BigEndian.Uint16(header[3:]))
	if header[0] < recordCCS || header[0] > recordData || n == 0 || n > maxRecord {
		return 0, fmt.Errorf("%w: %x", errRecord, header[:headerSize])
	}
	return headerSize + n, nil
}
