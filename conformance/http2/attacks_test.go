package http2

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// An attack is one way to have a gateway do much for little.
type attack struct {
	name string
	run  func(a *attacker)
	// ends are how the gateway may end such a connection, alive among them if it
	// may go on: what it costs is bounded in another way.
	ends []string
	// lasts is the least time an attack takes to show its end.
	lasts time.Duration
	// freed says that nothing of it may be left at the origin shortly before its
	// end: the gateway's limits of time are over by then.
	freed bool
}

const (
	calm      = "ENHANCE_YOUR_CALM"
	protocol  = "PROTOCOL_ERROR"
	alive     = "alive"
	flow      = "FLOW_CONTROL_ERROR"
	frameSize = "FRAME_SIZE_ERROR"
	compress  = "COMPRESSION_ERROR"
	shut      = "STREAM_CLOSED"
	noError   = "NO_ERROR" // a drain: of times that are over
	closed    = "closed"
)

// atOnce is how many frames or requests are sent by one write.
const atOnce = 50

// attacks are all there are. Paths: /attack/slow is answered after a while,
// /attack/hold never, /attack/large with much,
// /attack/unread without a look at what was sent; others at once.
func attacks() []attack {
	times := func(n int, build func()) func() {
		return func() {
			for range n {
				build()
			}
		}
	}
	// flood sends many of something, and reads what comes or not.
	flood := func(reads bool, before func(a *attacker), build func(a *attacker)) func(*attacker) {
		return func(a *attacker) {
			if reads {
				a.listen()
			}
			a.begin()
			if before != nil {
				before(a)
			}
			a.forever(times(atOnce, func() { build(a) }))
		}
	}
	requests := func(build func(a *attacker)) func(*attacker) { return flood(true, nil, build) }
	open := func(a *attacker) { a.post("/attack/body") }
	return append([]attack{
		// No attack, to compare the others with: clients that are as busy as the
		// answers come.
		{name: "busy-clients", ends: []string{alive}, run: func(a *attacker) {
			a.listen()
			a.begin()
			a.forever(func() {
				times(atOnce, func() { a.get("/attack") })()
				a.flush()
				for range atOnce {
					select {
					case <-a.answer:
					case <-a.over:
						return
					}
				}
			})
		}},
		{name: "rapid-reset", ends: []string{calm}, run: requests(func(a *attacker) { a.reset(a.get("/attack")) })},
		{name: "rapid-reset-slow-origin", ends: []string{calm}, run: requests(func(a *attacker) { a.reset(a.get("/attack/slow")) })},
		{name: "rapid-reset-delayed", ends: []string{calm}, lasts: 2 * time.Second, run: func(a *attacker) {
			a.listen()
			a.begin()
			a.forever(func() {
				from := a.next
				times(atOnce, func() { a.get("/attack/slow") })()
				if a.flush(); !a.pause(5 * time.Millisecond) {
					return
				}
				for id := from; id < a.next; id += 2 {
					a.reset(id)
				}
			})
		}},
		{name: "made-you-reset-zero-increment", ends: []string{calm, protocol}, run: requests(func(a *attacker) {
			a.number(http2.FrameWindowUpdate, a.get("/attack/slow"), 0)
		})},
		{name: "made-you-reset-window-overflow", ends: []string{calm, flow}, run: requests(func(a *attacker) {
			a.number(http2.FrameWindowUpdate, a.get("/attack/slow"), 1<<31-1)
		})},
		{name: "made-you-reset-data-after-end", ends: []string{calm, shut}, run: requests(func(a *attacker) {
			a.frame(http2.FrameData, 0, a.get("/attack/slow"), []byte("x"))
		})},
		{name: "made-you-reset-headers-after-end", ends: []string{calm, shut, protocol}, run: requests(func(a *attacker) {
			a.frame(http2.FrameHeaders, endStream|endHeaders, a.get("/attack/slow"), a.fields("GET", "/attack"))
		})},
		{name: "made-you-reset-self-dependency", ends: []string{calm, protocol}, run: requests(func(a *attacker) {
			id := a.get("/attack/slow")
			a.frame(http2.FramePriority, 0, id, []byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id), 1})
		})},
		{name: "made-you-reset-priority-length", ends: []string{calm, frameSize}, run: requests(func(a *attacker) {
			a.frame(http2.FramePriority, 0, a.get("/attack/slow"), []byte{0, 0, 0})
		})},
		{name: "made-you-reset-content-length", ends: []string{calm, protocol}, run: requests(func(a *attacker) {
			a.get("/attack/refused", "content-length", "10")
		})},
		{name: "made-you-reset-content-length-data", ends: []string{calm, protocol}, run: requests(func(a *attacker) {
			a.frame(http2.FrameData, endStream, a.post("/attack/slow", "content-length", "10"), []byte("12345678901"))
		})},
		{name: "made-you-reset-bad-fields", ends: []string{calm, protocol}, run: requests(func(a *attacker) {
			a.get("/attack/refused", "Upper", "case")
		})},
		{name: "goaway-mid-stream", ends: []string{alive, calm, noError, protocol, closed}, run: func(a *attacker) {
			a.listen()
			a.begin()
			a.forever(func() {
				times(20, func() { a.get("/attack/slow") })()
				a.frame(http2.FrameGoAway, 0, 0, make([]byte, 8))
				a.flush()
				a.pause(time.Millisecond)
			})
		}},
		{name: "streams-beyond-the-limit", ends: []string{alive, calm, protocol}, run: func(a *attacker) {
			a.listen()
			a.begin()
			a.forever(func() {
				times(atOnce, func() { a.get("/attack/hold") })()
				a.flush()
				a.pause(10 * time.Millisecond)
			})
		}},
		{name: "rst-of-closed-streams", ends: []string{calm, shut}, run: flood(true, func(a *attacker) { a.get("/attack") }, func(a *attacker) { a.reset(1) })},
		{name: "settings-flood", ends: []string{calm}, run: flood(true, nil, func(a *attacker) { a.frame(http2.FrameSettings, 0, 0, nil) })},
		{name: "settings-flood-unread", ends: []string{calm, "reset", closed}, run: flood(false, nil, func(a *attacker) { a.frame(http2.FrameSettings, 0, 0, nil) })},
		{name: "settings-many-entries", ends: []string{calm}, run: requests(func(a *attacker) {
			a.frame(http2.FrameSettings, 0, 0, bytes.Repeat([]byte{0, 3, 0, 0, 0, 100}, 2700))
		})},
		{name: "settings-window-swings", ends: []string{calm}, run: flood(true, func(a *attacker) { times(90, func() { a.get("/attack/hold") })() }, func(a *attacker) {
			a.frame(http2.FrameSettings, 0, 0, []byte{0, 4, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0, 0})
		})},
		{name: "settings-acknowledgements", ends: []string{calm, protocol}, run: requests(func(a *attacker) { a.frame(http2.FrameSettings, 1, 0, nil) })},
		{name: "ping-flood", ends: []string{calm}, run: requests(func(a *attacker) { a.frame(http2.FramePing, 0, 0, make([]byte, 8)) })},
		{name: "ping-flood-unread", ends: []string{calm, "reset", closed}, run: flood(false, nil, func(a *attacker) { a.frame(http2.FramePing, 0, 0, make([]byte, 8)) })},
		{name: "ping-acknowledgements", ends: []string{calm, protocol}, run: requests(func(a *attacker) { a.frame(http2.FramePing, 1, 0, make([]byte, 8)) })},
		{name: "empty-data", ends: []string{calm}, run: flood(true, open, func(a *attacker) { a.frame(http2.FrameData, 0, 1, nil) })},
		{name: "padding-alone", ends: []string{calm, flow}, run: flood(true, open, func(a *attacker) {
			a.frame(http2.FrameData, http2.FlagDataPadded, 1, append([]byte{255}, make([]byte, 255)...))
		})},
		{name: "data-beyond-the-window", ends: []string{flow, calm}, run: flood(true, func(a *attacker) { a.post("/attack/unread") }, func(a *attacker) {
			a.frame(http2.FrameData, 0, 1, make([]byte, 16<<10))
		})},
		{name: "priority-flood", ends: []string{calm}, run: requests(func(a *attacker) {
			a.frame(http2.FramePriority, 0, a.stream(), []byte{0, 0, 0, 0, 1})
		})},
		{name: "priority-update-flood", ends: []string{calm, protocol}, run: requests(func(a *attacker) {
			a.frame(0x10, 0, 0, append([]byte{0, 0, 0, 1}, "u=1"...))
		})},
		{name: "window-update-flood", ends: []string{calm, flow}, run: requests(func(a *attacker) { a.number(http2.FrameWindowUpdate, 0, 1) })},
		{name: "window-update-flood-of-a-stream", ends: []string{calm, flow}, run: flood(true, open, func(a *attacker) { a.number(http2.FrameWindowUpdate, 1, 1) })},
		{name: "unknown-frames", ends: []string{calm}, run: requests(func(a *attacker) { a.frame(0xbe, 0, 0, nil) })},
		{name: "preface-only", ends: []string{alive, calm, noError, closed}, run: func(a *attacker) {
			a.listen()
			a.begin()
			a.flush()
			a.pause(time.Hour)
		}},
		{name: "garbage-after-the-preface", ends: []string{protocol, frameSize, calm, closed}, run: func(a *attacker) {
			a.listen()
			a.out = append(a.out, http2.ClientPreface...)
			a.forever(func() { a.out = append(a.out, strings.Repeat("garbage and more of it\r\n", 100)...) })
		}},
		{name: "request-before-settings", ends: []string{protocol}, run: func(a *attacker) {
			a.listen()
			a.out = append(a.out, http2.ClientPreface...)
			a.forever(times(atOnce, func() { a.get("/attack") }))
		}},
	}, append(fieldAttacks(), slowAttacks()...)...)
}

