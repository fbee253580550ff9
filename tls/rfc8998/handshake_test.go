package rfc8998

import (
	"bytes"
	"testing"

	"longmen/tls/handshake"
)

func TestFull(t *testing.T) {
	p := newPair(t)
	client, server := p.mustShake(t)
	for side, result := range map[string]*handshake.Result{"client": client, "server": server} {
		if result.Version != 0x0304 || result.Suite != 0x00C6 || result.Group != 41 || result.Resumed ||
			result.ServerName != "server.test" || result.Protocol != "" {
			t.Errorf("%s: %+v", side, result)
		}
	}
	if !client.PeerVerified || len(client.PeerChain) != 1 || !bytes.Equal(client.PeerChain[0], p.server.Certificate.Certificate[0]) {
		t.Error("the client does not tell the server's chain")
	}
	if server.PeerVerified || server.PeerChain != nil {
		t.Error("the server tells of a chain that no client showed")
	}
}
