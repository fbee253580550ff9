package http2

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// data reads DATA frames of a stream until n octets have come, or its end.
func (rc *rawClient) data(id uint32, n int) (got []byte, ended bool) {
	rc.Helper()
	for len(got) < n && !ended {
		f := rc.until(func(f xhttp2.Frame) bool { d, ok := f.(*xhttp2.DataFrame); return ok && d.StreamID == id }).(*xhttp2.DataFrame)
		got, ended = append(got, f.Data()...), f.StreamEnded()
	}
	return got, ended
}

// quiet looks that nothing but the answer to a PING comes.
func (rc *rawClient) quiet() {
	rc.Helper()
	rc.WritePing(false, [8]byte{'q'})
	f, err := rc.ReadFrame()
	if p, ok := f.(*xhttp2.PingFrame); err != nil || !ok || !p.IsAck() {
		rc.Fatalf("%v, %v", f, err)
	}
}

func (x *call) withWhole(n int) { x.s.Request.Length, x.send = int64(n), text(n) }

// A body of Send goes out as the windows allow, without anybody who waits.
func TestWholeBodyWaitsForWindows(t *testing.T) {
	for _, initial := range []uint32{0, 1, 1000, 20_000} {
		e := listen(t, nil)
		o, rc := e.greeted(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: initial})
		rc.until(func(f xhttp2.Frame) bool { s, ok := f.(*xhttp2.SettingsFrame); return ok && s.IsAck() })
		x := o.begin("POST", func(x *call) { x.withWhole(50_000) })
		rc.heads(1)
		got, _ := rc.data(1, int(initial))
		if len(got) != int(initial) {
			t.Fatalf("%d octets, the window is %d", len(got), initial)
		}
		rc.quiet()
		// More for the stream alone, then by settings: also of streams that are open.
		rc.WriteWindowUpdate(1, 10_000)
		p, _ := rc.data(1, 10_000)
		got = append(got, p...)
		rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: initial + 5_000})
		p, _ = rc.data(1, 5_000)
		got = append(got, p...)
		rc.until(func(f xhttp2.Frame) bool { s, ok := f.(*xhttp2.SettingsFrame); return ok && s.IsAck() })
		rc.quiet()
		// A window below zero has to be made up for first.
		rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 0})
		rc.until(func(f xhttp2.Frame) bool { s, ok := f.(*xhttp2.SettingsFrame); return ok && s.IsAck() })
		rc.WriteWindowUpdate(1, initial+5_000)
		rc.quiet()
		rc.WriteWindowUpdate(1, 60_000)
		p, ended := rc.data(1, 50_000-len(got))
		if got = append(got, p...); string(got) != string(text(50_000)) || !ended {
			t.Fatalf("%d octets came, ended %v", len(got), ended)
		}
		rc.respond(1, true, ":status", "200")
		if got := x.wait(); got != "200 length 0" {
			t.Error(got)
		}
	}
}

// The connection's window is shared, and who waits for it gets a turn.
func TestConnectionWindowIsShared(t *testing.T) {
	e := listen(t, nil)
	o, rc := e.greeted(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 20})
	var calls []*call
	for i := range 4 {
		calls = append(calls, o.begin("POST", func(x *call) {
			if i%2 == 0 {
				x.withWhole(100_000)
			} else {
				withBody("/x", text(100_000), 100_000)(x)
			}
		}))
	}
	got := map[uint32][]byte{}
	ended := 0
	for ended < 4 {
		d, ok := rc.until(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.DataFrame); return ok }).(*xhttp2.DataFrame)
		if !ok {
			continue
		}
		got[d.StreamID] = append(got[d.StreamID], d.Data()...)
		if n := len(d.Data()); n > 0 {
			rc.WriteWindowUpdate(0, uint32(n))
		}
		if d.StreamEnded() {
			ended++
			rc.respond(d.StreamID, true, ":status", "200")
		}
	}
	for _, x := range calls {
		if s := x.wait(); s != "200 length 0" {
			t.Error(s)
		}
	}
	for id, p := range got {
		if string(p) != string(text(100_000)) {
			t.Errorf("stream %d sent %d octets", id, len(p))
		}
	}
}

