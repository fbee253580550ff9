package hello

import "net/netip"

// serverName reads RFC 6066, 3: a list that holds one host name. Names of other
// types have never been defined; they are passed over.
func serverName(body reader) (string, error) {
	list, ok := body.only16()
	if !ok || len(list) == 0 {
		return "", errServerName
	}
	var host []byte
	for r := reader(list); len(r) > 0; {
		kind, _ := r.take(1)
		name, ok := r.vector16()
		if !ok || len(name) == 0 {
			return "", errServerName
		}
		if kind[0] != 0 {
			continue
		}
		if host != nil {
			return "", errNames
		}
		host = name
	}
	if host == nil {
		return "", nil
	}
	return hostName(host)
}

// HostName is a host name as ServerName would have it, for one that another parser read: of a
// ClientHello that came encrypted. "" is none, and gives none. The error is an *Error.
func HostName(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	return hostName([]byte(name))
}

// hostName is p in lower case without its trailing dot, and nothing for the
// literal of an IP address.
func hostName(p []byte) (string, error) {
	if p[len(p)-1] == '.' {
		p = p[:len(p)-1]
	}
	if len(p) == 0 || len(p) > 253 {
		return "", errName
	}
	var lower [253]byte
	label := 0      // bytes of the label so far
	address := true // no byte but those of an address's literal
	for i, c := range p {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
		address = address && ('0' <= c && c <= '9' || c == '.')
		switch {
		case c == '.' && label == 0:
			return "", errName
		case c == '.':
			label = -1
		case c == ':' || c == '[':
			return addressName(p)
		case label == 63 || !nameByte(c):
			return "", errName
		}
		label++
	}
	if label == 0 {
		return "", errName
	}
	if address {
		if _, err := netip.ParseAddr(string(p)); err == nil {
			return "", nil
		}
	}
	return string(lower[:len(p)]), nil
}

// addressName is the end for a name with a byte that only IPv6's literals have.
func addressName(p []byte) (string, error) {
	if p[0] == '[' && p[len(p)-1] == ']' {
		p = p[1 : len(p)-1]
	}
	if _, err := netip.ParseAddr(string(p)); err != nil {
		return "", errName
	}
	return "", nil
}

// nameByte says whether c may stand in a label: RFC 1123's letters, digits and
// hyphen, and the underscore that names in use have.
func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
