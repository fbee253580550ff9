package tls13

import (
	"reflect"
	"testing"
	"time"
)

func exampleSession() *session {
	return &session{
		suite:         SuiteSM4GCMSM3,
		created:       time.Unix(1900000000, 0),
		authenticated: time.Unix(1899999999, 0),
		psk:           []byte("a key that is shared"),
		serverName:    "server.test",
		chain:         [][]byte{[]byte("leaf"), []byte("issuer")},
		early:         earlySession{most: 16384, ageAdd: 7, origin: [16]byte{1}, certificate: [16]byte{15: 2}, protocol: "http/1.1"},
	}
}

func TestSession(t *testing.T) {
	written := must(exampleSession().marshal())
	parsed, ok := parseSession(written)
	if !ok || !reflect.DeepEqual(parsed, exampleSession()) {
		t.Fatalf("%+v, %v", parsed, ok)
	}
	for n := range written {
		if _, ok := parseSession(written[:n:n]); ok {
			t.Errorf("a session of %d of %d bytes", n, len(written))
		}
	}
	if _, ok := parseSession(append(written, 0)); ok {
		t.Error("a session and a byte")
	}
	written[0]++
	if _, ok := parseSession(written); ok {
		t.Error("a session of another format")
	}
}

func TestFresh(t *testing.T) {
	for _, c := range []struct {
		created, authenticated, lifetime time.Duration // ago
		want                             bool
	}{
		{0, 0, time.Hour, true},
		{time.Hour - time.Second, time.Hour, time.Hour, true},
		{time.Hour, time.Hour, time.Hour, false},
		{-30 * time.Second, -30 * time.Second, time.Hour, true}, // another node's clock
		{-2 * time.Minute, 0, time.Hour, false},
		{time.Hour, 6 * 24 * time.Hour, 24 * time.Hour, true},
		{time.Hour, 7 * 24 * time.Hour, 24 * time.Hour, false},
	} {
		s := &session{created: noon.Add(-c.created), authenticated: noon.Add(-c.authenticated)}
		if got := s.fresh(noon, c.lifetime); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	// Times that no clock shows must not wrap around.
	if s, ok := parseSession(must((&session{psk: []byte{1}, created: time.UnixMilli(1 << 62), authenticated: time.Unix(-1<<62, 0)}).marshal())); !ok || s.fresh(noon, time.Hour) {
		t.Error("a ticket of the far future is fresh")
	}
}
