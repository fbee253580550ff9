package sign

import "sync/atomic"

// A Flow is the queue of one key, or of whatever else must not starve others,
// in one Pool. Its zero value is ready; it must not be copied.
type Flow struct {
	queued      atomic.Int64 // tasks accepted and not yet taken
	first, last *Task
	next        *Flow // in the ring
}

// A ring holds the flows that have tasks. They take turns: one task of the flow at the
// front, which then goes to the back. So a flow with one task waits for at
// most one task of each other flow, however many those have.
type ring struct {
	front, back *Flow
}

func (r *ring) add(t *Task) {
	f := t.Flow
	t.next = nil
	if f.first != nil {
		f.last.next = t
		f.last = t
		return
	}
	f.first, f.last = t, t
	r.push(f)
}

func (r *ring) push(f *Flow) {
	f.next = nil
	if r.front == nil {
		r.front = f
	} else {
		r.back.next = f
	}
	r.back = f
}

// take removes the next task, nil when there is none.
func (r *ring) take() *Task {
	f := r.front
	if f == nil {
		return nil
	}
	r.front = f.next
	t := f.first
	if f.first = t.next; f.first == nil {
		f.last, f.next = nil, nil
	} else {
		r.push(f)
	}
	t.next = nil
	return t
}
