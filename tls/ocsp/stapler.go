package ocsp

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"

	"longmen/tls/certificate"
)

// maxFetches bounds the fetches under way at once.
const maxFetches = 4

// Event is what came of a certificate's response.
type Event struct {
	Certificate *certificate.Certificate
	Response    *Response // the one that is stapled now; nil: none
	Err         error     // why there is no newer one; may hold a *RevokedError
	Next        time.Time // of the next try; zero: there is none
}

// Target is a certificate to staple for.
type Target struct {
	Certificate *certificate.Certificate
	// Response, in DER, comes from a file; nil for none. It counts as one that was
	// fetched: a newer one takes its place when half of its life is over.
	Response []byte
}

// Stapler keeps the staples of a set of certificates fresh. A certificate's last
// good response stays until it expires, whatever fails.
type Stapler struct {
	client  Doer
	report  func(Event)
	changed chan struct{}

	mu      sync.Mutex
	entries map[[32]byte]*entry // by fingerprint: a certificate of many names is fetched once
	queue   queue               // of those that no fetch is under way for
}

// entry is one certificate, in however many forms it is loaded.
type entry struct {
	fingerprint [32]byte
	holders     []*certificate.Certificate
	source      *certificate.Certificate // the holder to fetch for; nil: none can be
	current     *Response
	staple      *certificate.Staple // current's form for the holders
	failures    int
	due         time.Time // zero: as soon as there is a place
	busy        bool      // a fetch is under way
}

// NewStapler makes a Stapler that fetches through client, and reports what came
// of each certificate to report, which may be nil, and must not block.
func NewStapler(client Doer, report func(Event)) *Stapler {
	if report == nil {
		report = func(Event) {}
	}
	return &Stapler{client: client, report: report, changed: make(chan struct{}, 1), entries: make(map[[32]byte]*entry)}
}

// Watch sets the certificates to staple for, in place of those before. What was
// loaded anew but is the same certificate gets the staple that there is already,
// before Watch returns. Certificates that name no responder, and SM2's, which are
// not supported, are passed over but for a response of their own from a file.
func (s *Stapler) Watch(targets []Target) {
	now := time.Now()
	var events []Event
	s.mu.Lock()
	before := s.entries
	s.entries, s.queue = make(map[[32]byte]*entry, len(targets)), s.queue[:0]
	for _, t := range targets {
		if event, ok := s.add(t, before, now); ok {
			events = append(events, event)
		}
	}
	heap.Init(&s.queue)
	s.mu.Unlock()
	for _, event := range events {
		s.report(event)
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// add takes a target into the set; the event, if any, is about its file.
func (s *Stapler) add(t Target, before map[[32]byte]*entry, now time.Time) (event Event, ok bool) {
	c := t.Certificate
	e := s.entries[c.Fingerprint]
	if e == nil {
		if e = before[c.Fingerprint]; e == nil {
			e = &entry{fingerprint: c.Fingerprint}
		}
		e.holders, e.source = nil, nil
		s.entries[c.Fingerprint] = e
	}
	e.holders = append(e.holders, c)
	if e.source == nil && fetchable(c) {
		e.source = c
		if !e.busy {
			s.queue = append(s.queue, e)
		}
	}
	if t.Response != nil {
		r, err := Parse(t.Response, c.Chain, now)
		e.take(r, err, now)
		event = Event{Certificate: c, Response: e.current, Err: err}
	}
	if e.staple != nil {
		c.SetStaple(e.staple)
	}
	return event, t.Response != nil
}

// take makes r the response of e unless it has a newer one, or none if err says
// that the certificate was revoked.
func (e *entry) take(r *Response, err error, now time.Time) {
	if _, revoked := errors.AsType[*RevokedError](err); revoked {
		e.give(nil)
	}
	if err != nil {
		return
	}
	if old := e.current; old == nil || r.ThisUpdate.After(old.ThisUpdate) || !now.Before(old.NextUpdate) {
		e.give(r)
	}
	e.failures, e.due = 0, e.current.refreshAt(now)
}

// give makes r the staple of all holders; nil is none.
func (e *entry) give(r *Response) {
	e.current, e.staple = r, nil
	if r != nil {
		e.staple = &certificate.Staple{DER: r.DER, Expires: r.NextUpdate}
	}
	for _, holder := range e.holders {
		holder.SetStaple(e.staple)
	}
}

func fetchable(c *certificate.Certificate) bool {
	return len(c.OCSPServers) > 0 && c.Kind != certificate.SM2 && len(c.Chain) > 1
}

// result is what a fetch came to.
type result struct {
	entry    *entry
	response *Response
	err      error
}

// Run fetches what is due until ctx ends, whose error it returns. It is to run
// once, in a goroutine of its own.
func (s *Stapler) Run(ctx context.Context) error {
	results := make(chan result)
	running := 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		for running < maxFetches {
			e := s.next(time.Now())
			if e == nil {
				break
			}
			running++
			go s.fetch(ctx, e, results)
		}
		timer.Stop()
		if wait, ok := s.wait(time.Now()); ok && running < maxFetches {
			timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
			for ; running > 0; running-- {
				<-results
			}
			return ctx.Err()
		case r := <-results:
			running--
			s.finish(r, time.Now())
		case <-s.changed:
		case <-timer.C:
		}
	}
}

// next takes the first entry out of the queue, if it is due.
func (s *Stapler) next(now time.Time) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 || s.queue[0].due.After(now) {
		return nil
	}
	e := heap.Pop(&s.queue).(*entry)
	e.busy = true
	return e
}

// wait is how long it is until the first entry is due, if there is one.
func (s *Stapler) wait(now time.Time) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return 0, false
	}
	return max(0, s.queue[0].due.Sub(now)), true
}

func (s *Stapler) fetch(ctx context.Context, e *entry, results chan<- result) {
	s.mu.Lock()
	c := e.source
	s.mu.Unlock()
	r := result{entry: e}
	if c != nil { // else Watch took it away meanwhile
		r.response, r.err = fetch(ctx, s.client, c.OCSPServers, c.Chain)
	}
	results <- r
}

// finish puts a result in place and the entry back into the queue.
func (s *Stapler) finish(r result, now time.Time) {
	e := r.entry
	s.mu.Lock()
	e.busy = false
	if s.entries[e.fingerprint] != e || e.source == nil {
		s.mu.Unlock()
		return // no longer watched
	}
	e.take(r.response, r.err, now)
	if r.err != nil {
		e.failures++
		e.due = retryAt(now, e.failures)
	}
	heap.Push(&s.queue, e)
	event := Event{Certificate: e.source, Response: e.current, Err: r.err, Next: e.due}
	s.mu.Unlock()
	s.report(event)
}

// queue is a heap of entries, the first due first.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push is heap.Interface's.
func (q *queue) Push(x any) { *q = append(*q, x.(*entry)) }

// Pop is heap.Interface's.
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return e
}
