package http2

import (
	"encoding/binary"
	"io"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// strict bounds what carries nothing tightly, so that tests of abuse are short.
func strict(c *Config) {
	c.Control, c.Resets = Rate{Burst: 50, PerSecond: 1}, Rate{Burst: 20, PerSecond: 1}
	drink(c)
}

// Whoever sends what costs more to take than to send, without end, is told to calm down.
func TestAbuse(t *testing.T) {
	frame := func(t frameType, flags uint8, id uint32, p ...byte) []byte {
		return append(appendFrame(nil, len(p), t, flags, id), p...)
	}
	for _, test := range []struct {
		name  string
		begin func(*rawClient)
		again func(rc *rawClient, n int) []byte
	}{
		{"SETTINGS", nil, func(*rawClient, int) []byte { return frame(frameSettings, 0, 0) }},
		{"acknowledgements of SETTINGS", nil, func(*rawClient, int) []byte { return frame(frameSettings, flagAck, 0) }},
		{"PING", nil, func(*rawClient, int) []byte { return appendPing(nil, false, 1) }},
		{"answers to no PING", nil, func(*rawClient, int) []byte { return appendPing(nil, true, pingKeepalive) }},
		{"GOAWAY", nil, func(*rawClient, int) []byte { return appendGoAway(nil, 0, CodeNo, "") }},
		{"PRIORITY", nil, func(_ *rawClient, n int) []byte { return frame(framePriority, 0, uint32(2*n+1), 0, 0, 0, 0, 1) }},
		{"PRIORITY_UPDATE", nil, func(*rawClient, int) []byte { return frame(framePriorityUpdate, 0, 0, 0, 0, 0, 1, 'u', '=', '1') }},
		{"frames of unknown types", nil, func(*rawClient, int) []byte { return frame(0x77, 0, 0, 1) }},
		{"WINDOW_UPDATE of the connection", nil, func(*rawClient, int) []byte { return appendWindowUpdate(nil, 0, 1) }},
		{"WINDOW_UPDATE of a stream", func(rc *rawClient) { rc.request(1, true, "GET", "/slow") }, func(*rawClient, int) []byte { return appendWindowUpdate(nil, 1, 1) }},
		{"empty DATA", func(rc *rawClient) { rc.request(1, false, "POST", "/drink") }, func(*rawClient, int) []byte { return frame(frameData, 0, 1) }},
		{"DATA of padding", func(rc *rawClient) { rc.request(1, false, "POST", "/drink") }, func(*rawClient, int) []byte { return frame(frameData, flagPadded, 1, 2, 0, 0) }},
		{"DATA on a stream that was reset", func(rc *rawClient) {
			rc.request(1, false, "POST", "/early")
			rc.answer(1)
		}, func(*rawClient, int) []byte { return frame(frameData, 0, 1, make([]byte, 16384)...) }},
		{"RST_STREAM of closed streams", func(rc *rawClient) {
			rc.request(1, true, "GET", "/size/1")
			rc.answer(1)
		}, func(*rawClient, int) []byte { return appendReset(nil, 1, CodeCancel) }},
		{"requests that are reset", nil, func(rc *rawClient, n int) []byte {
			return append(frame(frameHeaders, flagEndHeaders|flagEndStream, uint32(2*n+1), rc.requestBlock("/slow")...), appendReset(nil, uint32(2*n+1), CodeCancel)...)
		}},
		{"requests that are made to be reset", nil, func(rc *rawClient, n int) []byte {
			return append(frame(frameHeaders, flagEndHeaders, uint32(2*n+1), rc.requestBlock("/slow")...), appendWindowUpdate(nil, uint32(2*n+1), 0)...)
		}},
		{"malformed requests", nil, func(rc *rawClient, n int) []byte {
			return frame(frameHeaders, flagEndHeaders|flagEndStream, uint32(2*n+1), rc.encode("x", "y")...)
		}},
		{"requests that are too large", nil, func(rc *rawClient, n int) []byte {
			return frame(frameHeaders, flagEndHeaders|flagEndStream, uint32(2*n+1), rc.encode(":method", "GET", ":scheme", "http", ":authority", "a", ":path", string(append([]byte{'/'}, text(5000)...)))...)
		}},
		{"more streams than allowed", nil, func(rc *rawClient, n int) []byte {
			return frame(frameHeaders, flagEndHeaders|flagEndStream, uint32(2*n+1), rc.requestBlock("/slow")...)
		}},
		{"CONTINUATION without end", func(rc *rawClient) {
			rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: rc.requestBlock("/")})
		}, func(*rawClient, int) []byte { return frame(frameContinuation, 0, 1, 0x40, 1, 'x', 1, 'y') }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ts := serve(t, strict)
			rc := ts.dial(true)
			if test.begin != nil {
				test.begin(rc)
			}
			go func() {
				for n := range 3000 {
					if _, err := rc.Write(test.again(rc, n)); err != nil {
						return
					}
				}
				rc.CloseWrite()
			}()
			if code := rc.goAway(); code != xhttp2.ErrCodeEnhanceYourCalm {
				t.Error(code)
			}
			rc.Close()
			until(t, ts.l, "it is gone", func() bool { return ts.srv.Connections() == 0 })
		})
	}
}

