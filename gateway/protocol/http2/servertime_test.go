package http2

import (
	"io"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

const soon = 20 * time.Millisecond

// What a client may be late with, and how its stream or its connection ends then.
func TestTimeLimitsOfStreams(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		act    func(*rawClient)
		status string // of the answer; "": the stream is reset
		log    string
	}{
		{"body", func(c *Config) { c.BodyTimeout = soon }, func(rc *rawClient) {
			rc.request(1, false, "POST", "/drink")
			rc.WriteData(1, false, []byte("x"))
		}, "408", "POST /drink 408 SI"},
		{"whole request", func(c *Config) { c.RequestTimeout = soon }, func(rc *rawClient) {
			rc.request(1, false, "POST", "/drink")
		}, "408", "POST /drink 408 DT"},
		{"rate of a request", func(c *Config) { c.MinRequestRate, c.RateGrace = 1<<20, time.Nanosecond }, func(rc *rawClient) {
			rc.request(1, false, "POST", "/drink")
			rc.WriteData(1, false, []byte("x"))
		}, "408", "POST /drink 408 DT"},
		{"no window", func(c *Config) { c.WriteTimeout = soon }, func(rc *rawClient) {
			rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 7})
			rc.request(1, true, "GET", "/size/100")
		}, "", "GET /size/100 200 DC"},
		{"no window of the connection", func(c *Config) { c.WriteTimeout = soon }, func(rc *rawClient) {
			rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 20})
			rc.request(1, true, "GET", "/size/100000")
		}, "", "GET /size/100000 200 DC"},
		{"rate of a response", func(c *Config) { c.MinResponseRate, c.RateGrace = 1<<20, time.Nanosecond }, func(rc *rawClient) {
			rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 7})
			rc.request(1, true, "GET", "/size/100")
		}, "", "GET /size/100 200 DC"},
		{"idle stream", func(c *Config) { c.StreamIdle = soon }, func(rc *rawClient) {
			rc.request(1, true, "GET", "/slow")
		}, "504", "GET /slow 504 SI"},
		{"idle download", func(c *Config) { c.StreamIdle = soon }, func(rc *rawClient) {
			rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 7})
			rc.request(1, true, "GET", "/size/100")
		}, "", "GET /size/100 200 SI"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ts := serve(t, func(c *Config) {
				test.change(c)
				drink(c)
			})
			rc := ts.dial(true)
			test.act(rc)
			if test.status != "" {
				if status, _, _ := rc.answer(1); status != test.status {
					t.Errorf("answered %s, want %s", status, test.status)
				}
			} else {
				rc.reset(1)
			}
			if got := ts.lines(1)[0]; got != test.log {
				t.Errorf("logged %q, want %q", got, test.log)
			}
			// The connection is as good as before.
			rc.WriteWindowUpdate(0, 1<<20)
			rc.request(3, true, "GET", "/size/1")
			if status, _, _ := rc.answer(3); status != "200" {
				t.Error(status)
			}
		})
	}
}

func TestTimeLimitsOfConnections(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		act    func(*testServer) *rawClient
		code   xhttp2.ErrCode // of GOAWAY
	}{
		{"no preface", func(c *Config) { c.HeaderTimeout = soon }, func(ts *testServer) *rawClient {
			rc := ts.dial(false)
			io.WriteString(rc.Conn, preface[:10])
			return rc
		}, xhttp2.ErrCodeNo},
		{"half of a header block", func(c *Config) { c.HeaderTimeout = soon }, func(ts *testServer) *rawClient {
			rc := ts.dial(true)
			rc.request(1, true, "GET", "/slow")
			rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 3, BlockFragment: rc.encode(":method", "GET")})
			return rc
		}, xhttp2.ErrCodeEnhanceYourCalm},
		{"idle", func(c *Config) { c.IdleTimeout = soon }, func(ts *testServer) *rawClient {
			rc := ts.dial(true)
			rc.request(1, true, "GET", "/size/1")
			rc.answer(1)
			return rc
		}, xhttp2.ErrCodeNo},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ts := serve(t, test.change)
			rc := test.act(ts)
			if code := rc.goAway(); code != test.code {
				t.Error(code)
			}
			if _, err := rc.ReadFrame(); err == nil {
				t.Error("more comes")
			}
			rc.Close()
			until(t, ts.l, "it is gone", func() bool { return ts.srv.Connections() == 0 })
		})
	}
}

