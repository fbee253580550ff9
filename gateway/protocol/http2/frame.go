package http2

import (
	"encoding/binary"
	"strconv"
)

// frameType is the type of a frame (RFC 9113 section 6).
type frameType uint8

const (
	frameData           frameType = 0x0
	frameHeaders        frameType = 0x1
	framePriority       frameType = 0x2
	frameReset          frameType = 0x3
	frameSettings       frameType = 0x4
	framePushPromise    frameType = 0x5
	framePing           frameType = 0x6
	frameGoAway         frameType = 0x7
	frameWindowUpdate   frameType = 0x8
	frameContinuation   frameType = 0x9
	framePriorityUpdate frameType = 0x10 // RFC 9218 section 7.1
)

// The flags; what they mean depends on the type.
const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

const (
	headerLen = 9     // of a frame
	maxFrame  = 16384 // payload that we take and announce: the least a peer may be told
	maxID     = 1<<31 - 1
	maxWindow = 1<<31 - 1
)

// preface is what a client begins a connection with (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// frameHeader is what each frame begins with.
type frameHeader struct {
	length int
	typ    frameType
	flags  uint8
	id     uint32
}

// parseFrame reads the header of a frame; p has headerLen bytes at least.
func parseFrame(p []byte) frameHeader {
	return frameHeader{
		length: int(p[0])<<16 | int(p[1])<<8 | int(p[2]),
		typ:    frameType(p[3]),
		flags:  p[4],
		id:     binary.BigEndian.Uint32(p[5:]) & maxID,
	}
}

// appendFrame appends the header of a frame whose payload follows.
func appendFrame(dst []byte, length int, t frameType, flags uint8, id uint32) []byte {
	return append(dst, byte(length>>16), byte(length>>8), byte(length), byte(t), flags,
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

// putFrame writes a frame's header over p[:headerLen].
func putFrame(p []byte, length int, t frameType, flags uint8, id uint32) {
	appendFrame(p[:0], length, t, flags, id)
}

func appendReset(dst []byte, id uint32, code ErrCode) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(dst, 4, frameReset, 0, id), uint32(code))
}

func appendWindowUpdate(dst []byte, id uint32, n int) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(dst, 4, frameWindowUpdate, 0, id), uint32(n))
}

func appendPing(dst []byte, ack bool, data uint64) []byte {
	var flags uint8
	if ack {
		flags = flagAck
	}
	return binary.BigEndian.AppendUint64(appendFrame(dst, 8, framePing, flags, 0), data)
}

func appendGoAway(dst []byte, last uint32, code ErrCode, debug string) []byte {
	dst = appendFrame(dst, 8+len(debug), frameGoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, last)
	dst = binary.BigEndian.AppendUint32(dst, uint32(code))
	return append(dst, debug...)
}

// ErrCode is why a stream or a connection ended (RFC 9113 section 7).
type ErrCode uint32

// The error codes.
const (
	CodeNo                 ErrCode = 0x0
	CodeProtocol           ErrCode = 0x1
	CodeInternal           ErrCode = 0x2
	CodeFlowControl        ErrCode = 0x3
	CodeSettingsTimeout    ErrCode = 0x4
	CodeStreamClosed       ErrCode = 0x5
	CodeFrameSize          ErrCode = 0x6
	CodeRefusedStream      ErrCode = 0x7
	CodeCancel             ErrCode = 0x8
	CodeCompression        ErrCode = 0x9
	CodeConnect            ErrCode = 0xa
	CodeEnhanceYourCalm    ErrCode = 0xb
	CodeInadequateSecurity ErrCode = 0xc
	CodeHTTP11Required     ErrCode = 0xd
)

// String is the code's name in RFC 9113.
func (e ErrCode) String() string {
	names := [...]string{
		"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
		"REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
	}
	if int(e) < len(names) {
		return names[e]
	}
	return "error 0x" + strconv.FormatUint(uint64(e), 16)
}

// ConnError is why a connection cannot go on: what the peer did wrong, or said
// that we did.
type ConnError struct {
	Code   ErrCode
	Text   string
	Remote bool // it was the peer's GOAWAY
}

func (e *ConnError) Error() string {
	if e.Remote {
		return "the peer said GOAWAY: " + e.Code.String() + ": " + e.Text
	}
	return "HTTP/2: " + e.Text + " (" + e.Code.String() + ")"
}

// broke is a connection error that the peer caused.
func broke(code ErrCode, text string) *ConnError { return &ConnError{Code: code, Text: text} }
