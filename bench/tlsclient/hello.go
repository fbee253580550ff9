package tlsclient

import (
	"encoding/binary"
	"time"
)

const (
	extServerName      = 0
	extGroups          = 10
	extPointFormats    = 11
	extSignatures      = 13
	extALPN            = 16
	extExtendedMaster  = 23
	extSessionTicket   = 35
	extPreSharedKey    = 41
	extVersions        = 43
	extPSKModes        = 45
	extKeyShare        = 51
	extRenegotiateInfo = 0xff01
)

// Messages of the handshake.
const (
	msgClientHello     = 1
	msgServerHello     = 2
	msgNewTicket       = 4
	msgExtensions      = 8
	msgCertificate     = 11
	msgKeyExchange     = 12
	msgHelloDone       = 14
	msgVerify          = 15
	msgClientKey       = 16
	msgFinished        = 20
	helloRetryTailByte = 0x9c // of the random that marks a HelloRetryRequest
)

// extension appends one with its content.
func extension(b []byte, id uint16, content ...byte) []byte {
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(content)))
	return append(b, content...)
}

// numbers is a list of 16-bit numbers with its length in bytes.
func numbers(list []uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(2*len(list)))
	for _, v := range list {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

// hello writes the ClientHello into Out.
func (c *Conn) hello(serverName string) {
	s, client := c.suite, c.client
	client.random.fill(c.random[:])
	if client.config.Resume {
		c.offered = client.ticket
	}
	version := min(s.version, 0x0303)
	b := make([]byte, 0, 512)
	b = append(b, msgClientHello, 0, 0, 0, byte(version>>8), byte(version))
	b = append(b, c.random[:]...)
	if s.version == 0x0304 || c.offered != nil {
		client.random.fill(c.clientID[:])
		b = append(b, 32)
		b = append(b, c.clientID[:]...)
	} else {
		b = append(b, 0)
	}
	b = append(b, numbers(s.ids)...)
	b = append(b, 1, 0)
	at := len(b)
	b = append(b, 0, 0)
	n := len(serverName)
	b = extension(b, extServerName, append([]byte{byte((n + 3) >> 8), byte(n + 3), 0, byte(n >> 8), byte(n)}, serverName...)...)
	if s.groups != nil {
		b = extension(b, extALPN, append([]byte{0, 9, 8}, "http/1.1"...)...)
		b = extension(b, extGroups, numbers(s.groups)...)
		b = extension(b, extSignatures, numbers(s.signatures)...)
	}
	var binders int
	switch s.version {
	case 0x0303:
		b = extension(b, extPointFormats, 1, 0)
		b = extension(b, extExtendedMaster)
		b = extension(b, extRenegotiateInfo, 0)
		if client.config.Resume {
			var opaque []byte
			if c.offered != nil {
				opaque = c.offered.opaque
			}
			b = extension(b, extSessionTicket, opaque...)
		}
	case 0x0304:
		b = extension(b, extVersions, 2, 3, 4)
		b = extension(b, extPSKModes, 1, 1)
		share := binary.BigEndian.AppendUint16(nil, uint16(4+len(client.keys.public)))
		share = binary.BigEndian.AppendUint16(share, client.keys.group)
		share = binary.BigEndian.AppendUint16(share, uint16(len(client.keys.public)))
		b = extension(b, extKeyShare, append(share, client.keys.public...)...)
		if t := c.offered; t != nil {
			n := len(t.opaque)
			psk := binary.BigEndian.AppendUint16(nil, uint16(n+6))
			psk = binary.BigEndian.AppendUint16(psk, uint16(n))
			psk = append(psk, t.opaque...)
			psk = binary.BigEndian.AppendUint32(psk, uint32(time.Since(t.received).Milliseconds())+t.ageAdd)
			psk = append(psk, 0, 1+hashSize, hashSize)
			b = extension(b, extPreSharedKey, append(psk, make([]byte, hashSize)...)...)
			binders = 3 + hashSize
		}
	}
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-4))
	if binders > 0 {
		copy(b[len(b)-hashSize:], s.mac(c.offered.binder, s.digest(b[:len(b)-binders])))
	}
	c.hash.Write(b)
	c.Out = c.seal(make([]byte, 0, len(b)+headerSize), recordHandshake, b)
	if s.version != 0x0101 {
		c.Out[1], c.Out[2] = 3, 1 // as RFC 8446 section 5.1 has it
	}
}

// A serverHello is what one says.
type serverHello struct {
	random, id  []byte
	suite       uint16
	version     uint16
	share       []byte
	group       uint16
	hasPSK      bool
	hasExtended bool
}

func parseServerHello(p []byte) (h serverHello, ok bool) {
	version, ok := take(&p, 2)
	if !ok {
		return h, false
	}
	h.version = binary.BigEndian.Uint16(version)
	if h.random, ok = take(&p, 32); !ok {
		return h, false
	}
	if h.id, ok = vector(&p, 1); !ok {
		return h, false
	}
	rest, ok := take(&p, 3)
	if !ok || rest[2] != 0 {
		return h, false
	}
	h.suite = binary.BigEndian.Uint16(rest)
	if len(p) == 0 {
		return h, true
	}
	list, ok := vector(&p, 2)
	if !ok || len(p) > 0 {
		return h, false
	}
	for len(list) > 0 {
		id, ok := take(&list, 2)
		if !ok {
			return h, false
		}
		content, ok := vector(&list, 2)
		if !ok {
			return h, false
		}
		switch number(id) {
		case extVersions:
			h.version = uint16(number(content))
		case extKeyShare:
			group, ok := take(&content, 2)
			if !ok {
				return h, false
			}
			h.group = uint16(number(group))
			if h.share, ok = vector(&content, 2); !ok {
				return h, false
			}
		case extPreSharedKey:
			h.hasPSK = true
		case extExtendedMaster:
			h.hasExtended = true
		}
	}
	return h, true
}
