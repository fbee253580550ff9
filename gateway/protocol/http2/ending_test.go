package http2

import (
	"fmt"
	"math/rand/v2"
	"testing"

	xhttp2 "golang.org/x/net/http2"
	"longmen/gateway/stream"
)

// swallow reads what comes, in the background, and tells of each frame's end of a stream.
func (rc *rawClient) swallow() (ends <-chan uint32, gone <-chan error) {
	e, g := make(chan uint32, 4096), make(chan error, 1)
	go func() {
		for {
			f, err := rc.ReadFrame()
			if err != nil {
				g <- err
				return
			}
			switch f := f.(type) {
			case *xhttp2.RSTStreamFrame:
				e <- f.StreamID
			case *xhttp2.DataFrame:
				if f.StreamEnded() {
					e <- f.StreamID
				}
			case *xhttp2.MetaHeadersFrame:
				if f.StreamEnded() {
					e <- f.StreamID
				}
			case *xhttp2.GoAwayFrame:
				g <- fmt.Errorf("GOAWAY: %v %s", f.ErrCode, f.DebugData())
				return
			}
		}
	}()
	return e, g
}

// Whatever way streams end, the client may send as much on the connection as before.
func TestEveryEndingGivesTheWindowBack(t *testing.T) {
	ts := serve(t, func(cfg *Config) {
		cfg.Control, cfg.Resets = Rate{}, Rate{}
		inner := cfg.Handle
		cfg.Handle = func(s *stream.Stream) (*stream.Response, error) {
			switch string(s.Request.Path) {
			case "/pull-one": // takes a piece, and answers while it holds it
				if _, err := s.Request.Body.Next(s.Co); err != nil {
					return nil, err
				}
			case "/stop": // takes a piece, wants no more, and waits for the client to go
				if _, err := s.Request.Body.Next(s.Co); err != nil {
					return nil, err
				}
				s.Request.Body.Stop()
				for {
					if err := s.Wait(s.Co); err != nil {
						return nil, err
					}
				}
			case "/pull-panic":
				if _, err := s.Request.Body.Next(s.Co); err == nil {
					panic("on purpose")
				}
			}
			return inner(s)
		}
	})
	rc := ts.dial(true)
	rc.WriteWindowUpdate(0, 1<<30)
	_, gone := rc.swallow()
	random := rand.New(rand.NewPCG(1, 2))
	paths := []string{"/echo", "/slow", "/early", "/stop", "/pull-one", "/pull-panic", "/nothing", "/size/100000"}
	sent := 0
	id := uint32(1)
	for range 600 {
		// The client sends what the connection's window allows, as one that is well-behaved.
		until(t, ts.l, "there is window", func() bool {
			c := ts.srv.connections
			return c != nil && c.recv.left > 100_000 && c.live < 90
		})
		fields := []string{}
		if random.IntN(4) == 0 {
			fields = append(fields, "content-length", fmt.Sprint(random.IntN(30_000)))
		}
		if random.IntN(10) == 0 {
			fields = append(fields, "connection", "close")
		}
		rc.request(id, false, "POST", paths[random.IntN(len(paths))], fields...)
		for range random.IntN(5) {
			n := random.IntN(16_000)
			sent += n
			pad := make([]byte, random.IntN(200))
			if random.IntN(3) > 0 {
				rc.WriteData(id, false, text(n))
			} else {
				rc.WriteDataPadded(id, false, text(n), pad)
			}
		}
		switch random.IntN(6) {
		case 0:
			rc.WriteRSTStream(id, xhttp2.ErrCodeCancel)
		case 1:
			rc.WriteData(id, true, nil)
		case 2:
			rc.WriteData(id, true, text(random.IntN(10_000)))
		case 3: // trailers, which are malformed now and then
			rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, EndStream: true, EndHeaders: true, BlockFragment: rc.encode([]string{"x-sum", ":path"}[random.IntN(2)], "1")})
		case 4:
			rc.WriteWindowUpdate(id, 0) // a mistake
		case 5:
			rc.WriteData(id, false, text(3))
			rc.WriteRSTStream(id, xhttp2.ErrCodeCancel)
		}
		if random.IntN(8) == 0 { // or the client gives up whatever is open
			for k := uint32(1); k <= id; k += 2 {
				if k+200 > id {
					rc.WriteRSTStream(k, xhttp2.ErrCodeCancel)
				}
			}
		}
		id += 2
		select {
		case err := <-gone:
			t.Fatalf("after %d streams: %v", id/2, err)
		default:
		}
	}
	for k := uint32(1); k < id; k += 2 {
		rc.WriteRSTStream(k, xhttp2.ErrCodeCancel)
	}
	until(t, ts.l, "the streams are over and the window is whole", func() bool {
		c := ts.srv.connections
		return c.live == 0 && c.flows.count == 0 && !c.data.open && c.recv.left+c.recv.owed == c.recv.size && c.promised == 0 && c.queue.count == 0 && c.queue.turn == nil
	})
	if sent < 1<<22 {
		t.Errorf("only %d octets were sent", sent)
	}
	// And a whole window can be sent again.
	whole := 0
	ts.l.Do(func() { whole = ts.srv.connections.recv.left })
	for ; whole > 0; id += 2 {
		rc.request(id, false, "POST", "/slow")
		for n := 0; n < 1<<16 && whole > 0; {
			k := min(16384, 1<<16-n, whole)
			rc.WriteData(id, false, text(k))
			n, whole = n+k, whole-k
		}
	}
	until(t, ts.l, "the window is used up", func() bool { return ts.srv.connections.recv.left == 0 })
	select {
	case err := <-gone:
		t.Fatal(err)
	default:
	}
	rc.Close()
}

