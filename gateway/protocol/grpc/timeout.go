package grpc

import (
	"math"
	"strconv"
	"time"
)

// maxTimeoutDigits is how many digits a grpc-timeout has at most.
const maxTimeoutDigits = 8

// ParseTimeout reads the value of a grpc-timeout field: at most eight digits and
// a unit (H, M, S, m, u, n). A time that a Duration cannot hold, which is more
// than 292 years, is the longest Duration.
func ParseTimeout(value []byte) (d time.Duration, ok bool) {
	last := len(value) - 1
	if last < 1 || last > maxTimeoutDigits {
		return 0, false
	}
	var n int64
	for _, c := range value[:last] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	unit := timeoutUnit(value[last])
	if unit == 0 {
		return 0, false
	}
	if n > math.MaxInt64/int64(unit) {
		return math.MaxInt64, true
	}
	return time.Duration(n) * unit, true
}

func timeoutUnit(c byte) time.Duration {
	switch c {
	case 'H':
		return time.Hour
	case 'M':
		return time.Minute
	case 'S':
		return time.Second
	case 'm':
		return time.Millisecond
	case 'u':
		return time.Microsecond
	case 'n':
		return time.Nanosecond
	}
	return 0
}

// AppendTimeout appends the value of a grpc-timeout field for d, in the smallest
// unit in which it has eight digits. What is lost is rounded up, as gRPC's own
// clients do: a server gives up no earlier than its client. A d that is not
// positive is written as one nanosecond: the specification wants a positive
// number.
func AppendTimeout(dst []byte, d time.Duration) []byte {
	d = max(d, 1)
	for _, c := range [...]byte{'n', 'u', 'm', 'S', 'M', 'H'} {
		unit := timeoutUnit(c)
		n := int64(d / unit)
		if d%unit != 0 {
			n++
		}
		if n < 1e8 {
			return append(strconv.AppendInt(dst, n, 10), c)
		}
	}
	return append(dst, "99999999H"...) // not reached: a Duration has 2.6 million hours
}
