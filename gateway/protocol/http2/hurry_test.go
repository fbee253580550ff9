package http2

import (
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"longmen/gateway/connection"
	"longmen/gateway/telemetry/metrics"
)

// Connections without a stream end when the gateway is in a hurry; those with one go
// on.
func TestIdleConnectionsEndInAHurry(t *testing.T) {
	stats := metrics.NewRegistry().NewWorker(nil).Listener("test")
	ts := serve(t, func(c *Config) { c.IdleTimeout, c.Stats = time.Hour, stats })
	idle, busy := ts.dial(true), ts.dial(true)
	idle.request(1, true, "GET", "/size/1")
	idle.answer(1)
	busy.request(1, false, "POST", "/echo")
	until(t, ts.l, "one stream is under way", func() bool { n := 0; ts.srv.Each(func(c Connection) { n += c.Streams }); return n == 1 })
	ts.l.Do(func() { ts.srv.Hurry(connection.Hurry{Shorten: 1, Least: time.Millisecond}) })
	if code := idle.goAway(); code != xhttp2.ErrCodeNo {
		t.Error(code)
	}
	until(t, ts.l, "it is gone", func() bool { return ts.srv.Connections() == 1 })
	if stats.IdleShortened.Load() != 1 || stats.Timeouts[metrics.TimeoutIdle].Load() != 1 {
		t.Errorf("%d were shortened", stats.IdleShortened.Load())
	}
	ts.l.Do(func() { ts.srv.Hurry(connection.Hurry{}) })
	busy.WriteData(1, true, []byte("hello"))
	if status, body, _ := busy.answer(1); status != "200" || string(body) != "hello" {
		t.Errorf("%s %q", status, body)
	}
	busy.Close()
}

// A client is told to go when it opens its next stream, which is served.
func TestConnectionsEndAfterTheirAnswersInAHurry(t *testing.T) {
	ts := serve(t, nil)
	rc := ts.dial(true)
	rc.request(1, true, "GET", "/size/1")
	rc.answer(1)
	ts.l.Do(func() { ts.srv.Hurry(connection.Hurry{Close: true}) })
	rc.request(3, true, "GET", "/size/2")
	away, answered := false, false
	rc.until(func(f xhttp2.Frame) bool {
		switch f := f.(type) {
		case *xhttp2.GoAwayFrame:
			away = true
		case *xhttp2.DataFrame:
			answered = answered || f.StreamID == 3 && f.StreamEnded()
		}
		return away && answered
	})
	rc.Close()
}

// While memory is short windows stay as they are.
func TestWindowsDoNotGrowWhileMemoryIsShort(t *testing.T) {
	ts := serve(t, nil)
	rc := ts.dial(true)
	rc.request(1, true, "GET", "/size/1")
	rc.answer(1)
	for _, frugal := range []bool{true, false} {
		ts.l.Do(func() {
			ts.srv.shared.Frugal(frugal)
			c := ts.srv.connections
			before := c.grow.stream
			c.grow.trip = int64(time.Hour)
			last := c.Loop().Now() - 1
			c.widen(&last)
			if grown := c.grow.stream > before; grown == frugal {
				t.Errorf("frugal %v: the window went from %d to %d", frugal, before, c.grow.stream)
			}
		})
	}
	rc.Close()
}

func TestRelease(t *testing.T) {
	ts := serve(t, nil)
	for range 2 {
		rc := ts.dial(true)
		rc.request(1, true, "GET", "/size/1")
		if status, _, _ := rc.answer(1); status != "200" {
			t.Error(status)
		}
		rc.Close()
		until(t, ts.l, "the connection is pooled", func() bool { return len(ts.srv.shared.conns) == 1 && len(ts.srv.shared.streams) == 1 })
		ts.l.Do(func() {
			ts.srv.shared.Release()
			if len(ts.srv.shared.conns)+len(ts.srv.shared.streams)+len(ts.srv.shared.clients) != 0 {
				t.Error("something is kept")
			}
		})
	}
}