func TestRoom(t *testing.T) {
	e := listen(t, func(cfg *ClientConfig) { cfg.MaxStreams = 20 })
	o := e.dial()
	room := func(want int) {
		t.Helper()
		e.until(fmt.Sprintf("there is room for %d", want), func() bool { return o.Room() == want })
	}
	room(20)
	rc := o.frames()
	rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 3})
	room(3)
	x, y := o.begin("GET", nil), o.begin("GET", nil)
	rc.heads(3)
	room(1)
	e.l.Do(func() {
		if o.Streams() != 2 || o.Served() != 2 || o.changes == 0 {
			t.Errorf("%d streams, %d served, told %d times", o.Streams(), o.Served(), o.changes)
		}
	})
	rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 1})
	room(0)
	rc.respond(1, true, ":status", "200")
	x.wait()
	room(0)
	rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 1 << 31})
	room(19)
	rc.respond(3, true, ":status", "200")
	y.wait()
	room(20)
	// The last ids.
	e.l.Do(func() { o.flows.next = maxID - 2 })
	z := o.begin("GET", nil)
	rc.heads(maxID - 2)
	e.l.Do(func() {
		if o.Room() != 0 || !o.Draining() {
			t.Errorf("room for %d although the ids are used up", o.Room())
		}
	})
	rc.respond(maxID-2, true, ":status", "200")
	z.wait()
	e.until("the connection ended after its last stream", func() bool { return o.ended == 1 })
}

func TestHeaderTableOfThePeer(t *testing.T) {
	e := listen(t, nil)
	o, rc := e.greeted(xhttp2.Setting{ID: xhttp2.SettingHeaderTableSize, Val: 0})
	rc.ReadMetaHeaders.SetAllowedMaxDynamicTableSize(0)
	for i := range 6 {
		x := o.begin("GET", func(x *call) { x.s.Request.Header.AddString("x-a", "the same each time") })
		id := uint32(2*i + 1)
		if got := rc.heads(id); !strings.Contains(got, "x-a: the same each time") {
			t.Error(got)
		}
		rc.respond(id, true, ":status", "200")
		x.wait()
		if i == 3 {
			rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingHeaderTableSize, Val: 4096})
			rc.ReadMetaHeaders.SetAllowedMaxDynamicTableSize(4096)
			rc.until(func(f xhttp2.Frame) bool { s, ok := f.(*xhttp2.SettingsFrame); return ok && s.IsAck() })
		}
	}
}

func TestGoAway(t *testing.T) {
	e := listen(t, nil)
	o, rc := e.greeted()
	var calls []*call
	for i := range 4 {
		calls = append(calls, o.begin("GET", nil))
		rc.heads(uint32(2*i + 1))
	}
	rc.WriteGoAway(1<<31-1, xhttp2.ErrCodeNo, nil) // a warning
	e.until("it drains", func() bool { return o.Draining() && o.Room() == 0 && o.changes > 1 })
	// Somebody had attached before: nothing is sent.
	if got := o.begin("GET", nil).wait(); got != "error UC response-head 502 unsent" {
		t.Error(got)
	}
	rc.WriteGoAway(3, xhttp2.ErrCodeNo, nil)
	for _, x := range calls[2:] {
		if got := x.wait(); got != "error UR response-head 502 unsent" {
			t.Error(got)
		}
	}
	for i, x := range calls[:2] {
		rc.respond(uint32(2*i+1), true, ":status", "200")
		if got := x.wait(); got != "200 length 0" {
			t.Error(got)
		}
	}
	rc.goAway()
	if _, err := rc.ReadFrame(); err != io.EOF {
		t.Errorf("the connection goes on: %v", err)
	}
	e.until("the owner is told", func() bool { return o.ended == 1 && o.Err() != nil })
}

