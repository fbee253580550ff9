package stream

// TokenLower maps the bytes of a token (RFC 9110 section 5.6.2) to their lower
// case, and every other byte to 0.
var TokenLower = [256]byte{
	'!': '!', '#': '#', '$': '$', '%': '%', '&': '&', '\'': '\'', '*': '*', '+': '+', '-': '-', '.': '.',
	'^': '^', '_': '_', '`': '`', '|': '|', '~': '~',
	'0': '0', '1': '1', '2': '2', '3': '3', '4': '4', '5': '5', '6': '6', '7': '7', '8': '8', '9': '9',
	'A': 'a', 'B': 'b', 'C': 'c', 'D': 'd', 'E': 'e', 'F': 'f', 'G': 'g', 'H': 'h', 'I': 'i', 'J': 'j',
	'K': 'k', 'L': 'l', 'M': 'm', 'N': 'n', 'O': 'o', 'P': 'p', 'Q': 'q', 'R': 'r', 'S': 's', 'T': 't',
	'U': 'u', 'V': 'v', 'W': 'w', 'X': 'x', 'Y': 'y', 'Z': 'z',
	'a': 'a', 'b': 'b', 'c': 'c', 'd': 'd', 'e': 'e', 'f': 'f', 'g': 'g', 'h': 'h', 'i': 'i', 'j': 'j',
	'k': 'k', 'l': 'l', 'm': 'm', 'n': 'n', 'o': 'o', 'p': 'p', 'q': 'q', 'r': 'r', 's': 's', 't': 't',
	'u': 'u', 'v': 'v', 'w': 'w', 'x': 'x', 'y': 'y', 'z': 'z',
}

// IsToken reports whether p is a token, which field names and methods are.
func IsToken[T ~string | ~[]byte](p T) bool {
	for i := range len(p) {
		if TokenLower[p[i]] == 0 {
			return false
		}
	}
	return len(p) > 0
}
