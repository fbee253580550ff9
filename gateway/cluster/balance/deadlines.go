package balance

import (
	"math/bits"
	"math/rand/v2"
	"slices"
)

// deadlines is weighted round robin for any number of endpoints and any
// weights in O(log n): the earliest deadline is first. Endpoint i of weight w
// has w deadlines in each cycle, at the times (k+u)/w for k in [0, w), and the
// endpoint whose next deadline is the earliest is picked. u in [0, 1) is its phase. Times are
// compared as exact fractions, so the shares of a whole cycle are exact too.
//
// Were all phases equal, endpoints of a weight would come in one run; were they
// random, the number of turns up to a time would be so too, and a heavy endpoint among many
// light ones would be as far from its part. So those of a weight divide
// [0, 1) evenly among them, and each worker shifts them by random.
type deadlines struct {
	heap []turn
}

// turn is an endpoint's next deadline: cycle + (position / 2^32) / weight.
type turn struct {
	cycle    uint64
	position uint64 // k in the upper half, u in the lower
	weight   uint32
	index    uint32
}

func newDeadlines(o *Options, source *rand.PCG) Balancer {
	turns, shift := make([]turn, len(o.Weights)), source.Uint64()
	for i := range turns {
		weight := uint32(o.weight(i))
		phase := o.Table.phases[i] + uint32(scatter(shift^uint64(weight)))
		turns[i] = turn{position: uint64(phase), weight: weight, index: uint32(i)}
	}
	return orderDeadlines(turns)
}

// phases are the endpoints' in 2^-32, before they are shifted.
func phases(o *Options) []uint32 {
	order := make([]uint64, len(o.Weights)) // by weight, the upper half
	for i := range order {
		order[i] = o.weight(i)<<32 | uint64(i)
	}
	slices.Sort(order)
	all := make([]uint32, len(order))
	for len(order) > 0 {
		n := 1
		for n < len(order) && order[n]>>32 == order[0]>>32 {
			n++
		}
		for k, i := range order[:n] {
			all[uint32(i)] = uint32(uint64(k) << 32 / uint64(n))
		}
		order = order[n:]
	}
	return all
}

func orderDeadlines(turns []turn) *deadlines {
	d := &deadlines{heap: turns}
	for i := len(d.heap)/2 - 1; i >= 0; i-- {
		d.sink(i)
	}
	return d
}

func (d *deadlines) Pick(r *Request) int {
	exclude := r.excluded()
	if exclude == nil {
		return d.step()
	}
	for range min(len(d.heap), 16) {
		if i := d.step(); !exclude(i) {
			return i
		}
	}
	return scan(len(d.heap), int(d.heap[0].index), exclude)
}

// step takes the earliest turn and puts the endpoint's next one in its place.
func (d *deadlines) step() int {
	first := &d.heap[0]
	picked := int(first.index)
	first.position += 1 << 32
	if uint32(first.position>>32) == first.weight {
		first.position &= 1<<32 - 1
		first.cycle++
	}
	d.sink(0)
	return picked
}

func (d *deadlines) sink(i int) {
	moving := d.heap[i]
	for {
		child := 2*i + 1
		if child >= len(d.heap) {
			break
		}
		if right := child + 1; right < len(d.heap) && d.heap[right].before(&d.heap[child]) {
			child = right
		}
		if !d.heap[child].before(&moving) {
			break
		}
		d.heap[i] = d.heap[child]
		i = child
	}
	d.heap[i] = moving
}

// before orders turns by time.
func (a *turn) before(b *turn) bool {
	if a.cycle != b.cycle {
		return a.cycle < b.cycle
	}
	aHigh, aLow := bits.Mul64(a.position, uint64(b.weight))
	bHigh, bLow := bits.Mul64(b.position, uint64(a.weight))
	return aHigh < bHigh || aHigh == bHigh && aLow < bLow
}