func TestDrain(t *testing.T) {
	e := listen(t, nil)
	o, rc := e.greeted()
	x := o.begin("GET", nil)
	rc.heads(1)
	e.l.Do(func() {
		o.Drain()
		if o.Room() != 0 || !o.Draining() || o.Err() != nil {
			t.Error("it does not drain")
		}
	})
	rc.respond(1, true, ":status", "200")
	if got := x.wait(); got != "200 length 0" {
		t.Error(got)
	}
	rc.goAway()
	e.until("the owner is told", func() bool { return o.ended == 1 })

	o, rc = e.greeted()
	e.l.Do(func() { o.Drain() }) // without a stream it ends at once
	rc.goAway()
	e.until("the owner is told", func() bool { return o.ended == 1 })
}

func TestCloseFailsStreams(t *testing.T) {
	e := listen(t, nil)
	o, rc := e.greeted()
	x := o.begin("POST", func(x *call) { x.withWhole(100_000) })
	rc.heads(1)
	e.l.Do(func() { o.Client.Close() })
	if got := x.wait(); got != "error UC response-head 502" {
		t.Error(got)
	}
	if got := o.begin("GET", nil).wait(); got != "error UC response-head 502 unsent" {
		t.Error(got)
	}
	e.l.Do(func() {
		if o.ended != 0 || o.Room() != 0 || o.live != 0 {
			t.Errorf("told %d times, room %d, %d streams", o.ended, o.Room(), o.live)
		}
	})
}

func TestKeepAlive(t *testing.T) {
	e := listen(t, func(cfg *ClientConfig) { cfg.PingInterval, cfg.PingTimeout = 20*time.Millisecond, patience })
	o, rc := e.greeted()
	x := o.begin("GET", nil)
	for range 3 { // it is asked again and again, and answers
		f := rc.until(func(f xhttp2.Frame) bool { p, ok := f.(*xhttp2.PingFrame); return ok && !p.IsAck() }).(*xhttp2.PingFrame)
		rc.WritePing(true, f.Data)
	}
	rc.until(func(f xhttp2.Frame) bool { p, ok := f.(*xhttp2.PingFrame); return ok && !p.IsAck() })
	e.l.Do(func() { // and then does not, for as long as it may
		o.pinged -= int64(patience)
		o.active = o.pinged - 1
		(*clientTimer)(&o.Client).Expire(&o.timer)
	})
	if got := x.wait(); got != "error UC response-head 502" {
		t.Error(got)
	}
	e.until("the owner is told", func() bool { return o.ended == 1 && o.Err() == errEndpointSilent })
}

func echo(co *worker.Coroutine, tunnel stream.Tunnel) string {
	var got []byte
	for len(got) < 5 {
		p, err := tunnel.Read(co)
		if err != nil {
			return err.Error()
		}
		got = append(got, p...)
		if err := tunnel.Write(co, p); err != nil {
			return err.Error()
		}
	}
	tunnel.CloseWrite(co)
	if _, err := tunnel.Read(co); err != io.EOF {
		return fmt.Sprintf("%q, then %v", got, err)
	}
	tunnel.Close()
	return fmt.Sprintf("%q", got)
}

func upgrade(x *call) {
	x.s.Request.Upgrade = []byte("websocket")
	x.s.Request.Header.AddString("sec-websocket-key", "k")
	x.s.Request.Header.AddString("sec-websocket-version", "13")
	x.tunnel = echo
}

