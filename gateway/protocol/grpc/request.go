package grpc

import "bytes"

// ContentType is the content type of calls and answers whose messages are in
// Protocol Buffers.
const ContentType = "application/grpc"

// IsContentType reports whether a content type is that of gRPC:
// "application/grpc", alone or with the messages' format behind a "+"
// ("application/grpc+proto") or with parameters. The type is compared without
// regard to case (RFC 9110 section 8.3.1). That of gRPC-Web
// ("application/grpc-web") is another one.
func IsContentType(value []byte) bool {
	n := len(ContentType)
	if len(value) < n || !foldEqual(value[:n], ContentType) {
		return false
	}
	if len(value) == n {
		return true
	}
	switch value[n] {
	case '+', ';', ' ', '\t':
		return true
	}
	return false
}

func foldEqual(p []byte, lower string) bool {
	for i, c := range p {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// SplitPath splits the path of a call, "/package.Service/Method", without a
// query. The service is what stands before the last "/", so that it may hold
// slashes itself; neither part is empty when ok.
func SplitPath(path []byte) (service, method []byte, ok bool) {
	if len(path) == 0 || path[0] != '/' {
		return nil, nil, false
	}
	slash := bytes.LastIndexByte(path, '/')
	if slash < 2 || slash == len(path)-1 {
		return nil, nil, false
	}
	return path[1:slash], path[slash+1:], true
}

// IsName reports whether name may stand in a path as the name of a service
// ("package.Service") or of a method: identifiers of Protocol Buffers, joined by
// dots.
func IsName(name string) bool {
	start := true // of an identifier
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_':
			start = false
		case '0' <= c && c <= '9':
			if start {
				return false
			}
		case c == '.':
			if start {
				return false
			}
			start = true
		default:
			return false
		}
	}
	return !start
}
