package tls_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// How connections end: by close_notify, by FIN without it, by a reset, in the
// middle of requests and responses. What was cut is never taken for whole.
func TestEnds(t *testing.T) {
	a := newAuthority(t, "root")
	var mu sync.Mutex
	whole := map[string]bool{} // requests whose body the origin has read to its end
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		mu.Lock()
		whole[r.URL.Path] = true
		mu.Unlock()
		if strings.HasPrefix(r.URL.Path, "/large") {
			w.Write(make([]byte, 8<<20))
			return
		}
		fmt.Fprintf(w, "origin %s %s %s 0", r.Method, r.URL.Path, r.Header.Get("X-Forwarded-Proto"))
	}))
	t.Cleanup(origin.Close)
	g := &gateway{t: t, origin: origin, Proxy: harness.Start(t, harness.Longmen, address(origin), harness.Options{
		Config: listening("certs: [p256]", a.issue("p256", "p256.test").secret("p256"))})}
	good(t, g, a)
	g.noLeak()

	type end struct {
		name  string
		sent  string
		how   string // "notify", "fin", "reset"
		whole bool   // the origin gets the whole request
		says  string // the answer begins with it; "": nothing comes
	}
	post := "POST /%s HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01234"
	chunked := "POST /%s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n"
	request := "GET /%s HTTP/1.1\r\nHost: h\r\n\r\n"
	var all []end
	for _, how := range []string{"notify", "fin", "reset"} {
		all = append(all,
			end{"nothing", "", how, false, ""},
			end{"half a head", request[:20], how, false, ""},
			end{"half a body", post, how, false, ""},
			end{"chunks without an end", chunked, how, false, ""})
	}
	all = append(all,
		end{"a request", request, "notify", true, "HTTP/1.1 200"},
		end{"a body", post + "56789", "notify", true, "HTTP/1.1 200"},
		end{"chunks", chunked + "0\r\n\r\n", "notify", true, "HTTP/1.1 200"},
		end{"in a response", strings.Replace(request, "%s", "large-%s", 1), "reset", true, ""})
	type connection struct {
		end
		version uint16
		path    string
	}
	var cases []connection
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for i, e := range all {
			cases = append(cases, connection{e, version, fmt.Sprintf("%x-%d", version, i)})
		}
	}
	name := func(c connection) string { return "ends/" + tls.VersionName(c.version) + "/" + c.name + "/" + c.how }
	verdicts := each(cases, 8, name, func(c connection) string {
		raw, err := net.DialTimeout("tcp", g.Addr, harness.Patience)
		if err != nil {
			return err.Error()
		}
		defer raw.Close()
		raw.SetDeadline(time.Now().Add(harness.Patience))
		conn := tls.Client(raw, &tls.Config{ServerName: "p256.test", RootCAs: a.roots(), MaxVersion: c.version})
		text := c.sent
		if strings.Contains(text, "%s") {
			text = fmt.Sprintf(text, c.path)
		}
		if _, err := io.WriteString(conn, text); err != nil {
			return err.Error()
		}
		switch c.how {
		case "notify":
			err = conn.CloseWrite()
		case "fin":
			if err = conn.Handshake(); err == nil { // of which nothing may have been sent yet
				err = raw.(*net.TCPConn).CloseWrite()
			}
		case "reset":
			if strings.Contains(text, "/large") {
				_, err = io.ReadFull(conn, make([]byte, 100_000))
			} else {
				err = conn.Handshake()
			}
			raw.(*net.TCPConn).SetLinger(0)
			raw.Close()
			if err != nil {
				return err.Error()
			}
			return ""
		}
		if err != nil {
			return err.Error()
		}
		got, err := io.ReadAll(conn)
		if harness.IsTimeout(err) {
			return fmt.Sprintf("stall after %.60q", got)
		}
		// A request that is cut may be answered by what the gateway has to say of it.
		if c.says != "" && !strings.HasPrefix(string(got), c.says) || c.says == "" && strings.HasPrefix(string(got), "HTTP/1.1 2") {
			return fmt.Sprintf("%q, %v", got, err)
		}
		return ""
	})
	origin.CloseClientConnections()
	if left := g.Quiet(); left != "" {
		t.Error(left)
	}
	mu.Lock()
	defer mu.Unlock()
	for i, c := range cases {
		path := "/" + c.path
		if strings.Contains(c.sent, "large") {
			path = "/large-" + c.path
		}
		if whole[path] != c.whole && verdicts[i].Fault == "" {
			verdicts[i].Fault = fmt.Sprintf("that the origin got the whole request is %v", whole[path])
		}
	}
	harness.Report(t, "ends", harness.Longmen, verdicts)
}
