package http2

import (
	"fmt"
	"io"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
)

// responses are what an endpoint sends on stream 1, and what becomes of it.
var responses = []struct {
	name, method string
	say          func(rc *rawClient)
	want         string
}{
	{"fixed", "GET", func(rc *rawClient) {
		rc.respond(1, false, ":status", "200", "content-length", "5")
		rc.WriteData(1, true, []byte("hello"))
	}, `200 length 5 body "hello"`},
	{"no length", "GET", func(rc *rawClient) {
		rc.respond(1, false, ":status", "200")
		rc.WriteData(1, false, []byte("hel"))
		rc.WriteDataPadded(1, false, []byte("lo"), make([]byte, 20))
		rc.WriteData(1, true, nil)
	}, `200 length -1 body "hello"`},
	{"no content", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "200") }, `200 length 0`},
	{"no content, said", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "200", "content-length", "0") }, `200 length 0`},
	{"empty content", "GET", func(rc *rawClient) {
		rc.respond(1, false, ":status", "200", "content-length", "0")
		rc.WriteData(1, true, nil)
	}, `200 length 0`},
	{"trailers", "GET", func(rc *rawClient) {
		rc.respond(1, false, ":status", "200")
		rc.WriteData(1, false, []byte("x"))
		rc.respond(1, true, "grpc-status", "0", "x-sum", "1")
	}, `200 length -1 body "x" trailer "grpc-status: 0\nx-sum: 1\n"`},
	{"trailers only", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "200", "grpc-status", "5") }, `200 length 0`},
	{"trailers without content", "GET", func(rc *rawClient) {
		rc.respond(1, false, ":status", "200")
		rc.respond(1, true, "grpc-status", "5")
	}, `200 length -1 body "" trailer "grpc-status: 5\n"`},
	{"continuation", "GET", func(rc *rawClient) {
		block := rc.encode(":status", "200", "x-a", "b", "content-length", "0")
		rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:3], EndStream: true, PadLength: 7})
		rc.WriteContinuation(1, false, block[3:5])
		rc.WriteContinuation(1, true, block[5:])
	}, `200 length 0`},
	{"head", "HEAD", func(rc *rawClient) { rc.respond(1, true, ":status", "200", "content-length", "5") }, "200 length 5"},
	{"head ends later", "HEAD", func(rc *rawClient) {
		rc.respond(1, false, ":status", "200", "content-length", "5")
		rc.WriteData(1, true, nil)
	}, "200 length 5"},
	{"204", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "204", "content-length", "0") }, "204 length 0"},
	{"304", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "304", "content-length", "5") }, "304 length 5"},
	{"informational", "GET", func(rc *rawClient) {
		rc.respond(1, false, ":status", "100")
		rc.respond(1, false, ":status", "103", "link", "a")
		rc.respond(1, true, ":status", "200")
	}, `103 link: a, 100 , 200 length 0`},
	{"no status", "GET", func(rc *rawClient) { rc.respond(1, true, "x-a", "b") }, "error UPE response-head 502"},
	{"two statuses", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "200", ":status", "200") }, "error UPE response-head 502"},
	{"late status", "GET", func(rc *rawClient) { rc.respond(1, true, "x-a", "b", ":status", "200") }, "error UPE response-head 502"},
	{"status with a plus", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "+20") }, "error UPE response-head 502"},
	{"long status", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "2000") }, "error UPE response-head 502"},
	{"pseudo-header of requests", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "200", ":path", "/") }, "error UPE response-head 502"},
	{"upper case", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "200", "X-A", "b") }, "error UPE response-head 502"},
	{"line feed", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "200", "x-a", "b\nc: d") }, "error UPE response-head 502"},
	{"connection field", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "200", "connection", "close") }, "error UPE response-head 502"},
	{"transfer-encoding", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "200", "transfer-encoding", "chunked") }, "error UPE response-head 502"},
	{"two lengths", "GET", func(rc *rawClient) {
		rc.respond(1, true, ":status", "200", "content-length", "1", "content-length", "2")
	}, "error UPE response-head 502"},
	{"not a length", "GET", func(rc *rawClient) { rc.respond(1, false, ":status", "200", "content-length", "-1") }, "error UPE response-head 502"},
	{"length without content", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "200", "content-length", "5") }, "error UPE response-head 502"},
	{"101", "GET", func(rc *rawClient) { rc.respond(1, false, ":status", "101") }, "error UPE response-head 502"},
	{"informational end", "GET", func(rc *rawClient) { rc.respond(1, true, ":status", "103") }, "error UPE response-head 502"},
	{"content first", "GET", func(rc *rawClient) { rc.WriteData(1, true, []byte("x")) }, "error UPE response-head 502"},
	{"end first", "GET", func(rc *rawClient) { rc.WriteData(1, true, nil) }, "error UPE response-head 502"},
	{"refused", "GET", func(rc *rawClient) { rc.WriteRSTStream(1, xhttp2.ErrCodeRefusedStream) }, "error UR response-head 502 unsent"},
	{"reset", "GET", func(rc *rawClient) { rc.WriteRSTStream(1, xhttp2.ErrCodeInternal) }, "error UR response-head 502"},
	{"gone before it", "GET", func(rc *rawClient) { rc.WriteGoAway(0, xhttp2.ErrCodeNo, nil) }, "error UR response-head 502 unsent"},
	{"gone after it", "GET", func(rc *rawClient) {
		rc.WriteGoAway(1, xhttp2.ErrCodeNo, nil)
		rc.respond(1, true, ":status", "200")
	}, "200 length 0"},
	{"whole, then reset", "GET", func(rc *rawClient) {
		rc.respond(1, true, ":status", "200")
		rc.WriteRSTStream(1, xhttp2.ErrCodeNo)
	}, "200 length 0"},
	{"unknown frames and settings", "GET", func(rc *rawClient) {
		rc.WriteRawFrame(0xa, 0, 0, []byte("altsvc"))
		rc.WriteSettings(xhttp2.Setting{ID: 0x99, Val: 7}, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 20})
		rc.WritePing(false, [8]byte{1})
		rc.WriteWindowUpdate(0, 5)
		rc.WritePriority(1, xhttp2.PriorityParam{StreamDep: 3})
		rc.respond(1, true, ":status", "200")
	}, "200 length 0"},
	// What follows ends the connection.
	{"push", "GET", func(rc *rawClient) {
		rc.WritePushPromise(xhttp2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true})
	}, "error UPE response-head 502"},
	{"pushed stream", "GET", func(rc *rawClient) { rc.respond(2, true, ":status", "200") }, "error UPE response-head 502"},
	{"idle stream", "GET", func(rc *rawClient) { rc.respond(3, true, ":status", "200") }, "error UPE response-head 502"},
	{"window of 0", "GET", func(rc *rawClient) { rc.WriteWindowUpdate(0, 0) }, "error UPE response-head 502"},
	{"window too large", "GET", func(rc *rawClient) { rc.WriteWindowUpdate(0, 1<<31-1) }, "error UPE response-head 502"},
	{"compression", "GET", func(rc *rawClient) {
		rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff}, EndHeaders: true})
	}, "error UPE response-head 502"},
	{"interrupted block", "GET", func(rc *rawClient) {
		rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x88}})
		rc.WritePing(false, [8]byte{})
	}, "error UPE response-head 502"},
	{"end of the connection", "GET", func(rc *rawClient) {
		rc.WriteGoAway(1, xhttp2.ErrCodeInternal, []byte("why"))
		rc.WriteWindowUpdate(0, 0)
	}, "error UC response-head 502"},
}

