package balance

import (
	"math"
	"math/rand/v2"
)

// peakEWMA draws some endpoints by weight and takes the one where a request
// waits least, by what is known: average response time × (requests under way +
// 1) / weight. It is Finagle's balancer of that name. The average shrinks while
// nothing is heard of an endpoint, so that one that was slow is tried again.
//
// An endpoint of which nothing is known is taken at once when it is drawn and
// has no request yet, and after that only if the others are unknown too: one request
// at a time, until its first answer.
type peakEWMA struct {
	draws
	decay   float64 // in ticks
	load    func(i int) int64
	latency func(i int) *Latency
	now     func() int64
}

// unknown is the average, in nanoseconds, of an endpoint of which nothing is known
// and that has requests.
const unknown = 1e18

func newPeakEWMA(o *Options, source *rand.PCG) Balancer {
	return &peakEWMA{
		draws: makeDraws(o, source), decay: o.PeakEWMA.decay(),
		load: o.Load, latency: o.Latency, now: o.Now,
	}
}

func (p *peakEWMA) Pick(r *Request) int {
	exclude := r.excluded()
	best := p.random.pick(exclude)
	if best < 0 {
		return -1
	}
	tick := uint32(uint64(p.now()) >> tickBits)
	least := p.cost(best, tick)
	for range p.others {
		i := p.random.draw()
		if i == best || exclude != nil && exclude(i) {
			continue
		}
		if cost := p.cost(i, tick); cost < least {
			best, least = i, cost
		}
	}
	return best
}

func (p *peakEWMA) cost(i int, tick uint32) float64 {
	requests := max(p.load(i), 0)
	word := p.latency(i).word.Load()
	if word == 0 && requests == 0 {
		return 0
	}
	average, at := unpack(word)
	wait := float64(unknown)
	if word != 0 {
		wait = float64(average)
		if elapsed := int32(tick - at); elapsed > 0 {
			wait *= math.Exp(-float64(elapsed) / p.decay)
		}
	}
	return wait * float64(requests+1) / float64(max(p.weights[i], 1))
}
