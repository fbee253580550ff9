package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

func TestHTTP2Answers(t *testing.T) {
	status := func(end bool, status string) *frames { return newFrames().fields(end, ":status", status) }
	long := bytes.Repeat([]byte("x"), maxFrame)
	for _, c := range []struct {
		name    string
		answer  *frames
		http    HTTP
		problem string
		network bool
	}{
		{name: "200", answer: status(true, "200")},
		{name: "head is enough", answer: status(false, "204")},
		{name: "503", answer: status(true, "503"), problem: "status 503 is not in 200..299"},
		{name: "interim", answer: status(false, "103").fields(true, ":status", "200")},
		{name: "no status", answer: newFrames().fields(true, "a", "b"), problem: "response: not HTTP/2", network: true},
		{name: "text", answer: status(false, "200").data(false, []byte("all o")).data(true, []byte("k!")), http: HTTP{Expect: [][]byte{[]byte("ok!")}}},
		{name: "text before the end", answer: status(false, "200").data(false, []byte("all ok!")), http: HTTP{Expect: [][]byte{[]byte("ok!")}}},
		{name: "no text", answer: status(false, "200").data(true, []byte("all bad")), http: HTTP{Expect: [][]byte{[]byte("ok!")}}, problem: "the body lacks the expected text"},
		{name: "no text, trailers", answer: status(false, "200").data(false, []byte("bad")).fields(true, "a", "b"), http: HTTP{Expect: [][]byte{[]byte("ok!")}}, problem: "the body lacks the expected text"},
		{name: "text too far behind", answer: status(false, "200").data(false, long).data(false, long).data(false, long).data(false, long).data(true, []byte("ok!")),
			http: HTTP{Expect: [][]byte{[]byte("ok!")}}, problem: "the body lacks the expected text"},
		{name: "data first", answer: newFrames().data(true, []byte("ok!")), http: HTTP{Expect: [][]byte{[]byte("ok!")}}, problem: "response: data before the head", network: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := &answered{Reader: bytes.NewReader(c.answer.Bytes())}
			expectProblem(t, probeHTTP2(newClient2(conn), &c.http, "http", "host"), c.problem, c.network)
		})
	}
}

// An answer that is cut anywhere is none.
func TestHTTP2AnswerCut(t *testing.T) {
	whole := newFrames().fields(false, ":status", "200").data(true, []byte("ok!")).Bytes()
	for i := range whole {
		conn := &answered{Reader: bytes.NewReader(whole[:i])}
		expectProblem(t, probeHTTP2(newClient2(conn), &HTTP{Expect: [][]byte{[]byte("ok!")}}, "http", "host"), "response: closed before it was complete", true)
	}
}

// A server of net/http is asked in HTTP/2 and understands.
func TestHTTP2Server(t *testing.T) {
	for name, secure := range map[string]bool{"prior knowledge": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan *http.Request, 10)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked <- r
				w.Write([]byte("ok!"))
			}))
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetUnencryptedHTTP2(!secure)
			s.Config.Protocols.SetHTTP2(secure)
			target := &Target{
				Config:   &Config{HTTP: &HTTP{Path: "/up", Method: "POST", Expect: [][]byte{[]byte("ok!")}, Headers: map[string]string{"X-A": "1\r\nb", "Connection": "close"}}},
				Hostname: "cart.local", Address: func() string { return s.Listener.Addr().String() }, HTTP2: true,
			}
			if secure {
				s.EnableHTTP2 = true
				s.StartTLS()
				target.Secure = func(conn net.Conn, host string, alpn []string) (net.Conn, error) {
					c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: host, NextProtos: alpn})
					return c, c.Handshake()
				}
			} else {
				s.Start()
			}
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := probe(ctx, &net.Dialer{}, target); err != nil {
				t.Fatal(err)
			}
			r := <-asked
			if r.ProtoMajor != 2 || r.Method != "POST" || r.URL.Path != "/up" || r.Host != "cart.local" || r.Header.Get("x-a") != "1  b" || r.Header.Get("connection") != "" {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Whatever comes, a check ends, and reads no more than its bounds.
func FuzzHTTP2Answer(f *testing.F) {
	f.Add(newFrames().fields(false, ":status", "200").data(true, []byte("ok!")).Bytes())
	f.Add(newFrames().fields(false, ":status", "103").fields(true, ":status", "500").Bytes())
	away := newFrames()
	away.WriteGoAway(0, http2.ErrCodeNo, nil)
	f.Add(away.Bytes())
	f.Fuzz(func(t *testing.T, answer []byte) {
		conn := &answered{Reader: bytes.NewReader(answer)}
		err := probeHTTP2(newClient2(conn), &HTTP{Expect: [][]byte{[]byte("ok!")}}, "http", "host")
		if conn.read > maxHead+2*maxSearch {
			t.Errorf("read %d bytes", conn.read)
		}
		if err == nil && !bytes.Contains(answer, []byte("o")) {
			t.Errorf("passed with %q", answer)
		}
		if err != nil && len(err.Error()) > 200 {
			t.Errorf("the reason is %d bytes long", len(err.Error()))
		}
	})
}
