package tls_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// Early data by OpenSSL's client: what a rule allows comes in it and is marked
// (RFC 8470), all else waits, and what is sent a second time by somebody who
// recorded it reaches nobody.
func TestEarlyData(t *testing.T) {
	a := newAuthority(t, "root")
	var mu sync.Mutex
	asked := map[string][]string{} // the Early-Data fields of each path's requests
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.Method+" "+r.URL.Path] = append(asked[r.Method+" "+r.URL.Path], r.Header.Get("Early-Data"))
		mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(origin.Close)
	config := listening("certs: [a]\nearly_data: {max: 4KiB}\n", a.issue("p256", "a.test").secret("a"))
	config = strings.Replace(config, "rules: [{to: origin}]", "rules: [{match: {prefix: /early}, to: origin, early_data: true}, {to: origin}]", 1)
	g := &gateway{Proxy: harness.Start(t, harness.Longmen, address(origin), harness.Options{Config: config}), t: t, origin: origin}

	session := filepath.Join(t.TempDir(), "session")
	base := []string{"-tls1_3", "-CAfile", a.file, "-servername", "a.test"}
	if s, err := openssl(g.Addr, "/early/first", append(base, "-sess_out", session)...); err != nil || s.full != 1 || s.body != answered("/early/first", "https") {
		t.Fatalf("the first connection: %+v, %v", s, err)
	}
	r := startRecorder(t, g.Addr)
	type early struct {
		name, request string
		accepted      bool
		seen          string // at the origin, of the request's method and path
		marks         string // the Early-Data fields there
	}
	var verdicts []harness.Verdict
	for _, c := range []early{
		{"allowed", "GET /early/a", true, "GET /early/a", "[1]"},
		{"not allowed", "GET /late/b", true, "GET /late/b", "[]"},
		{"unsafe", "DELETE /early/c", true, "DELETE /early/c", "[]"},
	} {
		v := harness.Verdict{Name: "early-data/" + c.name}
		file := filepath.Join(t.TempDir(), "early")
		check(t, os.WriteFile(file, []byte(c.request+" HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"), 0o600))
		r.reset()
		s, err := openssl(r.Addr().String(), "/ignored", append(base, "-sess_in", session, "-early_data", file, "-sess_out", session)...)
		mu.Lock()
		marks := fmt.Sprint(asked[c.seen])
		mu.Unlock()
		switch {
		case err != nil:
			v.Fault = err.Error()
		case s.resumed != 1 || !strings.Contains(s.all, "Early data was accepted"):
			v.Fault = s.says("that early data was accepted", false, true)
		case marks != c.marks:
			v.Fault = s.says("what the origin was asked", marks, c.marks)
		default:
			v.Fault = r.replay(g.Addr)
		}
		if v.Fault == "" {
			mu.Lock()
			if n := len(asked[c.seen]); n != 1 {
				v.Fault = fmt.Sprintf("after a replay the origin was asked %d times", n)
			}
			mu.Unlock()
		}
		verdicts = append(verdicts, v)
	}
	harness.Report(t, "early-data", harness.Longmen, verdicts)
}

// A recorder passes connections on and keeps what the client sent on the last.
type recorder struct {
	net.Listener
	mu   sync.Mutex
	sent bytes.Buffer
}

func startRecorder(t *testing.T, to string) *recorder {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	r := &recorder{Listener: ln}
	var all sync.WaitGroup
	t.Cleanup(func() {
		ln.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.pass(client, to) })
		}
	})
	return r
}

func (r *recorder) pass(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(server, io.TeeReader(client, r))
		server.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(client, server)
}

// Write keeps what the client sends.
func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent.Write(p)
}

func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent.Reset()
}

// replay sends what was recorded once more and waits for the end.
func (r *recorder) replay(addr string) (fault string) {
	r.mu.Lock()
	sent := bytes.Clone(r.sent.Bytes())
	r.mu.Unlock()
	if len(sent) == 0 {
		return "nothing was recorded"
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(handshakeTimeout + slack))
	if _, err := conn.Write(sent); err != nil {
		return "" // it was refused while it was sent
	}
	conn.(*net.TCPConn).CloseWrite()
	if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
		return "the replay's connection does not end"
	}
	return ""
}
