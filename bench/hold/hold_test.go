package hold

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
)

// TestHold holds requests at net/http's server; one of two paths is answered.
func TestHold(t *testing.T) {
	var under atomic.Int32
	over := make(chan bool)
	mux := http.NewServeMux()
	mux.HandleFunc("/hold", func(_ http.ResponseWriter, r *http.Request) {
		under.Add(1)
		defer under.Add(-1)
		select {
		case <-over:
		case <-r.Context().Done():
		}
	})
	s := &http.Server{Handler: mux, Protocols: new(http.Protocols)}
	s.Protocols.SetUnencryptedHTTP2(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(func() { close(over); s.Close() })
	for path, want := range map[string]int{"/hold": 0, "/gone": 21} {
		ctx, cancel := context.WithCancel(t.Context())
		lost, err := Hold(ctx, Config{Addr: netip.MustParseAddrPort(l.Addr().String()), Host: "h", Path: path, Conns: 3, Streams: 7}, func() {
			for path == "/hold" && under.Load() != 21 {
			}
			cancel()
		})
		cancel()
		if err != nil || lost > want || path == "/hold" && lost != 0 {
			t.Errorf("%s: %d lost, %v, want %d", path, lost, err, want)
		}
	}
	if _, err := Hold(t.Context(), Config{}, func() {}); err == nil {
		t.Error("nothing to hold, and no error")
	}
}
