package command

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// quickFile stands in origins in the place of a file's name.
const quickFile = "--to"

// quickConfig is the gateway.yaml that "run --to URL" stands for: one listener
// that hands everything to one service.
func quickConfig(to, bind string) ([]byte, error) {
	target, err := url.Parse(to)
	switch {
	case err != nil || target.Host == "":
		return nil, misusef("--to %q: must be a URL such as http://localhost:3000", to)
	case target.Scheme != "http" && target.Scheme != "https":
		return nil, misusef("--to %q: must be an http or https URL", to)
	case target.User != nil || strings.Trim(target.Path, "/") != "" || target.RawQuery != "" || target.Fragment != "":
		return nil, misusef("--to %q: must be a host and port only", to)
	}
	port, tls := target.Port(), ""
	if target.Scheme == "https" {
		tls = ", tls: true"
	}
	switch {
	case port != "":
	case tls != "":
		port = "443"
	default:
		port = "80"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, misusef("--to %q: the port must be from 1 to 65535", to)
	}
	if _, err := parseBind(bind); err != nil {
		return nil, misusef("--bind %q: must be an address with port such as :8080 or 127.0.0.1:8080", bind)
	}
	address := strconv.Quote(net.JoinHostPort(target.Hostname(), port))
	endpoints := "[" + address + "]"
	if _, err := netip.ParseAddr(target.Hostname()); err != nil {
		endpoints = "{dns: " + address + "}"
	}
	return []byte("listeners:\n" +
		"  http: {bind: " + strconv.Quote(bind) + ", routes: all}\n" +
		"routes:\n" +
		"  all: [{hosts: [\"*\"], rules: [{to: service}]}]\n" +
		"clusters:\n" +
		"  service: {endpoints: " + endpoints + tls + "}\n"), nil
}
