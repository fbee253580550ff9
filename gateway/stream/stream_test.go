package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"longmen/gateway/worker"
)

func TestBytes(t *testing.T) {
	b := NewBytes([]byte("all"))
	if p, last := b.Buffered(); string(p) != "all" || !last {
		t.Errorf("%q, %v", p, last)
	}
	if p, err := b.Next(nil); string(p) != "all" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	for range 2 {
		if p, err := b.Next(nil); p != nil || err != io.EOF {
			t.Errorf("%q, %v", p, err)
		}
	}
	if p, last := b.Buffered(); len(p) != 0 || !last || b.Trailer() != nil {
		t.Errorf("%q, %v", p, last)
	}
	b = NewBytes([]byte("all"))
	b.Stop()
	if p, err := b.Next(nil); len(p) != 0 || err == nil {
		t.Errorf("after Stop: %q, %v", p, err)
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("cause")
	e := &Error{Side: Upstream, Phase: PhaseConnect, Flag: UpstreamConnectFailure, Status: 503, Cause: cause}
	if e.Error() != "upstream connect: cause" || !errors.Is(e, cause) {
		t.Error(e)
	}
	if AsError(e) != e || AsError(fmt.Errorf("wrapped: %w", e)) != e {
		t.Error("AsError does not find the error")
	}
	if x := AsError(cause); x.Status != 500 || x.Side != Local || x.Flag != LocalError || !errors.Is(x, cause) {
		t.Errorf("%+v", x)
	}
	if n := testing.AllocsPerRun(100, func() { AsError(e) }); n != 0 {
		t.Errorf("AsError of an *Error: %v allocations", n)
	}
}

// Each side, phase and flag has a name of its own.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for s := Downstream; s <= Local; s++ {
		seen[s.String()] = true
	}
	for p := PhaseRequestHead; p <= PhaseTunnel; p++ {
		seen[p.String()] = true
	}
	for _, f := range append(Flags(), FlagNone) {
		seen[f.String()] = true
	}
	if want := 3 + int(PhaseTunnel) + 1 + int(flagCount); len(seen) != want || seen[""] {
		t.Errorf("%d names, want %d: %v", len(seen), want, seen)
	}
	if len(Flags()) != int(flagCount)-1 {
		t.Errorf("%d flags", len(Flags()))
	}
}

func TestRecordFlag(t *testing.T) {
	var r Record
	if r.Flag() != FlagNone {
		t.Error(r.Flag())
	}
	r.Err = &Error{Flag: NoRoute}
	if r.Flag() != NoRoute {
		t.Error(r.Flag())
	}
}

func TestRoom(t *testing.T) {
	var s Stream
	var given [][]byte
	for i := range 100 {
		n := i * 7 % 900
		p := s.Room(n)
		if len(p) != 0 || cap(p) != n {
			t.Fatalf("Room(%d): len %d, cap %d", n, len(p), cap(p))
		}
		given = append(given, append(p, bytes.Repeat([]byte{byte(i)}, n)...))
	}
	for i, p := range given {
		if !bytes.Equal(p, bytes.Repeat([]byte{byte(i)}, len(p))) {
			t.Fatalf("piece %d was overwritten", i)
		}
	}
	s.Reset()
	if n := testing.AllocsPerRun(100, func() { s.Room(100); s.Reset() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	s.Room(100 << 10)
	if s.Reset(); cap(s.arena) > 16<<10 {
		t.Errorf("%d bytes are kept", cap(s.arena))
	}
}

func TestRespond(t *testing.T) {
	var s Stream
	s.Response.Header.AddString("old", "x")
	s.Response.Reason = []byte("old")
	r := s.Respond(503, "", []byte("sorry"))
	if p, last := r.Body.Buffered(); r != &s.Response || r.Status != 503 || r.Length != 5 || string(p) != "sorry" || !last || r.Reason != nil {
		t.Errorf("%+v", r)
	}
	if got := lines(&r.Header); got != "content-type: text/plain; charset=utf-8\n" {
		t.Errorf("%q", got)
	}
	r = s.Respond(302, "text/html", nil)
	if r.Body != nil || r.Length != 0 || r.Header.Count() != 0 {
		t.Errorf("%+v", r)
	}
	body := []byte("x")
	if n := testing.AllocsPerRun(100, func() { s.Respond(200, "a/b", body) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestStreamReset(t *testing.T) {
	s := Stream{Record: Record{Status: 1}, IdleTimeout: 1, failed: &Error{}}
	s.Request.Header.AddString("a", "b")
	s.Request.Method, s.Request.Length, s.Request.ExpectContinue, s.Request.Upgrade = []byte("x"), 5, true, []byte("y")
	s.Respond(200, "", []byte("z"))
	s.Reset()
	if r := &s.Request; r.Method != nil || r.Length != 0 || r.ExpectContinue || r.Upgrade != nil || r.Header.Count() != 0 {
		t.Errorf("%+v", r)
	}
	if s.Aborted() != nil || s.IdleTimeout != 0 || s.Record.Status != 0 || s.Response.Body != nil || s.Response.Header.Count() != 0 || len(s.reply.rest) != 0 {
		t.Errorf("%+v", s)
	}
}

type runner func(co *worker.Coroutine)

func (f runner) Run(co *worker.Coroutine) { f(co) }

func startLoop(t *testing.T) *worker.Loop {
	l, err := worker.New(worker.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	t.Cleanup(func() {
		l.Stop()
		<-ended
		l.Close()
	})
	return l
}

func TestAbort(t *testing.T) {
	l := startLoop(t)
	s := &Stream{Loop: l}
	first, second := &Error{Flag: NoRoute}, &Error{Flag: LocalReset}
	result := make(chan []error, 1)
	l.Do(func() {
		l.Go(runner(func(co *worker.Coroutine) {
			s.Co = co
			co.Wake()
			result <- []error{s.Wait(co), s.Wait(co), s.Wait(co), s.Await(func() error { return io.EOF })}
		}))
	})
	l.Do(func() { s.Abort(first); s.Abort(second) })
	select {
	case got := <-result:
		if got[0] != nil || got[1] != error(first) || got[2] != error(first) || got[3] != io.EOF || s.Aborted() != first {
			t.Errorf("%v", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Abort does not end the wait")
	}
	// Before it has a coroutine.
	var early Stream
	early.Abort(second)
	if err := early.Wait(nil); err != error(second) {
		t.Error(err)
	}
}

type timed struct{ fired chan struct{} }

func (x *timed) Expire(*worker.Timer) { x.fired <- struct{}{} }

func TestSetIdleArmsTheTimer(t *testing.T) {
	l := startLoop(t)
	x := &timed{make(chan struct{}, 1)}
	var timer worker.Timer
	timer.Init(x)
	s := &Stream{Loop: l, IdleTimer: &timer}
	l.Do(func() {
		s.SetIdle(time.Hour)
		s.SetIdle(time.Millisecond)
		s.SetIdle(time.Hour) // looks earlier, and finds then that it has time
		if s.IdleTimeout != time.Hour || !timer.Armed() {
			t.Error("the timer is not armed")
		}
	})
	select {
	case <-x.fired:
	case <-time.After(10 * time.Second):
		t.Fatal("the timer does not fire")
	}
}