func TestUpgradeIsExtendedConnect(t *testing.T) {
	e := listen(t, nil)
	o := e.dial()
	x := o.begin("GET", upgrade)
	rc := o.frames()
	// It waits for the settings.
	rc.until(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.SettingsFrame); return ok })
	rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingEnableConnectProtocol, Val: 1})
	if got, want := rc.heads(1), ":method: CONNECT\n:scheme: http\n:authority: h\n:path: /x\n:protocol: websocket\nsec-websocket-version: 13\n"; got != want {
		t.Errorf("the request is %q", got)
	}
	rc.respond(1, false, ":status", "200", "sec-websocket-protocol", "chat", "sec-websocket-accept", "z")
	rc.WriteData(1, false, []byte("hello"))
	if got, ended := rc.data(1, 5); string(got) != "hello" || ended {
		t.Errorf("%q, %v", got, ended)
	}
	if _, ended := rc.data(1, 1); !ended {
		t.Error("no end")
	}
	rc.WriteData(1, true, nil)
	if got := x.wait(); got != `101 length 0 to websocket "hello"` {
		t.Error(got)
	}
	if got := headerLines(&x.s.Response.Header); got != "sec-websocket-protocol: chat\n" {
		t.Errorf("%q", got)
	}
	// One that is turned down is a response like others.
	x = o.begin("GET", upgrade)
	rc.heads(3)
	rc.respond(3, false, ":status", "403", "content-length", "2")
	rc.WriteData(3, true, []byte("no"))
	if got := x.wait(); got != `403 length 2 body "no"` {
		t.Error(got)
	}
	// One that is broken off.
	x = o.begin("GET", upgrade)
	rc.heads(5)
	rc.respond(5, false, ":status", "200")
	rc.WriteRSTStream(5, xhttp2.ErrCodeConnect)
	if got := x.wait(); !strings.Contains(got, "CONNECT_ERROR") && got != "error UR response-head 502" {
		t.Error(got)
	}
}

func TestUpgradeOfAnEndpointWithoutIt(t *testing.T) {
	e := listen(t, nil)
	o, _ := e.greeted()
	if got := o.begin("GET", upgrade).wait(); got != "error UPE response-head 502 unsent" {
		t.Error(got)
	}
	// One whose connection ends before anything is known.
	o = e.dial()
	x := o.begin("GET", upgrade)
	e.until("it waits", func() bool { return x.attached })
	o.peer.Close()
	if got := x.wait(); got != "error UC response-head 502 unsent" {
		t.Error(got)
	}
}

func TestEndpointThatSpeaksSomethingElse(t *testing.T) {
	for answer, want := range map[string]error{
		"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n": errSpeaksHTTP1,
		"<!DOCTYPE HTML>\n<p>Bad request version</p>":           errSpeaksOther,
	} {
		e := listen(t, nil)
		o := e.dial()
		x := o.begin("GET", nil)
		o.frames()
		io.WriteString(o.peer, answer)
		if got := x.wait(); got != "error UPE response-head 502" || stream.AsError(x.err).Cause != want {
			t.Errorf("%.12q: %s: %v", answer, got, x.err)
		}
	}
}

// A try that is dropped, by its client or by a time limit, is reset.
func TestDroppedTriesAreReset(t *testing.T) {
	why := &stream.Error{Side: stream.Local, Phase: stream.PhaseResponseHead, Flag: stream.UpstreamTimeout, Status: 504, Sent: true, Cause: io.ErrNoProgress}
	for name, drop := range map[string]func(x *call){
		"aborted": func(x *call) { x.s.Abort(why) },
		"failed":  func(x *call) { x.cs.Fail(why) },
	} {
		for _, phase := range []string{"before the head", "within the body", "within the upload"} {
			t.Run(name+" "+phase, func(t *testing.T) {
				e := listen(t, nil)
				o, rc := e.greeted()
				prepare := func(x *call) {}
				if phase == "within the upload" {
					prepare = withBody("/x", text(1<<20), -1)
				}
				x := o.begin("GET", prepare)
				rc.heads(1)
				switch phase {
				case "within the body":
					rc.respond(1, false, ":status", "200")
					rc.WriteData(1, false, []byte("hello"))
					e.until("the body is pulled", func() bool { return x.cs.headTaken })
				case "within the upload":
					rc.data(1, defaultWindow)
				}
				e.l.Do(func() { drop(x) })
				if got := x.wait(); !strings.HasSuffix(got, "error UT response-head 504") {
					t.Error(got)
				}
				if code := rc.reset(1); code != xhttp2.ErrCodeCancel {
					t.Error(code)
				}
				y := o.begin("GET", nil)
				rc.heads(3)
				rc.respond(3, true, ":status", "200")
				if got := y.wait(); got != "200 length 0" {
					t.Error(got)
				}
			})
		}
	}
}
