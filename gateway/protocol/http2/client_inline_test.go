package http2

import (
	"bufio"
	"io"
	"runtime"
	"testing"

	xhttp2 "golang.org/x/net/http2"

	"longmen/gateway/stream"
)

// parked does requests one after another without a coroutine, as the proxy does
// when all is at hand.
type parked struct {
	testing.TB
	o     *owned
	s     stream.Stream
	cs    *ClientStream
	out   stream.Outgoing
	body  [5]byte
	left  int
	wakes int
	wrong string
	done  chan struct{}
}

func (p *parked) next() {
	p.cs = p.o.Attach(&p.s)
	p.cs.Send(&p.out, p.body[:], true)
	p.cs.WakeOn(p)
}

// Wake looks for the response, all of which has to be there.
func (p *parked) Wake() {
	p.wakes++
	resp := &p.s.Response
	done, err := p.cs.PollHead(resp, false)
	if !done && err == nil {
		return
	}
	p.cs.WakeOn(nil)
	if err != nil {
		p.wrong = err.Error()
	} else if piece, last := resp.Body.Buffered(); string(piece) != "world" || !last || resp.Body.Trailer() == nil {
		p.wrong = "the response is not at hand as a whole: " + string(piece)
	} else if piece, err := resp.Body.Next(nil); string(piece) != "world" || err != nil {
		p.wrong = "the piece is " + string(piece)
	} else if _, last := resp.Body.Buffered(); !last {
		p.wrong = "it was not the last piece"
	} else if _, err := resp.Body.Next(nil); err != io.EOF {
		p.wrong = "no end behind it"
	} else if string(resp.Body.Trailer().Get("grpc-status")) != "0" {
		p.wrong = "no trailer"
	}
	p.cs.Detach()
	if p.left--; p.left > 0 && p.wrong == "" {
		p.next()
		return
	}
	p.done <- struct{}{}
}

func (p *parked) do(n int) {
	p.left = n
	p.o.e.l.Do(p.next)
	<-p.done
	if p.wrong != "" {
		p.Fatal(p.wrong)
	}
}

// answerAll answers each request that ends with its DATA, without allocating.
func answerAll(peer io.ReadWriter, said []byte, ids []int) {
	in, out := bufio.NewReaderSize(peer, 64<<10), bufio.NewWriterSize(peer, 64<<10)
	var p [16 << 10]byte
	for {
		if in.Buffered() == 0 {
			out.Flush()
		}
		if _, err := io.ReadFull(in, p[:headerLen]); err != nil {
			return
		}
		h := parseFrame(p[:headerLen])
		if _, err := io.ReadFull(in, p[:h.length]); err != nil {
			return
		}
		if h.typ != frameData || h.flags&flagEndStream == 0 {
			continue
		}
		for _, at := range ids {
			said[at], said[at+1], said[at+2], said[at+3] = byte(h.id>>24), byte(h.id>>16), byte(h.id>>8), byte(h.id)
		}
		out.Write(said)
	}
}

// parkedOn readies requests over a connection whose endpoint answers at once.
func parkedOn(t testing.TB) *parked {
	e := listen(t, nil)
	o, rc := e.greeted(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 30})
	rc.WriteWindowUpdate(0, 1<<30)
	said := script(t, func(rc *rawClient) {
		rc.respond(1, false, ":status", "200", "content-type", "application/grpc", "date", "now")
		rc.WriteData(1, false, []byte("world"))
		rc.respond(1, true, "grpc-status", "0")
	})
	var ids []int
	for at := 0; at < len(said); at += headerLen + parseFrame(said[at:]).length {
		ids = append(ids, at+5)
	}
	go answerAll(o.peer, said, ids)
	p := &parked{TB: t, o: o, done: make(chan struct{}, 1)}
	p.s.Loop = e.l
	r := &p.s.Request
	r.Method, r.Length = []byte("POST"), 5
	r.Header.AddString("content-type", "application/grpc")
	p.out = stream.Outgoing{Path: []byte("/a"), Authority: []byte("h")}
	p.do(300)
	return p
}

// What 50 streams at once on a connection cost both sides, system calls included.
func BenchmarkRequests(b *testing.B) {
	p := parkedOn(b)
	const many = 50
	p.done = make(chan struct{}, many)
	all := []*parked{p}
	for len(all) < many {
		o := &parked{TB: b, o: p.o, out: p.out, done: p.done}
		o.s.Loop = p.s.Loop
		o.s.Request.Method, o.s.Request.Length = p.s.Request.Method, 5
		o.s.Request.Header.CopyFrom(&p.s.Request.Header)
		all = append(all, o)
	}
	b.ReportAllocs()
	b.ResetTimer()
	p.o.e.l.Do(func() {
		for _, o := range all {
			o.left = b.N/many + 1
			o.next()
		}
	})
	for range all {
		<-p.done
	}
}

func TestRequestsWithoutACoroutineOrAllocation(t *testing.T) {
	p := parkedOn(t)
	var before, after runtime.MemStats
	const requests = 1000
	for try := range 5 {
		runtime.ReadMemStats(&before)
		p.do(requests)
		runtime.ReadMemStats(&after)
		n := after.Mallocs - before.Mallocs
		if n < requests/10 {
			return
		}
		if try == 4 {
			t.Errorf("%d allocations for %d requests", n, requests)
		}
	}
}

// Who waits without a coroutine is told of what fails, too.
func TestWithoutACoroutineFailuresAreTold(t *testing.T) {
	e := listen(t, nil)
	o, _ := e.greeted()
	p := &parked{TB: t, o: o, done: make(chan struct{}, 1), left: 1}
	p.s.Loop = e.l
	p.s.Request.Method, p.s.Request.Length = []byte("POST"), 5
	p.out = stream.Outgoing{Path: []byte("/a"), Authority: []byte("h")}
	e.l.Do(p.next)
	o.peer.Close()
	<-p.done
	if p.wrong == "" {
		t.Error("no error")
	}
	p.wrong, p.left = "", 1
	e.l.Do(p.next) // it has ended already
	<-p.done
	if p.wrong == "" {
		t.Error("no error of a connection that is over")
	}
}
