package websocket

import (
	"bytes"
	"fmt"
)

func masked(op byte, fin bool, payload []byte) []byte {
	return frame{fin: fin, op: op, masked: true, payload: payload}.encode()
}

func text(s string) []byte { return masked(opText, true, []byte(s)) }

func goodbye(code int, reason string) []byte {
	f := closeFrame(code, reason)
	f.masked = true
	return f.encode()
}

// scenarios are all cases. Where a case has no end of its own, it says goodbye
// when it has received as many frames as it awaits.
func scenarios() []*scenario {
	var all []*scenario
	add := func(s scenario) { all = append(all, &s) }
	bye := goodbye(1000, "")

	for _, n := range []int{0, 1, 2, 64, 125, 126, 127, 128, 1024, 4095, 4096, 16383, 16384, 65535, 65536, 65537, 1 << 20, 4 << 20, 16 << 20} {
		add(scenario{name: fmt.Sprintf("text-%d", n), send: [][]byte{text(string(bytes.Repeat([]byte("x"), n)))}, await: 1, end: bye, full: n > 1<<20})
		add(scenario{name: fmt.Sprintf("binary-%d", n), send: [][]byte{masked(opBinary, true, pattern(n))}, await: 1, end: bye, full: n > 1<<20})
	}
	add(scenario{name: "text-utf8", send: [][]byte{text("龙门 κόσμε 🐉")}, await: 1, end: bye})
	for i, p := range []string{"\xff", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xaf", "ok\x80"} {
		add(scenario{name: fmt.Sprintf("text-not-utf8-%d", i), send: [][]byte{text(p)}})
	}
	chopped := text("cut into single bytes, header and all")
	for _, n := range []int{1, 2, 3, 5, 7} {
		add(scenario{name: fmt.Sprintf("chopped-%d", n), send: chop(chopped, n), await: 1, end: bye})
	}
	add(scenario{name: "chopped-large-997", send: chop(masked(opBinary, true, pattern(100_000)), 997), await: 1, end: bye})
	add(scenario{name: "two-in-one-write", send: [][]byte{append(text("a"), text("b")...)}, await: 2, end: bye})
	add(scenario{name: "hundred-in-one-write", send: [][]byte{bytes.Repeat(text("again"), 100)}, await: 100, end: bye})
	add(scenario{name: "thousand-messages", send: chop(bytes.Repeat(text("again"), 1000), 11), await: 1000, end: bye})
	add(scenario{name: "ten-large-messages", send: [][]byte{bytes.Repeat(masked(opBinary, true, pattern(1<<20)), 10)}, await: 10, end: bye, full: true})
	add(scenario{name: "early-frame", early: text("with the request"), await: 1, end: bye})
	add(scenario{name: "early-frame-half", early: text("split")[:5], send: [][]byte{text("split")[5:]}, await: 1, end: bye})
	add(scenario{name: "early-large", early: masked(opBinary, true, pattern(200_000)), await: 1, end: bye})

	addFragments(add, bye)
	addControl(add, bye)
	addClose(add)
	addViolations(add)
	addServer(add, bye)
	addOpening(add, bye)
	addCompressed(add, bye)
	return all
}

// chop cuts bytes into writes of n.
func chop(b []byte, n int) [][]byte {
	var parts [][]byte
	for len(b) > n {
		parts, b = append(parts, b[:n]), b[n:]
	}
	return append(parts, b)
}

func addFragments(add func(scenario), bye []byte) {
	frag := func(parts ...[]byte) [][]byte { return parts }
	add(scenario{name: "fragments-two", send: frag(masked(opText, false, []byte("a")), masked(opContinuation, true, []byte("b"))), await: 1, end: bye})
	add(scenario{name: "fragments-empty", send: frag(masked(opText, false, nil), masked(opContinuation, false, nil), masked(opContinuation, true, nil)), await: 1, end: bye})
	add(scenario{name: "fragments-empty-end", send: frag(masked(opBinary, false, []byte("a")), masked(opContinuation, true, nil)), await: 1, end: bye})
	add(scenario{name: "fragments-one-write", send: [][]byte{append(masked(opText, false, []byte("a")), masked(opContinuation, true, []byte("b"))...)}, await: 1, end: bye})
	add(scenario{name: "fragments-in-a-rune", send: frag(masked(opText, false, []byte("\xe9\xbe")), masked(opContinuation, true, []byte("\x99"))), await: 1, end: bye})
	add(scenario{name: "fragments-ping-between", send: frag(masked(opText, false, []byte("a")), masked(opPing, true, []byte("p")), masked(opContinuation, true, []byte("b"))), await: 2, end: bye})
	add(scenario{name: "fragments-pong-between", send: frag(masked(opText, false, []byte("a")), masked(opPong, true, []byte("p")), masked(opContinuation, true, []byte("b"))), await: 1, end: bye})
	add(scenario{name: "fragments-close-between", send: frag(masked(opText, false, []byte("a")), goodbye(1000, ""))})
	many := [][]byte{masked(opBinary, false, pattern(100))}
	for range 200 {
		many = append(many, masked(opContinuation, false, pattern(100)))
	}
	add(scenario{name: "fragments-200", send: append(many, masked(opContinuation, true, nil)), await: 1, end: bye})
	add(scenario{name: "fragments-large", send: frag(masked(opBinary, false, pattern(300_000)), masked(opContinuation, true, pattern(300_000))), await: 1, end: bye})
}

