package balance

import (
	"math"
	"math/rand/v2"
)

// biased is least request as Envoy has it for unequal weights: endpoints have
// turns by weight, the earliest deadline first, and the next turn of one that has just
// been picked comes the later the more requests it has:
// (requests+1)^bias / weight.
type biased struct {
	heap []appointment
	pace []float64 // mean weight / weight
	bias float64
	load func(i int) int64
}

type appointment struct {
	at    float64
	index int32
}

// biasedHorizon is when times are counted anew, before they lose precision.
const biasedHorizon = 1 << 32

const maxBias = 100

func newBiased(o *Options, source *rand.PCG) Balancer {
	n := len(o.Weights)
	b := &biased{heap: make([]appointment, n), pace: make([]float64, n), load: o.Load}
	if bias := o.Settings.LeastRequest.Bias; bias > 0 { // neither negative nor NaN
		b.bias = min(bias, maxBias)
	}
	mean := float64(o.Table.sum) / float64(n)
	for i := range n {
		b.pace[i] = mean / float64(o.weight(i))
		u := float64(source.Uint64()>>11) / (1 << 53)
		b.heap[i] = appointment{at: u * b.pace[i], index: int32(i)}
	}
	for i := n/2 - 1; i >= 0; i-- {
		b.sink(i)
	}
	return b
}

func (b *biased) Pick(r *Request) int {
	exclude := r.excluded()
	if exclude == nil {
		return b.step()
	}
	for range min(len(b.heap), 16) {
		if i := b.step(); !exclude(i) {
			return i
		}
	}
	return scan(len(b.heap), int(b.heap[0].index), exclude)
}

func (b *biased) step() int {
	first := &b.heap[0]
	picked := int(first.index)
	if first.at > biasedHorizon {
		begin := first.at
		for i := range b.heap {
			b.heap[i].at -= begin
		}
	}
	requests := float64(max(b.load(picked), 0)) + 1
	if b.bias != 1 {
		requests = math.Pow(requests, b.bias)
	}
	first.at += b.pace[picked] * min(requests, biasedHorizon)
	b.sink(0)
	return picked
}

func (b *biased) sink(i int) {
	moving := b.heap[i]
	for {
		child := 2*i + 1
		if child >= len(b.heap) {
			break
		}
		if right := child + 1; right < len(b.heap) && b.heap[right].at < b.heap[child].at {
			child = right
		}
		if b.heap[child].at >= moving.at {
			break
		}
		b.heap[i] = b.heap[child]
		i = child
	}
	b.heap[i] = moving
}
