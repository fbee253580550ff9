package balance

import (
	"math"
	"math/rand/v2"
)

// peakEWMA draws some endpoints by weight and takes the one where a request
// waits least, by what is known: average response time × (requests under way for its
// weight + 1). It is Finagle's balancer of that name. The average shrinks while
// nothing is heard of an endpoint, so that one that was slow is tried again.
//
// An endpoint of which nothing is known is taken at once when it is drawn and
// has no request yet, and after that only if the others are unknown too: one request
// at a time, until its first answer.
type peakEWMA struct {
	draws
	ties    ties
	all     bool      // of a short list all are compared
	part    []float64 // mean weight / weight; nil: equal weights
	decay   float64   // in ticks
	load    func(i int) int64
	latency func(i int) *Latency
	now     func() int64
}

// unknown is the average, in nanoseconds, of an endpoint of which nothing is known
// and that has requests.
const unknown = 1e18

func newPeakEWMA(o *Options, source *rand.PCG) Balancer {
	return &peakEWMA{
		draws: makeDraws(o, source), ties: ties{source: source}, all: o.comparesAll(),
		part: o.Table.parts, decay: o.PeakEWMA.decay(),
		load: o.Load, latency: o.Latency, now: o.Now,
	}
}

func (p *peakEWMA) Pick(r *Request) int {
	exclude := r.excluded()
	tick := tickOf(p.now())
	if p.all {
		return p.leastOfAll(exclude, tick)
	}
	best := p.random.pick(exclude)
	if best < 0 {
		return -1
	}
	least := p.cost(best, tick)
	for range p.others {
		i := p.other(best)
		if i == best || exclude != nil && exclude(i) {
			continue
		}
		if cost := p.cost(i, tick); cost < least {
			best, least = i, cost
		}
	}
	return best
}

func (p *peakEWMA) leastOfAll(exclude func(int) bool, tick uint32) int {
	best, least := -1, math.Inf(1)
	for i := range p.weights {
		if exclude != nil && exclude(i) {
			continue
		}
		cost := p.cost(i, tick)
		if cost < least {
			p.ties.begin()
		}
		if cost <= least && p.ties.take(p.weights[i]) {
			best, least = i, cost
		}
	}
	return best
}

// cost is about how long a request would wait for endpoint i. Weights count for
// those that are under way alone: the first request of a light one waits no
// longer than a heavy one's.
func (p *peakEWMA) cost(i int, tick uint32) float64 {
	requests := float64(max(p.load(i), 0))
	wait, known := p.latency(i).wait(tick, p.decay)
	if !known {
		if requests == 0 {
			return 0
		}
		wait = unknown
	}
	if p.part != nil {
		requests *= p.part[i]
	}
	return wait * (requests + 1)
}