// fieldAttacks are by field sections.
func fieldAttacks() []attack {
	never := func(piece []byte) func(*attacker) {
		return func(a *attacker) {
			a.listen()
			a.begin()
			id := a.stream()
			a.frame(http2.FrameHeaders, endStream, id, a.fields("GET", "/attack/refused"))
			a.forever(func() {
				for range atOnce {
					a.frame(http2.FrameContinuation, 0, id, piece)
				}
			})
		}
	}
	literal := append([]byte{0x00, 1, 'x', 100}, bytes.Repeat([]byte("v"), 100)...)
	return []attack{
		{name: "continuation-flood", ends: []string{calm}, run: never(bytes.Repeat(literal, 10))},
		{name: "continuation-flood-empty", ends: []string{calm}, run: never(nil)},
		{name: "continuation-flood-by-bytes", ends: []string{calm}, run: never([]byte{0x00})},
		{name: "continuation-flood-ended", ends: []string{alive, calm}, run: func(a *attacker) {
			a.listen()
			a.begin()
			a.forever(func() {
				id := a.stream()
				a.frame(http2.FrameHeaders, endStream, id, a.fields("GET", "/attack"))
				for i := range 6 {
					a.frame(http2.FrameContinuation, http2.Flags(i/5*4), id, []byte{0x00, 1, 'x', 1, 'v'})
				}
			})
		}},
		{name: "header-list-too-large", ends: []string{calm, alive}, run: func(a *attacker) {
			a.listen()
			a.begin()
			a.forever(func() {
				id := a.stream()
				a.frame(http2.FrameHeaders, endStream, id, a.fields("GET", "/attack/refused"))
				for i := range 64 {
					a.frame(http2.FrameContinuation, http2.Flags(i/63*4), id, bytes.Repeat(literal, 150))
				}
			})
		}},
		{name: "too-many-fields", ends: []string{calm, alive, protocol}, run: func(a *attacker) {
			a.listen()
			a.begin()
			a.forever(func() {
				id := a.stream()
				a.frame(http2.FrameHeaders, endStream|endHeaders, id, append(a.fields("GET", "/attack/refused"), bytes.Repeat([]byte{0x00, 1, 'x', 0}, 3000)...))
			})
		}},
		{name: "cookie-crumbs", ends: []string{calm, alive, protocol}, run: func(a *attacker) {
			a.listen()
			a.begin()
			a.forever(func() {
				id := a.stream()
				a.frame(http2.FrameHeaders, endStream|endHeaders, id, append(a.fields("GET", "/attack/refused"), bytes.Repeat([]byte{0x0f, 32 - 15, 1, 'c'}, 3500)...))
			})
		}},
		{name: "hpack-bomb", ends: []string{calm, compress, protocol, alive}, run: func(a *attacker) {
			// A field that fills the table, and then bytes that each mean it.
			a.listen()
			a.begin()
			fill := append(appendString([]byte{0x40}, "x"), appendString(nil, strings.Repeat("v", 4000))...)
			first := true
			a.forever(func() {
				id := a.stream()
				if first {
					a.frame(http2.FrameHeaders, endStream|endHeaders, id, append(a.fields("GET", "/attack"), fill...))
					first = false
					return
				}
				// Static pseudo-fields alone, or they would push it out.
				block := append([]byte{0x82, 0x84, 0x86}, appendString([]byte{0x01}, "h")...)
				a.frame(http2.FrameHeaders, endStream|endHeaders, id, append(block, bytes.Repeat([]byte{0xbe}, 16000)...))
			})
		}},
		{name: "hpack-table-updates", ends: []string{calm, compress}, run: func(a *attacker) {
			a.listen()
			a.begin()
			a.forever(func() {
				id := a.stream()
				a.frame(http2.FrameHeaders, endStream|endHeaders, id, append(bytes.Repeat([]byte{0x20, 0x3f, 0xe1, 0x1f}, 3000), a.fields("GET", "/attack")...))
			})
		}},
		{name: "hpack-table-thrash", ends: []string{calm, alive}, run: func(a *attacker) {
			a.listen()
			a.begin()
			n := 0
			a.forever(func() {
				for range 20 {
					var more []string
					for range 20 {
						n++
						more = append(more, "x-"+strconv.Itoa(n), strings.Repeat("v", 100))
					}
					a.get("/attack", more...)
				}
			})
		}},
		{name: "hpack-integer-overflow", ends: []string{compress, calm}, run: func(a *attacker) {
			a.listen()
			a.begin()
			a.forever(func() {
				a.frame(http2.FrameHeaders, endStream|endHeaders, a.stream(), append([]byte{0xff}, bytes.Repeat([]byte{0xff}, 100)...))
			})
		}},
		{name: "huffman-of-nothing", ends: []string{compress, calm}, run: func(a *attacker) {
			a.listen()
			a.begin()
			a.forever(func() {
				block := append(a.fields("GET", "/attack/refused"), 0x00, 1, 'x', 0x80|100)
				a.frame(http2.FrameHeaders, endStream|endHeaders, a.stream(), append(block, bytes.Repeat([]byte{0xff}, 100)...))
			})
		}},
	}
}