// No stream loses its turn: many with any windows, urgencies, updates and resets all come
// to their end when the client lets them, and says nothing more.
func TestEveryStreamGetsItsTurn(t *testing.T) {
	ts := serve(t, func(cfg *Config) { cfg.Control, cfg.Resets = Rate{}, Rate{} })
	for round := range uint64(8) {
		random := rand.New(rand.NewPCG(round, 1))
		rc := ts.dial(false)
		rc.greet(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: uint32(random.IntN(70_000))})
		ends, gone := rc.swallow()
		last := uint32(0)
		reset := map[uint32]bool{}
		for range 300 {
			any := uint32(random.IntN(int(last/2)+1))*2 + 1
			switch k := random.IntN(12); {
			case last < 2*90 && (last == 0 || k < 4):
				var fields []string
				if random.IntN(2) == 0 {
					fields = append(fields, "priority", fmt.Sprintf("u=%d%s", random.IntN(8), []string{"", ", i"}[random.IntN(2)]))
				}
				last = last + 1 | 1
				rc.request(last, true, "GET", fmt.Sprint("/size/", random.IntN([]int{100, 9_000, 200_000}[random.IntN(3)])), fields...)
			case any > last:
			case k == 4:
				rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: uint32(random.IntN(70_000))})
			case k == 5:
				rc.WriteRSTStream(any, xhttp2.ErrCodeCancel)
				reset[any] = true
			case k == 6:
				rc.WriteRawFrame(xhttp2.FrameType(framePriorityUpdate), 0, 0, append([]byte{0, 0, 0, byte(any)}, fmt.Sprint("u=", random.IntN(8))...))
			case k < 9:
				rc.WriteWindowUpdate(0, uint32(1+random.IntN(60_000)))
			default:
				rc.WriteWindowUpdate(any, uint32(1+random.IntN(30_000)))
			}
		}
		rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 25})
		rc.WriteWindowUpdate(0, 1<<30)
		ended := map[uint32]bool{}
		for k := uint32(1); k <= last; k += 2 {
			for !ended[k] && !reset[k] {
				select {
				case id := <-ends:
					ended[id] = true
				case err := <-gone:
					t.Fatalf("round %d: stream %d of %d does not end: %v", round, k, last, err)
				}
			}
		}
		rc.Close()
	}
}

// The turn is not lost when it cannot be given at once because this turn of the loop has
// much to send.
func TestTurnWaitsForOutput(t *testing.T) {
	ts := serve(t, func(cfg *Config) { cfg.Control = Rate{} })
	rc := ts.dial(true)
	rc.request(1, true, "GET", "/size/100000")
	got := 0
	count := func(want int) {
		t.Helper()
		rc.until(func(f xhttp2.Frame) bool {
			if d, ok := f.(*xhttp2.DataFrame); ok {
				got += len(d.Data())
			}
			return got == want
		})
	}
	count(1<<16 - 1)
	rc.request(3, true, "GET", "/size/1000")
	until(t, ts.l, "a stream waits for the connection's window", func() bool { return ts.srv.connections.queue.count == 1 })
	var burst []byte
	for range 1500 {
		burst = appendPing(burst, false, 1)
	}
	burst = appendWindowUpdate(burst, 0, 1<<20)
	rc.Write(burst)
	count(1<<16 - 1 + 1000)
}