// CloseWrite says that nothing more comes.
func (rc *rawClient) CloseWrite() {
	if c, ok := rc.Conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
}

func (rc *rawClient) requestBlock(path string) []byte {
	return rc.encode(":method", "GET", ":scheme", "http", ":authority", "example.com", ":path", path)
}

// What busy clients do in good faith is no abuse, however much of it there is: here without
// any allowance that comes back with time, so that only what goes with requests counts.
func TestHeavyUseIsNoAbuse(t *testing.T) {
	requests := 100_000
	if testing.Short() {
		requests = 5_000
	}
	ts := serve(t, func(c *Config) {
		c.Control, c.Resets = Rate{Burst: 1000, PerSecond: 1}, Rate{Burst: 200, PerSecond: 1}
		drink(c)
	})
	rc := ts.dial(true)
	const batch = 50
	out := []byte{}
	block := func(id uint32, flags uint8, p []byte) {
		out = append(appendFrame(out, len(p), frameHeaders, flagEndHeaders|flags, id), p...)
	}
	get, post := rc.requestBlock("/size/10"), rc.encode(":method", "POST", ":scheme", "http", ":authority", "example.com", ":path", "/drink")
	// Both are in the table now, so that the same octets say the same again.
	block(1, flagEndStream, get)
	block(3, flagEndStream, post)
	get, post = rc.requestBlock("/size/10"), rc.encode(":method", "POST", ":scheme", "http", ":authority", "example.com", ":path", "/drink")
	read := [headerLen + maxFrame]byte{}
	answers := func(n int) {
		t.Helper()
		rc.Write(out)
		out = out[:0]
		for n > 0 {
			if _, err := io.ReadFull(rc.Conn, read[:headerLen]); err != nil {
				t.Fatal(err)
			}
			h := parseFrame(read[:])
			io.ReadFull(rc.Conn, read[headerLen:headerLen+h.length])
			switch {
			case h.typ == frameGoAway || h.typ == frameReset:
				t.Fatalf("frame %d: %s", h.typ, ErrCode(binary.BigEndian.Uint32(read[headerLen+h.length-4:])))
			case (h.typ == frameData || h.typ == frameHeaders) && h.flags&flagEndStream != 0:
				n--
			}
		}
	}
	answers(2)
	id := uint32(5)
	for done := 0; done < requests; done += batch {
		for k := range batch {
			switch k % 2 {
			case 0: // as browsers did before RFC 9113
				out = append(appendFrame(out, 5, framePriority, 0, id), 0, 0, 0, 0, 15)
				block(id, flagEndStream, get)
				out = appendWindowUpdate(out, id, 1<<20)
				out = append(append(appendFrame(out, 7, framePriorityUpdate, 0, 0), 0, 0, byte(id>>8), byte(id)), "u=1"...)
			case 1: // as clients of gRPC do
				block(id, 0, post)
				out = append(append(appendFrame(out, 5, frameData, 0, id), "hello"...), appendFrame(nil, 0, frameData, flagEndStream, id)...)
				out = appendWindowUpdate(out, 0, 10)
			}
			id += 2
		}
		out = appendPing(out, false, uint64(done))
		answers(batch)
		rc.SetDeadline(time.Now().Add(patience))
	}
}
