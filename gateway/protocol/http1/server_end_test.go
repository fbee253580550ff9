package http1

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"longmen/gateway/stream"
)

// soon is a time limit that tests let run out.
const soon = 40 * time.Millisecond

const post = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345"

func TestTimeouts(t *testing.T) {
	for _, c := range []struct {
		name       string
		change     func(*Config)
		send, want string
		log        string
	}{
		{"idle from the start", func(c *Config) { c.IdleTimeout = soon }, "", "", ""},
		{"idle after a request", func(c *Config) { c.IdleTimeout = soon }, get, plain(200, "hello", ""), "GET /hello 200"},
		{"idle with empty lines", func(c *Config) { c.IdleTimeout = soon }, "\r\n\r\n\r", "", ""},
		{"head", func(c *Config) { c.HeaderTimeout = soon }, "GET /hello HTT", local(408, connClose), "  408 DT"},
		{"second head", func(c *Config) { c.HeaderTimeout = soon }, get + "G", plain(200, "hello", "") + local(408, connClose), "GET /hello 200;   408 DT"},
		{"slow head", func(c *Config) { c.MinRequestRate, c.RateGrace = 1000, soon }, "GET /hello HTT", local(408, connClose), "  408 DT"},
		{"body", func(c *Config) { c.BodyTimeout = soon }, post, local(408, connClose), "POST /echo 408 SI"},
		{"chunked body", func(c *Config) { c.BodyTimeout = soon }, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx", local(408, connClose), "POST /echo 408 SI"},
		{"whole request", func(c *Config) { c.RequestTimeout = soon }, post, local(408, connClose), "POST /echo 408 DT"},
		{"slow body", func(c *Config) { c.MinRequestRate, c.RateGrace = 1000, soon }, post, local(408, connClose), "POST /echo 408 DT"},
		{"stream idle", func(c *Config) { c.StreamIdle = soon }, "GET /wait HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", local(504, connClose), "GET /wait 504 SI"},
		{"stream idle, body at hand", func(c *Config) { c.StreamIdle, c.RequestTimeout = 2*soon, soon },
			"POST /wait HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", local(504, connClose), "POST /wait 504 SI"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ts := serve(t, c.change)
			k := ts.dial()
			k.send(c.send)
			if got := k.rest(); got != c.want {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
			until(t, ts.l, "closed", func() bool { return ts.srv.Connections() == 0 })
			if got := ts.logged(); got != c.log {
				t.Errorf("log %q, want %q", got, c.log)
			}
		})
	}
}

// A client that takes nothing is given up, and one that meanwhile sends is too.
func TestWriteTimeout(t *testing.T) {
	for _, sending := range []bool{false, true} {
		for _, path := range []string{"/big?50000000", "/big-chunked?50000000"} {
			ts := serve(t, func(c *Config) { c.WriteTimeout = soon })
			k := ts.dial()
			k.send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n")
			sent := 0
			for end := time.Now().Add(patience); ; runtime.Gosched() {
				open := 0
				ts.l.Do(func() { open = ts.srv.Connections() })
				if open == 0 {
					break
				}
				if time.Now().After(end) {
					t.Fatal("the connection stays open")
				}
				if sending {
					// So slowly that it could go on for long, so fast that each
					// byte comes within the time limit.
					time.Sleep(soon / 8)
					k.Write([]byte("x"))
					sent++
				}
			}
			if sent > 60 {
				t.Errorf("the client was given up only after it had sent %d bytes", sent)
			}
			if got := ts.logged(); !strings.HasSuffix(got, " 200 DC") {
				t.Errorf("log %q", got)
			}
			// (A write takes the error of the reset away from the read.)
			if _, err := io.Copy(io.Discard, k); err == nil && !sending {
				t.Error("a response that was cut ends like a whole one")
			}
		}
	}
}

func TestMinResponseRate(t *testing.T) {
	ts := serve(t, func(c *Config) { c.MinResponseRate, c.RateGrace = 100<<20, soon })
	k := ts.dial()
	k.send("GET /big?50000000 HTTP/1.1\r\nHost: h\r\n\r\n")
	until(t, ts.l, "closed", func() bool { return ts.srv.Connections() == 0 })
	if got := ts.logged(); got != "GET /big 200 DC" {
		t.Errorf("log %q", got)
	}
}

// A client that has finished sending still gets its answers.
func TestHalfClose(t *testing.T) {
	for _, c := range []struct{ name, send, want, log string }{
		{"nothing", "", "", ""},
		{"one", get, plain(200, "hello", ""), "GET /hello 200"},
		{"two", get + get, plain(200, "hello", "") + plain(200, "hello", ""), "GET /hello 200; GET /hello 200"},
		{"big", "GET /big?1000000 HTTP/1.1\r\nHost: h\r\n\r\n", answer(200, fixedDate+"content-length: 1000000\r\n", string(make([]byte, 1000000))), "GET /big 200"},
		{"pieces", "GET /pieces HTTP/1.1\r\nHost: h\r\n\r\n", answer(200, fixedDate+"transfer-encoding: chunked\r\n", "5\r\npiece\r\n5\r\npiece\r\n5\r\npiece\r\n0\r\n\r\n"), "GET /pieces 200"},
		{"a head cut short", get + "GET / HT", plain(200, "hello", ""), "GET /hello 200;   0 DC"},
		{"a body cut short", post, local(400, connClose), "POST /echo 400 DC"},
		{"a chunked body cut short", "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", local(400, connClose), "POST /echo 400 DC"},
	} {
		for _, apart := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				ts := serve(t, nil)
				k := ts.dial()
				k.send(c.send)
				if apart {
					ts.settle()
				}
				k.CloseWrite()
				if got := k.rest(); got != c.want {
					t.Errorf("\n got %.300q\nwant %.300q", got, c.want)
				}
				until(t, ts.l, "closed", func() bool { return ts.srv.Connections() == 0 })
				if got := ts.logged(); got != c.log {
					t.Errorf("log %q, want %q", got, c.log)
				}
			})
		}
	}
}

