package command

import (
	"slices"
	"strings"

	"longmen/gateway/cluster"
	"longmen/gateway/snapshot"
)

// plainProtocols names the versions of HTTP that are spoken without TLS.
func plainProtocols(p snapshot.Protocols) string {
	switch {
	case !p.HTTP2:
		return "http/1.1"
	case !p.HTTP1:
		return "h2 alone, by prior knowledge"
	}
	return "http/1.1 or h2"
}

// negotiate says what ALPN chooses for a server name, and reports whether that is
// spoken.
func negotiate(l *snapshot.Listener, name string, offered []string) (text string, spoken bool) {
	served := l.TLS.SettingsFor(name).ALPN
	for _, protocol := range served {
		if slices.Contains(offered, protocol) {
			return protocol + " by ALPN (" + strings.Join(served, ", ") + ")", true
		}
	}
	if len(served) > 0 && len(offered) > 0 {
		return "refused: the client offers " + strings.Join(offered, ", ") + ", and " + strings.Join(served, ", ") + " is spoken", false
	}
	return plainProtocols(l.HTTP.Protocols) + ", without ALPN", true
}

// overProtocol says what is spoken to a cluster's endpoints, where it is not
// HTTP/1.1 alone.
func overProtocol(config *cluster.Config) string {
	switch {
	case config.Protocol == cluster.HTTP2Only:
		return "  over h2"
	case config.Protocol == cluster.AutoProtocol && config.TLS != nil:
		return "  over h2 or http/1.1"
	}
	return ""
}