func addControl(add func(scenario), bye []byte) {
	for _, n := range []int{0, 1, 124, 125, 126, 1000} {
		s := scenario{name: fmt.Sprintf("ping-%d", n), send: [][]byte{masked(opPing, true, pattern(n))}, await: 1, end: bye}
		if n > 125 {
			s.end = nil // refused
		}
		add(s)
	}
	add(scenario{name: "ping-ten", send: [][]byte{bytes.Repeat(masked(opPing, true, []byte("p")), 10)}, await: 10, end: bye})
	add(scenario{name: "ping-chopped", send: chop(masked(opPing, true, []byte("slowly")), 1), await: 1, end: bye})
	add(scenario{name: "ping-in-two-frames", send: [][]byte{masked(opPing, false, []byte("a")), masked(opContinuation, true, []byte("b"))}})
	add(scenario{name: "pong-unasked", send: [][]byte{masked(opPong, true, []byte("p")), text("a")}, await: 1, end: bye})
	add(scenario{name: "pong-and-ping", send: [][]byte{masked(opPong, true, nil), masked(opPing, true, []byte("q"))}, await: 1, end: bye})
}

func addClose(add func(scenario)) {
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		add(scenario{name: fmt.Sprintf("close-%d", code), send: [][]byte{goodbye(code, "because")}})
	}
	for _, code := range []int{1, 999, 1004, 1005, 1006, 1015, 1100, 2000, 2999, 5000, 65535} {
		add(scenario{name: fmt.Sprintf("close-wrong-%d", code), send: [][]byte{goodbye(code, "")}})
	}
	add(scenario{name: "close-empty", send: [][]byte{goodbye(0, "")}})
	add(scenario{name: "close-one-byte", send: [][]byte{masked(opClose, true, []byte{3})}})
	add(scenario{name: "close-reason-123", send: [][]byte{goodbye(1000, string(bytes.Repeat([]byte("r"), 123)))}})
	add(scenario{name: "close-reason-124", send: [][]byte{goodbye(1000, string(bytes.Repeat([]byte("r"), 124)))}})
	add(scenario{name: "close-reason-not-utf8", send: [][]byte{goodbye(1000, "\xff")}})
	add(scenario{name: "close-after-messages", send: [][]byte{text("a"), text("b"), goodbye(1001, "")}})
	add(scenario{name: "close-then-data", send: [][]byte{append(goodbye(1000, ""), text("late")...)}})
	add(scenario{name: "half-close", send: [][]byte{text("a")}, half: true})
	add(scenario{name: "half-close-at-once", half: true})
	add(scenario{name: "half-close-in-a-frame", send: [][]byte{text("never whole")[:6]}, half: true})
	add(scenario{name: "half-close-large", send: [][]byte{masked(opBinary, true, pattern(500_000))}, half: true})
	add(scenario{name: "client-resets", send: [][]byte{text("a")}, await: 1, reset: true})
}

