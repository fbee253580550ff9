package http2

import (
	"testing"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// crowd serves requests of which each takes a while to begin, and returns in turns
// how many began in which turn of the loop.
func crowd(t *testing.T) (ts *testServer, turns map[int]int) {
	turn := 0
	turns = map[int]int{}
	ts = serve(t, func(cfg *Config) {
		begin := func(s *stream.Stream) (*stream.Response, error) {
			turns[turn]++
			for began := s.Loop.Clock(); s.Loop.Clock()-began < startTime/2; {
			}
			return s.Respond(200, "text/plain", []byte("ok")), nil
		}
		cfg.Inline = &stream.Inline{Begin: begin, Poll: begin, Resume: func(s *stream.Stream) (*stream.Response, error) { return nil, s.Aborted() }}
	})
	ts.l.Do(func() { ts.l.EachTurn(func(int64) { turn++ }) })
	return ts, turns
}

// Requests that came at once do not begin at once when that takes long: others have
// their turn in between.
func TestStreamsStartInTurns(t *testing.T) {
	ts, turns := crowd(t)
	rc := ts.dial(true)
	const n = 60
	var all []byte
	for i := range n {
		block := rc.requestBlock("/")
		all = append(appendFrame(all, len(block), frameHeaders, flagEndHeaders|flagEndStream, uint32(2*i+1)), block...)
	}
	rc.Write(all)
	ts.lines(n)
	ts.l.Do(func() {
		for turn, began := range turns {
			if began > 3*startsPerClock { // as events came, and by Burn those that were left and those that came meanwhile
				t.Errorf("%d streams began in turn %d", began, turn)
			}
		}
	})
}

// Requests whose turn has not come are over with their connection, which is gone
// only after them.
func TestEndBeforeTheStart(t *testing.T) {
	for _, test := range []struct {
		name string
		last []byte
	}{
		{"a broken frame", []byte{0, 0, 1, byte(framePing), 0, 0, 0, 0, 0, 0}},
		{"the client leaves", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			ts, _ := crowd(t)
			rc := ts.dial(true)
			const n = 60
			var all []byte
			for i := range n {
				block := rc.requestBlock("/")
				all = append(appendFrame(all, len(block), frameHeaders, flagEndHeaders|flagEndStream, uint32(2*i+1)), block...)
			}
			rc.Write(append(all, test.last...))
			if test.last != nil {
				ts.lines(n)
			}
			rc.Close()
			until(t, ts.l, "the connection is gone", func() bool { return ts.closed == 1 })
		})
	}
}

// A connection whose last look was cut short waits for the end of the turn when the
// turn is old, and one that asked for little does not.
func TestGreedyConnectionsGoOnLater(t *testing.T) {
	for _, greedy := range []bool{false, true} {
		ts := serve(t, nil)
		rc := ts.dial(true)
		rc.request(1, true, "GET", "/")
		rc.answer(1)
		ts.l.Do(func() {
			c := ts.srv.connections
			c.greedy = greedy
			for ts.l.Clock()-ts.l.Now() <= turnTime {
			}
			c.Ready(worker.Readable)
			if c.resting != greedy {
				t.Errorf("greedy %v: it rests: %v", greedy, c.resting)
			}
		})
		rc.request(3, true, "GET", "/")
		rc.answer(3)
		ts.l.Do(func() {
			if c := ts.srv.connections; c.greedy || c.resting {
				t.Errorf("greedy %v: after a look at all there was: greedy %v, resting %v", greedy, c.greedy, c.resting)
			}
		})
	}
}