// The handler of a client that is gone is told.
func TestClientGone(t *testing.T) {
	for _, c := range []struct {
		name  string
		abort bool
		end   func(*client)
	}{
		{"reset", false, func(k *client) { k.SetLinger(0); k.Close() }},
		{"half close where that counts", true, func(k *client) { k.CloseWrite() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			ts := serve(t, func(cfg *Config) { cfg.AbortOnHalfClose = c.abort })
			for _, send := range []string{
				"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n",
				"POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
			} {
				k := ts.dial()
				k.send(send)
				until(t, ts.l, "served", func() bool {
					busy := false
					ts.srv.Each(func(c Connection) { busy = c.Busy })
					return busy
				})
				c.end(k)
				until(t, ts.l, "closed", func() bool { return ts.srv.Connections() == 0 })
				if got := ts.logged(); got != send[:strings.Index(send, " HTTP")]+" 0 DC" {
					t.Errorf("log %q", got)
				}
			}
		})
	}
	t.Run("in a head and in a body", func(t *testing.T) {
		ts := serve(t, nil)
		for _, send := range []string{"", "GET / HT", get, post, get + post, "GET /big?9000000 HTTP/1.1\r\nHost: h\r\n\r\n"} {
			k := ts.dial()
			k.send(send)
			ts.settle()
			k.SetLinger(0)
			k.Close()
			until(t, ts.l, "closed", func() bool { return ts.srv.Connections() == 0 })
		}
	})
}