// A client that does not answer a PING is gone, whatever its streams wait for.
func TestClientThatDoesNotAnswer(t *testing.T) {
	ts := serve(t, func(c *Config) { c.PingInterval, c.PingTimeout = soon, patience })
	rc := ts.dial(true)
	rc.request(1, true, "GET", "/slow")
	ping := func(f xhttp2.Frame) bool { p, ok := f.(*xhttp2.PingFrame); return ok && !p.IsAck() }
	for range 2 {
		rc.WritePing(true, rc.until(ping).(*xhttp2.PingFrame).Data)
	}
	rc.until(ping)
	ts.l.Do(func() { // the time for the answer is over
		c := ts.srv.connections
		c.pinged -= int64(patience)
		(*connTimer)(c).Expire(&c.timer)
	})
	if got := ts.lines(1)[0]; got != "GET /slow 0 DC" {
		t.Error(got)
	}
	until(t, ts.l, "it is gone", func() bool { return ts.srv.Connections() == 0 })
}

// A client that goes on with requests, and says nothing to the PING behind GOAWAY, is not
// served for ever.
func TestClientThatDoesNotLeave(t *testing.T) {
	ts := serve(t, nil)
	rc := ts.dial(true)
	rc.request(1, true, "GET", "/size/1")
	rc.answer(1)
	ts.l.Do(ts.srv.Drain)
	rc.request(3, true, "GET", "/size/1")
	rc.answer(3)
	ts.l.Do(func() { ts.srv.connections.leftAt -= int64(leaveAfter) })
	rc.request(5, true, "GET", "/size/1")
	rc.answer(5)
	ts.lines(3)
	ts.l.Do(func() {
		c := ts.srv.connections
		(*connTimer)(c).Expire(&c.timer)
	})
	rc.goAway()
	for {
		if _, err := rc.ReadFrame(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// Nothing goes through a tunnel for longer than the parts of a request may take.
func TestSilentTunnelLivesOn(t *testing.T) {
	ts := serve(t, func(c *Config) {
		c.BodyTimeout, c.RequestTimeout, c.MinRequestRate, c.RateGrace = soon, 2*soon, 1000, soon
		drink(c)
	})
	rc := ts.dial(true)
	rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, EndHeaders: true,
		BlockFragment: rc.encode(":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/upgrade", ":authority", "example.com")})
	for id := uint32(3); id < 9; id += 2 { // each of these takes as long as BodyTimeout
		rc.request(id, false, "POST", "/drink")
		rc.until(func(f xhttp2.Frame) bool {
			if f.Header().StreamID == 1 {
				if _, ok := f.(*xhttp2.MetaHeadersFrame); !ok {
					t.Fatal("the tunnel ended: ", f)
				}
			}
			d, ok := f.(*xhttp2.DataFrame)
			return ok && d.StreamID == id && d.StreamEnded()
		})
	}
	rc.WriteData(1, false, []byte("ping"))
	rc.until(func(f xhttp2.Frame) bool {
		if r, ok := f.(*xhttp2.RSTStreamFrame); ok && r.StreamID == 1 {
			t.Fatal(r)
		}
		d, ok := f.(*xhttp2.DataFrame)
		return ok && d.StreamID == 1 && string(d.Data()) == "ping"
	})
}

// A stream that waits while the client takes those that it wants first is not late.
func TestWaitingForOthersIsNotStalling(t *testing.T) {
	t.Parallel()
	const limit = 500 * time.Millisecond
	ts := serve(t, func(c *Config) { c.WriteTimeout = limit; c.Control = Rate{} })
	rc := ts.dial(true)
	rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 25})
	got := 0
	data := func(f xhttp2.Frame) bool {
		switch f := f.(type) {
		case *xhttp2.DataFrame:
			if got += len(f.Data()); f.StreamID == 3 {
				t.Fatal("out of turn")
			}
			return true
		case *xhttp2.RSTStreamFrame:
			t.Fatal(f)
		}
		return false
	}
	rc.request(1, true, "GET", "/size/10000000", "priority", "u=0")
	for got < 1<<16-1 {
		rc.until(data)
	}
	rc.request(3, true, "GET", "/size/10", "priority", "u=7")
	until(t, ts.l, "both wait", func() bool { return ts.srv.connections.queue.count == 2 })
	for began := time.Now(); time.Since(began) < 2*limit; {
		rc.WriteWindowUpdate(0, 10)
		rc.until(data)
	}
	rc.WriteRSTStream(1, xhttp2.ErrCodeCancel)
	rc.WriteWindowUpdate(0, 100)
	if status, body, _ := rc.answer(3); status != "" || len(body) != 10 {
		t.Error(status, len(body)) // its head came long ago
	}
}