func addViolations(add func(scenario)) {
	for op := byte(3); op < 16; op++ {
		if op < opClose || op > opPong {
			add(scenario{name: fmt.Sprintf("opcode-%x", op), send: [][]byte{masked(op, true, []byte("a"))}})
			add(scenario{name: fmt.Sprintf("opcode-%x-after-message", op), send: [][]byte{text("a"), masked(op, true, nil)}})
		}
	}
	for rsv := byte(1); rsv < 8; rsv++ {
		add(scenario{name: fmt.Sprintf("rsv-%d", rsv), send: [][]byte{frame{fin: true, rsv: rsv, op: opText, masked: true, payload: []byte("a")}.encode()}})
		add(scenario{name: fmt.Sprintf("rsv-%d-ping", rsv), send: [][]byte{frame{fin: true, rsv: rsv, op: opPing, masked: true}.encode()}})
	}
	add(scenario{name: "not-masked", send: [][]byte{frame{fin: true, op: opText, payload: []byte("a")}.encode()}})
	add(scenario{name: "continuation-of-nothing", send: [][]byte{masked(opContinuation, true, []byte("a"))}})
	add(scenario{name: "continuation-after-end", send: [][]byte{text("a"), masked(opContinuation, true, []byte("b"))}})
	add(scenario{name: "text-within-text", send: [][]byte{masked(opText, false, []byte("a")), text("b")}})
	add(scenario{name: "length-over-all-bounds", send: [][]byte{{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}})
	add(scenario{name: "not-frames", send: [][]byte{bytes.Repeat([]byte("GET /inner HTTP/1.1\r\nHost: h\r\n\r\n"), 4)}})
}

func addServer(add func(scenario), bye []byte) {
	add(scenario{name: "server-first", path: "first", await: 1, end: bye})
	add(scenario{name: "server-first-and-echo", path: "first", early: text("both at once"), await: 2, end: bye})
	add(scenario{name: "server-ping", path: "ping", await: 1, end: bye})
	add(scenario{name: "server-fragments", path: "fragments", await: 4, end: bye})
	add(scenario{name: "server-many", path: "many", await: 1000, end: bye})
	add(scenario{name: "server-large", path: "large", await: 1, end: bye})
	add(scenario{name: "server-bytewise", path: "bytewise", await: 1, end: bye})
	add(scenario{name: "server-closes", path: "close"})
	add(scenario{name: "server-closes-then-data", path: "close-then-data"})
	add(scenario{name: "server-gone", path: "gone"})
	add(scenario{name: "server-half", path: "half", await: 1, end: text("still here")})
	add(scenario{name: "server-masks", path: "masked", await: 1, end: bye})
}

func addOpening(add func(scenario), bye []byte) {
	one := [][]byte{text("a")}
	add(scenario{name: "opening-protocol", fields: "Sec-WebSocket-Protocol: chat, superchat\r\n", send: one, await: 1, end: bye})
	add(scenario{name: "opening-fields", fields: "Origin: http://e.example\r\nCookie: a=b; c=d\r\nX-Test: 1\r\nX-Test: 2\r\n", send: one, await: 1, end: bye})
	add(scenario{name: "opening-version-8", version: "8"})
	add(scenario{name: "opening-forbidden", path: "forbidden"})
	add(scenario{name: "opening-unauthorized", path: "unauthorized"})
	add(scenario{name: "opening-connection-list", fields: "Connection: keep-alive\r\n", send: one, await: 1, end: bye})
}

func addCompressed(add func(scenario), bye []byte) {
	const offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
	for _, n := range []int{0, 1, 100, 1000, 70_000, 1 << 20} {
		p, err := deflate(bytes.Repeat([]byte("abcdefgh"), n/8+1)[:n])
		if err != nil {
			panic(err) // to memory
		}
		f := frame{fin: true, rsv: 4, op: opText, masked: true, payload: p}
		add(scenario{name: fmt.Sprintf("deflate-%d", n), fields: offer, send: [][]byte{f.encode()}, await: 1, end: bye})
	}
	p, err := deflate([]byte("in two frames"))
	if err != nil {
		panic(err)
	}
	add(scenario{name: "deflate-fragments", fields: offer, send: [][]byte{
		frame{rsv: 4, op: opText, masked: true, payload: p[:4]}.encode(),
		masked(opPing, true, []byte("p")),
		masked(opContinuation, true, p[4:]),
	}, await: 2, end: bye})
	add(scenario{name: "deflate-not-used", fields: offer, send: [][]byte{text("plain")}, await: 1, end: bye})
	add(scenario{name: "deflate-garbage", fields: offer, send: [][]byte{frame{fin: true, rsv: 4, op: opText, masked: true, payload: []byte{0xff, 0xff, 0xff}}.encode()}})
	add(scenario{name: "deflate-two", fields: offer, send: [][]byte{
		frame{fin: true, rsv: 4, op: opText, masked: true, payload: p}.encode(),
		frame{fin: true, rsv: 4, op: opText, masked: true, payload: p}.encode(),
	}, await: 2, end: bye})
}
