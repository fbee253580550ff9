package proxy

import (
	"testing"

	"longmen/gateway/stream"
)

// What may come twice is what changes nothing and is whole.
func TestReplayable(t *testing.T) {
	body := stream.NewBytes([]byte("body"))
	for _, c := range []struct {
		method, upgrade string
		body            stream.Body
		want            bool
	}{
		{"GET", "", nil, true}, {"HEAD", "", nil, true}, {"OPTIONS", "", nil, true},
		{"GET", "websocket", nil, false}, {"GET", "", body, false}, {"OPTIONS", "", body, false},
		{"POST", "", nil, false}, {"PUT", "", nil, false}, {"DELETE", "", nil, false}, {"PATCH", "", nil, false},
		{"CONNECT", "", nil, false}, {"TRACE", "", nil, false}, {"get", "", nil, false}, {"", "", nil, false},
	} {
		r := &stream.Request{Method: []byte(c.method), Body: c.body}
		if c.upgrade != "" {
			r.Upgrade = []byte(c.upgrade)
		}
		if got := replayable(r); got != c.want {
			t.Errorf("%s, upgrade %q, body %v: %v", c.method, c.upgrade, c.body != nil, got)
		}
	}
}