// appendString appends a string literal without Huffman's code (RFC 7541, 5.2).
func appendString(b []byte, s string) []byte {
	n := len(s)
	if n < 127 {
		return append(append(b, byte(n)), s...)
	}
	b = append(b, 127)
	for n -= 127; n >= 128; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(append(b, byte(n)), s...)
}

// slowAttacks hold what they can for as long as they can.
func slowAttacks() []attack {
	window := func(n uint32) http2.Setting {
		return http2.Setting{ID: http2.SettingInitialWindowSize, Val: n}
	}
	const long = 4 * time.Second // beyond the gateway's timeouts
	return []attack{
		{name: "windows-never-open", freed: true, ends: []string{alive, calm, noError, closed, "reset"}, lasts: long, run: func(a *attacker) {
			a.listen()
			a.begin(window(1))
			for range 90 {
				a.get("/attack/large")
			}
			a.flush()
			a.pause(time.Hour)
		}},
		{name: "windows-open-by-bytes", freed: true, ends: []string{alive, calm, noError, closed, "reset"}, lasts: 2 * long, run: func(a *attacker) {
			a.listen()
			a.begin(window(1))
			for range 50 {
				a.get("/attack/large")
			}
			a.forever(func() {
				for id := uint32(1); id < 100; id += 2 {
					a.number(http2.FrameWindowUpdate, id, 1)
				}
				a.flush()
				a.pause(100 * time.Millisecond)
			})
		}},
		{name: "reads-nothing", freed: true, ends: []string{alive, noError, calm, closed, "reset", "INTERNAL_ERROR", "CANCEL"}, lasts: long, run: func(a *attacker) {
			a.tcp.SetReadBuffer(4096)
			a.begin(window(1<<31 - 1))
			a.number(http2.FrameWindowUpdate, 0, 1<<30)
			for range 90 {
				a.get("/attack/large")
			}
			a.flush()
			a.pause(long - 200*time.Millisecond)
		}},
		{name: "one-continuation-a-while", ends: []string{calm, noError, closed, protocol}, lasts: long, run: func(a *attacker) {
			a.listen()
			a.begin()
			id := a.stream()
			a.frame(http2.FrameHeaders, endStream, id, a.fields("GET", "/attack/refused"))
			a.forever(func() {
				a.flush()
				a.pause(500 * time.Millisecond)
				a.frame(http2.FrameContinuation, 0, id, []byte{0x00, 1, 'x', 1, 'v'})
			})
		}},
		{name: "bodies-never-come", ends: []string{alive, calm, noError, closed}, lasts: long, run: func(a *attacker) {
			a.listen()
			a.begin()
			for range 90 {
				a.post("/attack/body", "content-length", "100000")
			}
			a.flush()
			a.pause(time.Hour)
		}},
		{name: "bodies-by-bytes", ends: []string{alive, calm, noError, closed, shut}, lasts: long, run: func(a *attacker) {
			a.listen()
			a.begin()
			for range 50 {
				a.post("/attack/body")
			}
			a.forever(func() {
				for id := uint32(1); id < 100; id += 2 {
					a.frame(http2.FrameData, 0, id, []byte("b"))
				}
				a.flush()
				a.pause(100 * time.Millisecond)
			})
		}},
	}
}