func TestResponses(t *testing.T) {
	e := listen(t, nil)
	for _, c := range responses {
		t.Run(c.name, func(t *testing.T) {
			e.TB = t
			said := script(t, func(rc *rawClient) {
				rc.WriteSettings()
				c.say(rc)
			})
			for cut := range len(said) {
				o := e.dial()
				x := o.begin(c.method, nil)
				rc := o.frames()
				if got, want := rc.heads(1), ":method: "+c.method+"\n:scheme: http\n:authority: h\n:path: /x\n"; got != want {
					t.Fatalf("the request is %q", got)
				}
				o.peer.Write(said[:cut])
				e.l.Do(func() {})
				e.l.Do(func() {})
				o.peer.Write(said[cut:])
				// That a body is empty may come too late to say that there is none.
				if got := x.wait(); got != c.want && got != c.want+` body ""` {
					t.Fatalf("cut at %d: %s\nwant %s\n%v", cut, got, c.want, x.err)
				}
				e.l.Do(func() {
					if o.live != 0 || o.flows.count != 0 {
						t.Errorf("cut at %d: %d streams, %d flows are left", cut, o.live, o.flows.count)
					}
				})
				o.close()
			}
		})
	}
	e.TB = t
}

// A response that is cut short is never taken for a whole one.
func TestResponsesThatAreCutShort(t *testing.T) {
	e := listen(t, nil)
	for _, c := range responses {
		if strings.Contains(c.want, "error") || strings.Contains(c.name, "reset") {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			e.TB = t
			said := script(t, c.say)
			for cut := range len(said) {
				o, _ := e.greeted()
				x := o.begin(c.method, nil)
				e.until("it was sent", func() bool { return x.attached })
				o.peer.Write(said[:cut])
				o.peer.CloseWrite()
				got := x.wait()
				// The head of a response that has no content says all that there is to say.
				whole := got == c.want && (c.method == "HEAD" || c.name == "unknown frames and settings")
				if !whole && !strings.Contains(got, "error UC ") {
					t.Fatalf("cut at %d of %d: %s", cut, len(said), got)
				}
				e.until("the owner is told of the end", func() bool { return o.ended == 1 })
				o.close()
			}
		})
	}
	e.TB = t
}

