package resource

import (
	"fmt"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// ECHName is the name of key i of Encrypted Client Hello (RFC 9849) among the secrets of a
// GenericSecret: "ech[0]" is the one that clients are told of. Each holds a private key and its
// configuration in PEM (RFC 9934).
func ECHName(i int) string { return fmt.Sprintf("ech[%d]", i) }

// ECHSources are those keys in order: as many as follow one another from the first.
func ECHSources(s *tls.GenericSecret) []*core.DataSource {
	var keys []*core.DataSource
	for {
		key, ok := s.GetSecrets()[ECHName(len(keys))]
		if !ok {
			return keys
		}
		keys = append(keys, key)
	}
}
