package scenario

import (
	"testing"

	"longmen/conformance/harness"
)

// startOrigin runs a raw origin until the test ends.
func startOrigin(t testing.TB, script harness.Script) *harness.Origin {
	t.Helper()
	o, err := harness.StartOrigin(script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o
}

// named answers everything with its name and the request line.
func named(t testing.TB, name string) *harness.Origin {
	t.Helper()
	return startOrigin(t, func(x *harness.Exchange) {
		if x.ReadBody() == nil {
			x.Answer(name + " " + x.Request.Method + " " + x.Request.Target)
		}
	})
}

// A holding origin answers a request when the test says so.
type holding struct {
	*harness.Origin
	t     testing.TB
	came  chan *held
	ended chan struct{}
}

// held is a request whose head the origin has.
type held struct {
	*harness.Exchange
	answered chan struct{}
}

// done ends the script of the request.
func (h *held) done() { close(h.answered) }

func startHolding(t testing.TB) *holding {
	t.Helper()
	h := &holding{t: t, came: make(chan *held, 1024), ended: make(chan struct{})}
	h.Origin = startOrigin(t, func(x *harness.Exchange) {
		r := &held{x, make(chan struct{})}
		h.came <- r
		select {
		case <-r.answered:
		case <-h.ended:
			x.Close()
		}
	})
	t.Cleanup(func() { close(h.ended) })
	return h
}

// next waits for the next request.
func (h *holding) next() *held {
	h.t.Helper()
	var r *held
	eventually(h.t, "a request at the origin", func() bool {
		select {
		case r = <-h.came:
			return true
		default:
			return false
		}
	})
	return r
}

// answer answers a request whole.
func (r *held) answer(body string) {
	if r.ReadBody() == nil {
		r.Answer(body)
	}
	r.done()
}