func TestMalformedContentResetsTheStream(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		say    func(rc *rawClient)
		code   xhttp2.ErrCode
		want   string
	}{
		"too long": {"GET", func(rc *rawClient) {
			rc.respond(1, false, ":status", "200", "content-length", "2")
			rc.WriteData(1, false, []byte("hello"))
		}, xhttp2.ErrCodeProtocol, "UPE"},
		"too short": {"GET", func(rc *rawClient) {
			rc.respond(1, false, ":status", "200", "content-length", "9")
			rc.WriteData(1, true, []byte("hello"))
		}, xhttp2.ErrCodeProtocol, "UPE"},
		"too short for trailers": {"GET", func(rc *rawClient) {
			rc.respond(1, false, ":status", "200", "content-length", "9")
			rc.respond(1, true, "x", "y")
		}, xhttp2.ErrCodeProtocol, "UPE"},
		"in a HEAD": {"HEAD", func(rc *rawClient) {
			rc.respond(1, false, ":status", "200")
			rc.WriteData(1, true, []byte("hello"))
		}, xhttp2.ErrCodeProtocol, ""},
		"in a 304": {"GET", func(rc *rawClient) {
			rc.respond(1, false, ":status", "304")
			rc.WriteData(1, true, []byte("hello"))
		}, xhttp2.ErrCodeProtocol, ""},
		"pseudo-header field in trailers": {"GET", func(rc *rawClient) {
			rc.respond(1, false, ":status", "200")
			rc.respond(1, true, ":status", "200")
		}, xhttp2.ErrCodeProtocol, "UPE"},
		"HEADERS that are no trailers": {"GET", func(rc *rawClient) {
			rc.respond(1, false, ":status", "200")
			rc.respond(1, false, "x", "y")
		}, xhttp2.ErrCodeProtocol, "UPE"},
		"beyond its window": {"GET", func(rc *rawClient) {
			rc.respond(1, false, ":status", "200")
			for range 5 {
				rc.WriteData(1, false, text(16384))
			}
		}, xhttp2.ErrCodeFlowControl, "UPE"},
	} {
		t.Run(name, func(t *testing.T) {
			e := listen(t, func(cfg *ClientConfig) { cfg.ConnWindow = 1 << 20 })
			o, rc := e.greeted()
			x := o.begin(c.method, nil)
			rc.heads(1)
			if name == "beyond its window" {
				// Nothing is pulled meanwhile: all of it comes in one turn.
				said := script(t, c.say)
				e.l.Do(func() { o.peer.Write(said) })
			} else {
				// In one piece, so that the head is not taken before the rest came.
				o.peer.Write(script(t, c.say))
			}
			if got := x.wait(); c.want != "" && !strings.Contains(got, "error "+c.want) {
				t.Error(got)
			}
			if code := rc.reset(1); code != c.code && !(c.want == "" && code == xhttp2.ErrCodeCancel) {
				t.Errorf("reset with %v", code)
			}
			// The connection goes on.
			y := o.begin("GET", nil)
			rc.heads(3)
			rc.respond(3, true, ":status", "200")
			if got := y.wait(); got != "200 length 0" {
				t.Error(got)
			}
		})
	}
}

func TestHostileEndpoints(t *testing.T) {
	for name, say := range map[string]func(rc *rawClient){
		"continuation flood": func(rc *rawClient) {
			rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x88}})
			for range 100 {
				rc.WriteContinuation(1, false, nil)
			}
		},
		"header bomb": func(rc *rawClient) {
			block := append([]byte{0x88, 0x40, 1, 'x', 0x7f, 0xa1, 0x1e}, text(4000)...)
			for range 4000 {
				block = append(block, 0xbe)
			}
			rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true})
		},
		"ping flood": func(rc *rawClient) {
			for range 30_000 {
				rc.WritePing(false, [8]byte{})
			}
		},
		"settings flood": func(rc *rawClient) {
			for range 30_000 {
				rc.WriteSettings()
			}
		},
		"empty content": func(rc *rawClient) {
			rc.respond(1, false, ":status", "200")
			for range 30_000 {
				rc.WriteData(1, false, nil)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := listen(t, nil)
			o := e.dial()
			x := o.begin("GET", nil)
			rc := o.frames()
			go io.Copy(io.Discard, o.peer)
			said := script(t, func(rc *rawClient) { rc.WriteSettings(); say(rc) })
			rc.Conn.Write(said)
			if got := x.wait(); !strings.Contains(got, "error UPE") {
				t.Error(got)
			}
			e.until("the connection ended", func() bool { return o.over != nil && strings.Contains(fmt.Sprint(o.over), "ENHANCE_YOUR_CALM") })
		})
	}
}