// A response that cannot be finished never looks whole.
func TestCutResponses(t *testing.T) {
	for _, c := range []struct{ name, send, log string }{
		{"error, chunked", "GET /fail-in-body HTTP/1.1\r\nHost: h\r\n\r\n", "GET /fail-in-body 200 UC"},
		{"error, until close", "GET /fail-in-body HTTP/1.0\r\n\r\n", "GET /fail-in-body 200 UC"},
		{"panic, chunked", "GET /panic-in-body HTTP/1.1\r\nHost: h\r\n\r\n", "GET /panic-in-body 200 LE"},
		{"panic, until close", "GET /panic-in-body HTTP/1.0\r\n\r\n", "GET /panic-in-body 200 LE"},
		{"short", "GET /big-short?100000 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /big-short 200 UC"},
		{"long", "GET /big-long?100000 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /big-long 200 LE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ts := serve(t, nil)
			k := ts.dial()
			k.send(c.send + get)
			p, err := io.ReadAll(k)
			k.Close()
			head, body, _ := strings.Cut(string(p), "\r\n\r\n")
			switch {
			case strings.Contains(head, "chunked"):
				if strings.HasSuffix(body, "0\r\n\r\n") {
					t.Errorf("the body has an end: %q", body)
				}
			case strings.Contains(head, "content-length"):
				if !strings.Contains(head, "content-length: 100001") && !strings.Contains(head, "content-length: 99999") || len(body) > 100000 || strings.Contains(body, "HTTP") {
					t.Errorf("%s: %d bytes of body", head, len(body))
				}
				if strings.Contains(head, "99999") && len(body) >= 99999 {
					t.Error("a response that is too long was sent as if it were not")
				}
			default:
				if err == nil {
					t.Errorf("an orderly end behind %q", p)
				}
			}
			until(t, ts.l, "closed", func() bool { return ts.srv.Connections() == 0 })
			if got := ts.logged(); got != c.log {
				t.Errorf("log %q, want %q", got, c.log)
			}
		})
	}
}

