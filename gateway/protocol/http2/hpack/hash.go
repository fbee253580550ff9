package hpack

import (
	"encoding/binary"

	"longmen/gateway/stream"
)

// hash mixes a field. Fields that were made to collide cost their sender its
// entries in the table, and nothing else.
func hash[T ~string | ~[]byte](id stream.Known, name T, value []byte) uint32 {
	h := uint64(id)<<32 + uint64(len(value))
	if id == stream.Other {
		for i := 0; i < len(name); i++ {
			h = (h ^ uint64(name[i])) * 0x100000001b3
		}
	}
	if len(value) >= 8 {
		for rest := value; len(rest) > 8; rest = rest[8:] {
			h = mix(h ^ binary.LittleEndian.Uint64(rest))
		}
		h = mix(h ^ binary.LittleEndian.Uint64(value[len(value)-8:]))
	} else {
		var x uint64
		for _, b := range value {
			x = x<<8 | uint64(b)
		}
		h = mix(h ^ x)
	}
	return uint32(h>>32) | 1
}

func mix(h uint64) uint64 {
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>29
}

// staticName finds a name in the static table, 0 when it is not there.
func staticName[T ~string | ~[]byte](id stream.Known, name T) uint8 {
	if id != stream.Other {
		return staticKnown[id]
	}
	switch string(name) {
	case "accept-charset":
		return 15
	case "accept-language":
		return 17
	case "accept-ranges":
		return 18
	case "access-control-allow-origin":
		return 20
	case "age":
		return 21
	case "allow":
		return 22
	case "content-disposition":
		return 25
	case "content-language":
		return 27
	case "content-location":
		return 29
	case "content-range":
		return 30
	case "etag":
		return 34
	case "expires":
		return 36
	case "from":
		return 37
	case "if-match":
		return 39
	case "if-modified-since":
		return 40
	case "if-none-match":
		return 41
	case "if-range":
		return 42
	case "if-unmodified-since":
		return 43
	case "last-modified":
		return 44
	case "link":
		return 45
	case "max-forwards":
		return 47
	case "range":
		return 50
	case "refresh":
		return 52
	case "strict-transport-security":
		return 56
	case "vary":
		return 59
	case "www-authenticate":
		return 61
	}
	return 0
}

// staticKnown are the known names in the static table.
var staticKnown = [64]uint8{
	stream.PseudoAuthority: 1, stream.PseudoMethod: 2, stream.PseudoPath: 4, stream.PseudoScheme: 6, stream.PseudoStatus: 8,
	stream.AcceptEncoding: 16, stream.Accept: 19, stream.Authorization: 23, stream.CacheControl: 24,
	stream.ContentEncoding: 26, stream.ContentLength: 28, stream.ContentType: 31, stream.Cookie: 32, stream.Date: 33,
	stream.Expect: 35, stream.Host: 38, stream.Location: 46, stream.ProxyAuthenticate: 48, stream.ProxyAuthorization: 49,
	stream.Referer: 51, stream.RetryAfter: 53, stream.Server: 54, stream.SetCookie: 55, stream.TransferEncoding: 57,
	stream.UserAgent: 58, stream.Via: 60,
}
