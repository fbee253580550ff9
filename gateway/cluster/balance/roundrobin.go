package balance

import "math/rand/v2"

// Round robin has three forms with the same shares, chosen by what is cheapest:
// equal weights are a plain rotation; weights whose cycle is short get nginx's
// smooth weighted sequence, computed once; long cycles use a heap of deadlines.
func newRoundRobin(o *Options, source *rand.PCG) Balancer {
	if o.Table.equal {
		n := len(o.Weights)
		return &rotation{n: n, next: int(below(source, uint64(n)))}
	}
	if sequence := o.Table.sequence; sequence != nil {
		start := int(below(source, uint64(len(sequence))))
		return &schedule{sequence: sequence, n: len(o.Weights), next: start}
	}
	return newDeadlines(o, source)
}

// rotation takes one index after the other.
type rotation struct{ n, next int }

func (r *rotation) Pick(request *Request) int {
	exclude := request.excluded()
	for range r.n {
		i := r.next
		if r.next++; r.next == r.n {
			r.next = 0
		}
		if exclude == nil || !exclude(i) {
			return i
		}
	}
	return -1
}
