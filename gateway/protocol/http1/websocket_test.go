package http1

import (
	"testing"

	"longmen/gateway/stream"
)

// The example of RFC 6455 section 1.3.
func TestAcceptOfTheRFC(t *testing.T) {
	if got := acceptOf([]byte("dGhlIHNhbXBsZSBub25jZQ==")); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Error(got)
	}
}

func TestChallengeIsMadeWhereThereIsNone(t *testing.T) {
	r := stream.Request{Major: 2}
	o := &stream.Outgoing{Upgrade: []byte("WebSocket")}
	key := challenge(&r, o)
	if len(key) != keyLen {
		t.Fatalf("key %q", key)
	}
	if again := challenge(&r, o); string(again) == string(key) {
		t.Error("the same key twice")
	}
	if challenge(&r, &stream.Outgoing{Upgrade: []byte("other")}) != nil || challenge(&r, &stream.Outgoing{}) != nil {
		t.Error("a key without a WebSocket")
	}
	r.Header.AddString(nameKey, "dGhlIHNhbXBsZSBub25jZQ==")
	if challenge(&r, o) != nil {
		t.Error("a second key")
	}

	var resp stream.Response
	resp.Header.AddString(nameAccept, acceptOf(key))
	if !accepted(&resp, key) || resp.Header.Has(nameAccept) {
		t.Error("the right answer was refused, or kept")
	}
	if accepted(&resp, key) {
		t.Error("no answer was taken for one")
	}
}

func TestAcceptIsAnsweredForEndpointsThatWereNotAsked(t *testing.T) {
	var r stream.Request
	r.Header.AddString(nameKey, "dGhlIHNhbXBsZSBub25jZQ==")
	resp := stream.Response{Status: 101, Protocol: []byte("websocket")}
	accept(&r, &resp)
	if got := string(resp.Header.Get(nameAccept)); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("accept %q", got)
	}
	accept(&r, &resp)
	if resp.Header.Count() != 1 {
		t.Error("answered twice")
	}
}
