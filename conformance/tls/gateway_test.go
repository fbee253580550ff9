// Package tls_test judges the TLS of the built gateway by clients and endpoints
// that share nothing with it: OpenSSL, crypto/tls, curl, tjfoc/gmsm, and bytes
// written by hand. Its own clients stand in only where nobody else speaks the
// protocol (RFC 8998, and three of TLCP's suites).
package tls_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"longmen/conformance/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// handshakeTimeout is that of gateways that say no other, and slack what a client may
// see it end later by.
const (
	handshakeTimeout = time.Second
	slack            = 4 * time.Second
)

// A gateway is one process with TLS, an origin behind it, and who vouches for
// its certificates.
type gateway struct {
	*harness.Proxy
	t      testing.TB
	origin *httptest.Server
}

// serve starts a gateway with one listener. tls are the keys of its tls block and
// secrets the lines of its secrets.
func serve(t testing.TB, tls, secrets string) *gateway {
	t.Helper()
	origin := startOrigin(t)
	return &gateway{Proxy: harness.Start(t, harness.Longmen, address(origin), harness.Options{Config: listening(tls, secrets)}), t: t, origin: origin}
}

func listening(tls, secrets string) string {
	if !strings.Contains(tls, "handshake_timeout:") {
		tls = fmt.Sprintf("handshake_timeout: %v\n", handshakeTimeout) + tls
	}
	return fmt.Sprintf(`workers: 2
admin: {bind: "@admin@"}
access_log: {path: "@log@", format: json}
listeners:
  main:
    bind: "@addr@"
    routes: main
    forwarded: {client_cert: set, client_cert_details: [subject]}
    timeouts: {header: 5s, idle: 20s}
    tls:
%s
routes:
  main: [{hosts: ["*"], rules: [{to: origin}]}]
clusters:
  origin: {endpoints: ["@origin@"]}
secrets:
%s`, indent(6, tls), indent(2, secrets))
}

func indent(n int, text string) string {
	space := strings.Repeat(" ", n)
	var b strings.Builder
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		b.WriteString(space + line)
	}
	return b.String() + "\n"
}

// startOrigin starts an origin that answers with what it was asked, and by whom.
func startOrigin(t testing.TB) *httptest.Server {
	origin := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(origin.Close)
	return origin
}

func answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("X-Client-Cert", r.Header.Get("X-Forwarded-Client-Cert"))
	if r.URL.Path == "/echo" {
		w.Write(body)
		return
	}
	fmt.Fprintf(w, "origin %s %s %s %d", r.Method, r.URL.Path, r.Header.Get("X-Forwarded-Proto"), len(body))
}

func address(s *httptest.Server) string { return s.Listener.Addr().String() }

// answered is what the origin says to a GET.
func answered(path, proto string) string { return "origin GET " + path + " " + proto + " 0" }

// noLeak checks, when the test has ended and closed its connections, that the
// gateway holds what it holds now. It is called after a first request, with
// which the gateway has made what it makes only once.
func (g *gateway) noLeak() {
	g.t.Helper()
	g.origin.CloseClientConnections()
	if left := g.Quiet(); left != "" {
		g.t.Fatal(left)
	}
	before, err := g.State()
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		g.origin.CloseClientConnections()
		if left := g.Quiet(); left != "" {
			g.t.Error(left)
		}
		if left := g.SettlesTo(before, 4); left != "" {
			g.t.Error(left)
		}
	})
}

// each runs the cases, some at once, and returns their verdicts in order.
func each[C any](cases []C, atOnce int, name func(C) string, run func(C) string) []harness.Verdict {
	verdicts := make([]harness.Verdict, len(cases))
	turn := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, c := range cases {
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			verdicts[i] = harness.Verdict{Name: name(c), Fault: run(c)}
		})
	}
	all.Wait()
	return verdicts
}

// short is n of the quick subset, and all of the full suite.
func short(n, full int) int {
	if harness.Full() {
		return full
	}
	return n
}
