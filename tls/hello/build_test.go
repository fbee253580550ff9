package hello_test

import "encoding/binary"

// offer is a ClientHello to build, without any check.
type offer struct {
	version    uint16
	session    []byte
	suites     []uint16
	compress   []byte
	extensions []extension
	bare       bool // no extensions field
}

type extension struct {
	id   uint16
	body []byte
}

// basic is an offer that is in order.
func basic(extensions ...extension) offer {
	return offer{version: 0x0303, suites: []uint16{0x1301}, compress: []byte{0}, extensions: extensions}
}

func (o offer) message() []byte {
	p := binary.BigEndian.AppendUint16(nil, o.version)
	for i := range 32 {
		p = append(p, byte(i))
	}
	p = append(p, vector8(o.session)...)
	p = append(p, vector16(words(o.suites...))...)
	p = append(p, vector8(o.compress)...)
	if !o.bare {
		var list []byte
		for _, e := range o.extensions {
			list = append(list, pair(e.id, e.body)...)
		}
		p = append(p, vector16(list)...)
	}
	return append([]byte{1, byte(len(p) >> 16), byte(len(p) >> 8), byte(len(p))}, p...)
}

func words(values ...uint16) (p []byte) {
	for _, v := range values {
		p = binary.BigEndian.AppendUint16(p, v)
	}
	return p
}

func vector8(p []byte) []byte { return append([]byte{byte(len(p))}, p...) }

func vector16(p []byte) []byte { return append(words(uint16(len(p))), p...) }

func pair(id uint16, body []byte) []byte { return append(words(id), vector16(body)...) }

func join(parts ...[]byte) (p []byte) {
	for _, part := range parts {
		p = append(p, part...)
	}
	return p
}

// sni is a server_name extension.
func sni(name string) extension {
	return extension{0, vector16(append([]byte{0}, vector16([]byte(name))...))}
}

// alpn is an ALPN extension.
func alpn(names ...string) extension {
	var list []byte
	for _, name := range names {
		list = append(list, vector8([]byte(name))...)
	}
	return extension{16, vector16(list)}
}