// A slow client gets everything, and the gateway holds little of it meanwhile.
func TestSlowClient(t *testing.T) {
	ts := serve(t, nil)
	const size = 20000000
	for _, path := range []string{"/big", "/big-chunked"} {
		k := ts.dial()
		k.send("GET " + path + "?20000000 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		most := 0
		total := 0
		p := make([]byte, 64<<10)
		for {
			n, err := k.Read(p)
			total += n
			if total%37 == 0 || most == 0 {
				ts.l.Do(func() { _, lent := ts.l.Buffers.Lent(); most = max(most, lent) })
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		k.Close()
		if total < size || total > size+100000 {
			t.Errorf("%s: %d bytes", path, total)
		}
		if most > 256<<10 {
			t.Errorf("%s: up to %d bytes were held", path, most)
		}
	}
}

func TestDrain(t *testing.T) {
	ts := serve(t, nil)
	fresh, idle, head, body := ts.dial(), ts.dial(), ts.dial(), ts.dial()
	idle.send(get)
	idle.expect(plain(200, "hello", ""))
	head.send("GET /hello HTTP/1.1\r\nHo")
	body.send(post)
	slow := ts.dial()
	slow.send("GET /big?60000 HTTP/1.1\r\nHost: h\r\n\r\n")
	ts.settle()
	ts.l.Do(func() { ts.srv.Drain() })
	fresh.ended()
	idle.ended()
	head.send("st: h\r\n\r\n" + get)
	if got, want := head.rest(), plain(200, "hello", connClose); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	body.send("67890")
	if got, want := body.rest(), plain(200, "1234567890", connClose); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := slow.rest(); len(got) < 60000 {
		t.Errorf("a response was cut by the drain: %d bytes", len(got))
	}
}

// The last bytes of a response survive a drain while the client is slow.
func TestDrainKeepsWhatIsNotYetSent(t *testing.T) {
	var ts *testServer
	ts = serve(t, func(c *Config) {
		c.Handle = func(s *stream.Stream) (*stream.Response, error) {
			resp := s.Respond(200, "", nil)
			resp.Body, resp.Length = untilFlushed{untilPending{ts.srv.connections}}, -1
			return resp, nil
		}
	})
	k := ts.dial()
	k.send(get)
	until(t, ts.l, "answered", func() bool { return len(ts.log) == 1 })
	ts.l.Do(func() {
		if c := ts.srv.connections; c.phase != phaseIdle || c.Pending() == 0 {
			t.Errorf("phase %d, pending %d: not what is tested here", c.phase, c.Pending())
		}
		ts.srv.Drain()
	})
	if got := k.rest(); !strings.HasSuffix(got, "\r\n0\r\n\r\n") {
		t.Errorf("the response was cut: %d bytes", len(got))
	}
}

func TestServerClose(t *testing.T) {
	ts := serve(t, nil)
	all := []*client{ts.dial(), ts.dial(), ts.dial(), ts.dial()}
	all[1].send("GET /hello HT")
	all[2].send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
	all[3].send(post)
	ts.settle()
	ts.l.Do(func() { ts.srv.Close() })
	for i, k := range all {
		if p, err := io.ReadAll(k); len(p) != 0 || err != nil && !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("connection %d: %q, %v", i, p, err)
		}
	}
	until(t, ts.l, "closed", func() bool { return ts.srv.Connections() == 0 })
	if got := ts.logged(); strings.Count(got, "LR") != 2 {
		t.Errorf("log %q", got)
	}
}

func TestTunnel(t *testing.T) {
	const ask = "GET /tunnel HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
	const told = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"
	t.Run("both ways", func(t *testing.T) {
		ts := serve(t, nil)
		all := ask + "early bytes"
		for cut := 1; cut <= len(all); cut++ {
			k := ts.dial()
			k.send(all[:cut])
			ts.settle()
			k.send(all[cut:])
			k.expect(told + "early bytes")
			k.send(strings.Repeat("x", 1000))
			k.expect(strings.Repeat("x", 1000))
			k.CloseWrite()
			k.ended()
		}
	})
	t.Run("much", func(t *testing.T) {
		ts := serve(t, nil)
		k := ts.dial()
		k.send(ask)
		k.expect(told)
		go func() {
			for range 300 {
				k.Write(bigPiece)
			}
			k.CloseWrite()
		}()
		if got := k.rest(); len(got) != 300*len(bigPiece) {
			t.Errorf("%d bytes came back", len(got))
		}
	})
	t.Run("reset", func(t *testing.T) {
		ts := serve(t, nil)
		k := ts.dial()
		k.send(ask)
		k.expect(told)
		k.SetLinger(0)
		k.Close()
		until(t, ts.l, "closed", func() bool { return ts.srv.Connections() == 0 })
		if got := ts.logged(); got != "GET /tunnel 101 DC" {
			t.Errorf("log %q", got)
		}
	})
	t.Run("idle", func(t *testing.T) {
		ts := serve(t, func(c *Config) { c.StreamIdle = soon })
		k := ts.dial()
		k.send(ask)
		k.expect(told)
		k.rest()
		until(t, ts.l, "closed", func() bool { return ts.srv.Connections() == 0 })
		if got := ts.logged(); got != "GET /tunnel 101 SI" {
			t.Errorf("log %q", got)
		}
	})
}

// A request on a connection that is kept costs no allocation.
func TestNoAllocationPerRequest(t *testing.T) {
	ts := serve(t, func(c *Config) {
		c.Finish = func(*stream.Stream, *stream.Response) {}
		c.StreamIdle = time.Minute
		c.Handle = func(s *stream.Stream) (*stream.Response, error) { return s.Respond(200, "", hello), nil }
	})
	k := ts.dial()
	request, p := []byte(get), make([]byte, 4096)
	want := len(plain(200, "hello", ""))
	once := func() {
		if _, err := k.Write(request); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < want; {
			m, err := k.Read(p[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += m
		}
	}
	for range 200 {
		once()
	}
	const n = 5000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		once()
	}
	runtime.ReadMemStats(&after)
	if got := after.Mallocs - before.Mallocs; got > n/50 {
		t.Errorf("%d allocations for %d requests", got, n)
	}
	k.Close()
}
