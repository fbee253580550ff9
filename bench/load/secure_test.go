package load

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"longmen/bench/tlsclient"
)

// secureConfig asks a server of one version, which says in resumed how many of
// its requests came on resumed connections.
func secureConfig(t *testing.T, protocol tlsclient.Protocol, h http.HandlerFunc) Config {
	t.Helper()
	version := map[tlsclient.Protocol]uint16{tlsclient.TLS12: tls.VersionTLS12, tlsclient.TLS13: tls.VersionTLS13}[protocol]
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{MinVersion: version, MaxVersion: version}
	s.StartTLS()
	t.Cleanup(s.Close)
	return Config{
		Addr: netip.MustParseAddrPort(s.Listener.Addr().String()), Targets: []Target{{"a.test", "/x"}, {"b.test", "/y"}},
		Method: "GET", Conns: 4, Duration: 200 * time.Millisecond, Timeout: 20 * time.Second, Status: 200, Length: 3, TLS: protocol,
	}
}

func protocols() []tlsclient.Protocol { return []tlsclient.Protocol{tlsclient.TLS12, tlsclient.TLS13} }

func TestKeptConnectionsOverTLS(t *testing.T) {
	for _, protocol := range protocols() {
		var mu sync.Mutex
		conns := map[string]bool{}
		cfg := secureConfig(t, protocol, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			conns[r.RemoteAddr] = true
			mu.Unlock()
			if r.TLS == nil || r.TLS.DidResume {
				w.WriteHeader(500)
			}
			answer(w, r)
		})
		r := mustRun(t, cfg)
		mu.Lock()
		if r.Requests == 0 || r.Errors != 0 || len(conns) != 4 || r.Busy <= 0 {
			t.Errorf("%s: %d connections, %+v", protocol, len(conns), r)
		}
		mu.Unlock()
		cfg.Method, cfg.Body, cfg.Rate = "POST", 1000, 200
		if r := mustRun(t, cfg); r.Requests != 40 || r.Errors != 0 {
			t.Errorf("%s: POST at a rate: %+v", protocol, r)
		}
	}
}

func TestLongAnswersOverTLS(t *testing.T) {
	const size = 1 << 20
	cfg := secureConfig(t, tlsclient.TLS13, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, size)) })
	cfg.Length = size
	if r := mustRun(t, cfg); r.Requests == 0 || r.Errors != 0 || r.BytesIn < r.Requests*size {
		t.Errorf("%+v", r)
	}
}

func TestHandshakeForEachRequest(t *testing.T) {
	for _, protocol := range protocols() {
		for _, resume := range []bool{false, true} {
			var mu sync.Mutex
			full, resumed, names := 0, 0, map[string]string{}
			cfg := secureConfig(t, protocol, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				if r.TLS.DidResume {
					resumed++
				} else {
					full++
				}
				names[r.Host] = r.TLS.ServerName
				answer(w, r)
			})
			cfg.New, cfg.Resume = true, resume
			r := mustRun(t, cfg)
			mu.Lock()
			total := full + resumed
			switch {
			case r.Errors != 0 || r.Requests == 0:
				t.Errorf("%s: %+v", protocol, r)
			case resume && (full != 1 || uint64(resumed) != r.Requests): // the first is not counted
				t.Errorf("%s resumed: %d full and %d resumed for %d requests", protocol, full, resumed, r.Requests)
			case !resume && (resumed != 0 || uint64(total) != r.Requests):
				t.Errorf("%s: %d full and %d resumed for %d requests", protocol, full, resumed, r.Requests)
			}
			for host, name := range names {
				if host != name && !resume {
					t.Errorf("%s: %s was asked for as %s", protocol, host, name)
				}
			}
			mu.Unlock()
		}
	}
}

func TestServerWithoutTickets(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(answer))
	s.TLS = &tls.Config{SessionTicketsDisabled: true}
	s.StartTLS()
	defer s.Close()
	cfg := secureConfig(t, tlsclient.TLS13, answer)
	cfg.Addr, cfg.New, cfg.Resume = netip.MustParseAddrPort(s.Listener.Addr().String()), true, true
	if r, err := Run(context.Background(), cfg); err == nil {
		t.Errorf("no error without tickets: %+v", r)
	}
}

func TestServerWithoutTLS(t *testing.T) {
	cfg := config(t, answer)
	cfg.TLS, cfg.New = tlsclient.TLS13, true
	if r := mustRun(t, cfg); r.Requests != 0 || r.ErrorKinds["handshake"] == 0 || r.FirstError == "" {
		t.Errorf("%+v", r)
	}
	cfg.New = false
	if r, err := Run(context.Background(), cfg); err == nil {
		t.Errorf("no connection can be established: %+v", r)
	}
}

func TestIdleOverTLS(t *testing.T) {
	for _, protocol := range protocols() {
		cfg := secureConfig(t, protocol, answer)
		cfg.Conns = 20
		ctx, cancel := context.WithCancel(context.Background())
		if lost, err := Idle(ctx, cfg, cancel); err != nil || lost != 0 {
			t.Errorf("%s: lost %d, %v", protocol, lost, err)
		}
	}
}

func TestBadSecureConfigs(t *testing.T) {
	good := secureConfig(t, tlsclient.TLS13, answer)
	for what, spoil := range map[string]func(*Config){
		"a long body":        func(c *Config) { c.Body = inlineBody + 1 },
		"resumption of what": func(c *Config) { c.TLS, c.Resume = "", true },
		"SSL":                func(c *Config) { c.TLS = "ssl3" },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := Run(context.Background(), cfg); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
