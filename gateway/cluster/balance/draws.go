package balance

import "math/rand/v2"

// draws are what LeastRequest and PeakEWMA compare: some of the list, by weight.
type draws struct {
	random  *random
	weights []uint32
	others  int // how many are drawn after the first
}

func makeDraws(o *Options, source *rand.PCG) draws {
	return draws{random: makeRandom(o, source), weights: o.Weights, others: o.choices() - 1}
}

// choices is how many endpoints are compared.
func (o *Options) choices() int { return max(o.Choices, 2) }

// comparesAll reports that no endpoint needs to be drawn.
func (o *Options) comparesAll() bool { return len(o.Weights) <= o.choices() }

// redraws is how often another draw is made for one that gave the same endpoint:
// with few endpoints a slow one would get far too much if it were compared with itself.
const redraws = 4

// other draws an endpoint to compare best with, or best if it comes again and again.
func (d *draws) other(best int) int {
	for range redraws {
		if i := d.random.draw(); i != best {
			return i
		}
	}
	return best
}

// ties chooses among equals: when each was given in turn, the one taken last is each of them
// with the probability of its share of their weights.
type ties struct {
	source *rand.PCG
	sum    uint64
}

func (t *ties) begin() { t.sum = 0 }

func (t *ties) take(weight uint32) bool {
	w := uint64(max(weight, 1))
	t.sum += w
	return t.sum == w || below(t.source, t.sum) < w
}
