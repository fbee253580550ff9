package grpc

import "encoding/binary"

// FrameHeader is the length of what stands before each message: a byte that says
// whether the message is compressed, and its length.
const FrameHeader = 5

// AppendFrame appends a message that is not compressed, with what stands before
// it.
func AppendFrame(dst, message []byte) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, 0), uint32(len(message)))
	return append(dst, message...)
}

// ParseFrame reads what stands before a message; ok is false when p is shorter,
// or its first byte is neither 0 nor 1.
func ParseFrame(p []byte) (compressed bool, length uint32, ok bool) {
	if len(p) < FrameHeader || p[0] > 1 {
		return false, 0, false
	}
	return p[0] == 1, binary.BigEndian.Uint32(p[1:]), true
}
