package filter

import (
	"errors"
	"strings"
	"testing"

	"longmen/gateway/stream"
)

// note is a filter that writes down when it is passed.
type note struct {
	name string
	log  *strings.Builder
	do   func(s *stream.Stream, next stream.Handler) (*stream.Response, error)
}

func (n *note) Serve(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
	n.log.WriteString(n.name + " ")
	if n.do != nil {
		return n.do(s, next)
	}
	resp, err := next(s)
	n.log.WriteString("/" + n.name + " ")
	return resp, err
}

// end is a target with two routes.
type end struct {
	log    *strings.Builder
	rerout Chain
	answer func(s *stream.Stream) (*stream.Response, error)
}

func (e *end) Last(s *stream.Stream) (*stream.Response, error) {
	e.log.WriteString("last ")
	if e.answer != nil {
		return e.answer(s)
	}
	return s.Respond(200, "", nil), nil
}

func (e *end) Route(*stream.Stream) Chain {
	e.log.WriteString("route ")
	return e.rerout
}

func chainOf(filters ...*note) Chain {
	var c Chain
	for _, f := range filters {
		c = append(c, Step{Name: f.name, Place: int(f.name[0] - 'a'), Filter: f})
	}
	return c
}

func TestChainIsPassedThereAndBack(t *testing.T) {
	var log strings.Builder
	a, b, c := &note{name: "a", log: &log}, &note{name: "b", log: &log}, &note{name: "c", log: &log}
	r := NewRun(&end{log: &log})
	for _, want := range []string{"a b c last /c /b /a ", "a b c last /c /b /a "} { // a Run serves many
		log.Reset()
		resp, err := r.Serve(&stream.Stream{}, chainOf(a, b, c))
		if err != nil || resp.Status != 200 || log.String() != want {
			t.Fatalf("%v, %v, %q", resp, err, log.String())
		}
	}
	b.do = func(s *stream.Stream, _ stream.Handler) (*stream.Response, error) {
		return s.Respond(403, "", nil), nil
	}
	log.Reset()
	if resp, _ := r.Serve(&stream.Stream{}, chainOf(a, b, c)); resp.Status != 403 || log.String() != "a b /a " {
		t.Errorf("%d, %q", resp.Status, log.String())
	}
	log.Reset()
	if resp, _ := r.Serve(&stream.Stream{}, nil); resp.Status != 200 || log.String() != "last " {
		t.Errorf("%d, %q", resp.Status, log.String())
	}
}

// A change of route leads around no filter of the new one, and to none twice.
func TestReroute(t *testing.T) {
	var log strings.Builder
	a, b, c, d, e := &note{name: "a", log: &log}, &note{name: "b", log: &log}, &note{name: "c", log: &log}, &note{name: "d", log: &log}, &note{name: "e", log: &log}
	c.do = func(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
		s.Reroute = true
		return next(s)
	}
	target := &end{log: &log, rerout: chainOf(a, b, c, e)}
	r := NewRun(target)
	if _, err := r.Serve(&stream.Stream{}, chainOf(a, c, d)); err != nil || log.String() != "a c route b e last /e /b /a " {
		t.Errorf("%v, %q", err, log.String())
	}
	// Whoever tries again goes the same new way.
	log.Reset()
	tries := 0
	target.answer = func(s *stream.Stream) (*stream.Response, error) {
		if tries++; tries == 1 {
			return nil, errors.New("refused")
		}
		return s.Respond(200, "", nil), nil
	}
	again := func(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
		resp, err := next(s)
		if err != nil {
			log.WriteString("again ")
			return next(s)
		}
		return resp, err
	}
	a.do = again
	if _, err := r.Serve(&stream.Stream{}, chainOf(a, c, d)); err != nil || log.String() != "a c route b e last /e /b again b c route e last /e /b " {
		t.Errorf("%v, %q", err, log.String())
	}
}

type replier struct{}

func (replier) LocalReply(s *stream.Stream, e *stream.Error) *stream.Response {
	return s.Respond(e.Status, "", nil)
}

func TestAnswer(t *testing.T) {
	s := &stream.Stream{Replier: replier{}}
	failing := func(e *stream.Error) stream.Handler {
		return func(*stream.Stream) (*stream.Response, error) { return nil, e }
	}
	e := &stream.Error{Flag: stream.NoRoute, Status: 404}
	if resp, err := Answer(s, failing(e)); err != nil || resp.Status != 404 || s.Record.Err != e {
		t.Errorf("%v, %v, %v", resp, err, s.Record.Err)
	}
	gone := &stream.Error{Side: stream.Downstream}
	if resp, err := Answer(s, failing(gone)); err != error(gone) || resp != nil {
		t.Errorf("%v, %v", resp, err)
	}
	if resp, err := Answer(s, func(s *stream.Stream) (*stream.Response, error) { return s.Respond(200, "", nil), nil }); err != nil || resp.Status != 200 {
		t.Errorf("%v, %v", resp, err)
	}
}

func TestServingAllocatesNothing(t *testing.T) {
	f := pass{}
	chain := Chain{{Place: 0, Filter: f}, {Place: 1, Filter: f}, {Place: 5, Filter: f}}
	var log strings.Builder
	s, r := &stream.Stream{}, NewRun(&quiet{end{log: &log}})
	if n := testing.AllocsPerRun(100, func() { r.Serve(s, chain) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type pass struct{}

func (pass) Serve(s *stream.Stream, next stream.Handler) (*stream.Response, error) { return next(s) }

type quiet struct{ end }

func (*quiet) Last(s *stream.Stream) (*stream.Response, error) { return s.Respond(200, "", nil), nil }

func TestValues(t *testing.T) {
	v := Values{}
	v.Put("text", "x")
	v.Put("empty", "")
	v.Put("list", []string{"a", "b"})
	v.Put("none", []string{})
	v.Put("nothing", nil)
	v.Put("map", Values{})
	v["one"], v["on"], v["n"] = "c", true, int64(3)
	if len(v) != 5 || v.Text("text") != "x" || v.Text("n") != "" || strings.Join(v.Texts("list"), "") != "ab" || strings.Join(v.Texts("one"), "") != "c" || v.List("none") != nil {
		t.Errorf("%v", v)
	}
	if on, ok := v.Flag("on"); !on || !ok {
		t.Error("flag")
	}
	if n, ok := v.Number("n"); n != 3 || !ok {
		t.Error("number")
	}
}
