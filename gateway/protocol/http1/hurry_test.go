package http1

import (
	"testing"
	"time"

	"longmen/gateway/connection"
	"longmen/gateway/telemetry/metrics"
)

// Connections that are idle end when the gateway is in a hurry; those that carry a
// stream go on.
func TestIdleConnectionsEndInAHurry(t *testing.T) {
	stats := metrics.NewRegistry().NewWorker(nil).Listener("test")
	ts := serve(t, func(c *Config) { c.IdleTimeout, c.Stats = time.Hour, stats })
	busy := ts.dial()
	busy.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nh")
	var idle []*client
	for i := range hurryBatch + 20 { // more than one turn looks at
		c := ts.dial()
		if i%100 == 0 {
			c.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
			c.expect(plain(200, "hello", ""))
		}
		idle = append(idle, c)
	}
	ts.l.Do(func() { ts.srv.Hurry(connection.Hurry{Shorten: 1, Least: time.Millisecond}) })
	for _, c := range idle {
		c.ended()
	}
	if n := stats.IdleShortened.Load(); n != uint64(len(idle)) || stats.Timeouts[metrics.TimeoutIdle].Load() != n {
		t.Errorf("%d were shortened, %d idle", n, stats.Timeouts[metrics.TimeoutIdle].Load())
	}
	ts.l.Do(func() {
		if n := ts.srv.Connections(); n != 1 {
			t.Errorf("%d connections are open", n)
		}
		ts.srv.Hurry(connection.Hurry{})
	})
	busy.send("i")
	busy.expect("HTTP/1.1 200 OK\r\n")
	busy.Close()
}

// A timer that was set in a hurry ends nothing when there is none any more.
func TestHurryIsOver(t *testing.T) {
	ts := serve(t, func(c *Config) { c.IdleTimeout = time.Hour })
	c := ts.dial()
	ts.l.Do(func() {
		ts.srv.Hurry(connection.Hurry{Shorten: 1, Least: time.Minute})
		ts.srv.Hurry(connection.Hurry{})
		conn := ts.srv.connections
		(*connTimer)(conn).Expire(&conn.timer)
		if ts.srv.Connections() != 1 || !conn.timer.Armed() {
			t.Error("the connection has ended, or will never")
		}
	})
	c.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
	c.expect(plain(200, "hello", ""))
	c.Close()
}

func TestConnectionsEndAfterTheirAnswersInAHurry(t *testing.T) {
	ts := serve(t, nil)
	c, other := ts.dial(), ts.dial()
	c.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
	c.expect(plain(200, "hello", ""))
	ts.l.Do(func() { ts.srv.Hurry(connection.Hurry{Close: true}) })
	c.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
	c.expect(plain(200, "hello", connClose))
	c.ended()
	ts.l.Do(func() { ts.srv.Hurry(connection.Hurry{}) })
	other.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
	other.expect(plain(200, "hello", ""))
	other.Close()
}

// What waits to be used again is given back, with its timers; the server makes new
// ones.
func TestRelease(t *testing.T) {
	ts := serve(t, nil)
	get := func() {
		c := ts.dial()
		c.send("GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		c.expect(plain(200, "hello", connClose))
		c.ended()
	}
	get()
	until(t, ts.l, "the connection is pooled", func() bool { return ts.srv.freeCount == 1 && len(ts.srv.streams.free) == 1 })
	ts.l.Do(func() {
		ts.srv.Release()
		ts.srv.streams.Release()
		if ts.srv.free != nil || len(ts.srv.streams.free) != 0 {
			t.Error("something is kept")
		}
	})
	get()
}
