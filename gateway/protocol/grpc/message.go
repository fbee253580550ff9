package grpc

const upperHex = "0123456789ABCDEF"

// AppendMessage appends the value of a grpc-message field: text, percent-encoded
// but for the printable bytes of ASCII other than "%" itself. Text is UTF-8.
func AppendMessage(dst []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// AppendDecoded appends the text that the value of a grpc-message field stands
// for. What is no percent-encoding stands for itself, as the specification asks:
// a message is never dropped for being malformed. The result may hold any byte.
func AppendDecoded(dst, value []byte) []byte {
	for len(value) > 0 {
		if value[0] == '%' && len(value) > 2 {
			high, ok1 := unhex(value[1])
			low, ok2 := unhex(value[2])
			if ok1 && ok2 {
				dst, value = append(dst, high<<4|low), value[3:]
				continue
			}
		}
		dst, value = append(dst, value[0]), value[1:]
	}
	return dst
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
