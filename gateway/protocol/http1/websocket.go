package http1

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"

	"longmen/gateway/stream"
)

// A WebSocket handshake over HTTP/1.1 has a challenge (RFC 6455 section 4) that
// one over HTTP/2 has not (RFC 8441 section 5). Where the two meet, the side that
// speaks HTTP/1.1 makes it, or answers it.

const (
	nameKey    = "sec-websocket-key"
	nameAccept = "sec-websocket-accept"
	keyLen     = 24 // base64 of 16 random bytes
)

var errAccept = &Malformed{502, "the answer to a WebSocket handshake is a wrong one"}

func isWebSocket(protocol []byte) bool { return equalFold(protocol, "websocket") }

// acceptOf is the answer to a challenge.
func acceptOf(key []byte) string {
	h := sha1.New()
	h.Write(key)
	h.Write([]byte("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// challenge makes the key for an endpoint, when the client speaks HTTP/2 and sent
// none; nil when it did, or when no WebSocket is asked for. What a client of
// HTTP/1.1 leaves out is its own affair.
func challenge(r *stream.Request, o *stream.Outgoing) []byte {
	if o.Upgrade == nil || r.Major != 2 || !isWebSocket(o.Upgrade) || r.Header.Has(nameKey) {
		return nil
	}
	var random [16]byte
	rand.Read(random[:])
	return base64.StdEncoding.AppendEncode(make([]byte, 0, keyLen), random[:])
}

// accepted looks whether the endpoint answered the challenge, and takes its
// answer out of the response.
func accepted(resp *stream.Response, key []byte) bool {
	ok := string(resp.Header.Get(nameAccept)) == acceptOf(key)
	resp.Header.Remove(nameAccept)
	return ok
}

// accept answers the client's challenge, when the endpoint was not asked.
func accept(r *stream.Request, resp *stream.Response) {
	if resp.Status != 101 || !isWebSocket(resp.Protocol) || resp.Header.Has(nameAccept) {
		return
	}
	if key := r.Header.Get(nameKey); key != nil {
		resp.Header.AddString(nameAccept, acceptOf(key))
	}
}
