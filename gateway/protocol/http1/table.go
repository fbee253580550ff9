package http1

// equalFold compares p with lower, which is ASCII in lower case.
func equalFold(p []byte, lower string) bool {
	if len(p) != len(lower) {
		return false
	}
	for i, b := range p {
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		if b != lower[i] {
			return false
		}
	}
	return true
}

// trimOWS drops spaces and tabs at both ends.
func trimOWS(p []byte) []byte {
	for len(p) > 0 && (p[0] == ' ' || p[0] == '\t') {
		p = p[1:]
	}
	for len(p) > 0 && (p[len(p)-1] == ' ' || p[len(p)-1] == '\t') {
		p = p[:len(p)-1]
	}
	return p
}

// nextItem cuts the first element off a comma-separated list (RFC 9110 section
// 5.6.1). Elements may be empty.
func nextItem(list []byte) (item, rest []byte) {
	for i, b := range list {
		if b == ',' {
			return trimOWS(list[:i]), list[i+1:]
		}
	}
	return trimOWS(list), nil
}
