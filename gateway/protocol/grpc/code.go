package grpc

import "strconv"

// Code is the status of a call: the number in grpc-status.
type Code uint32

// The codes. Servers may send others, which clients take as Unknown.
const (
	OK                 Code = 0
	Cancelled          Code = 1
	Unknown            Code = 2
	InvalidArgument    Code = 3
	DeadlineExceeded   Code = 4
	NotFound           Code = 5
	AlreadyExists      Code = 6
	PermissionDenied   Code = 7
	ResourceExhausted  Code = 8
	FailedPrecondition Code = 9
	Aborted            Code = 10
	OutOfRange         Code = 11
	Unimplemented      Code = 12
	Internal           Code = 13
	Unavailable        Code = 14
	DataLoss           Code = 15
	Unauthenticated    Code = 16

	// CodeCount is how many codes have a name: they are below it.
	CodeCount = 17
)

// String is the code's name in the specification ("DEADLINE_EXCEEDED"), or its
// number when it has none.
func (c Code) String() string {
	if c >= CodeCount {
		return strconv.FormatUint(uint64(c), 10)
	}
	return [CodeCount]string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
		"UNAUTHENTICATED",
	}[c]
}

// CamelString is the name in the other usual form ("DeadlineExceeded"), which is
// how Envoy's access log writes it.
func (c Code) CamelString() string {
	if c >= CodeCount {
		return strconv.FormatUint(uint64(c), 10)
	}
	return [CodeCount]string{
		"OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
		"ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss",
		"Unauthenticated",
	}[c]
}

// maxCodeDigits bounds the value of grpc-status: any number of 32 bits.
const maxCodeDigits = 10

// ParseCode reads the value of a grpc-status field: a decimal number. Numbers
// without a name are taken; what is no number, or more than 32 bits, is not.
func ParseCode(value []byte) (c Code, ok bool) {
	if len(value) == 0 || len(value) > maxCodeDigits {
		return 0, false
	}
	var n uint64
	for _, d := range value {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + uint64(d-'0')
	}
	return Code(n), n <= 1<<32-1
}

// Append appends the value of a grpc-status field.
func (c Code) Append(dst []byte) []byte { return strconv.AppendUint(dst, uint64(c), 10) }

// FromHTTP is the code of an answer that has an HTTP status and no grpc-status,
// by the specification's doc/http-grpc-status-mapping.md.
func FromHTTP(status int) Code {
	switch status {
	case 400:
		return Internal
	case 401:
		return Unauthenticated
	case 403:
		return PermissionDenied
	case 404:
		return Unimplemented
	case 429, 502, 503, 504:
		return Unavailable
	}
	return Unknown
}

// FromLocal is the code of an answer that the gateway itself makes, with the
// HTTP status that another client would get. It is FromHTTP, made more precise
// where the specification's table, which is about answers of strangers, leaves
// Unknown: what is too large is ResourceExhausted, what took too long
// DeadlineExceeded, and the gateway's own failure Internal.
func FromLocal(status int) Code {
	switch status {
	case 408, 504:
		return DeadlineExceeded
	case 413, 414, 431:
		return ResourceExhausted
	case 405, 501:
		return Unimplemented
	case 500:
		return Internal
	}
	return FromHTTP(status)
}
