package balance

// maxScheduleWork bounds the additions that computing a schedule may take, to
// well below a tenth of a millisecond.
const maxScheduleWork = 1 << 16

// schedule plays a precomputed sequence again and again.
type schedule struct {
	sequence []uint32
	n, next  int
}

func (s *schedule) Pick(r *Request) int {
	exclude := r.excluded()
	if exclude == nil {
		return s.step()
	}
	for range s.n {
		if i := s.step(); !exclude(i) {
			return i
		}
	}
	return scan(s.n, int(s.sequence[s.next]), exclude)
}

func (s *schedule) step() int {
	i := s.sequence[s.next]
	if s.next++; s.next == len(s.sequence) {
		s.next = 0
	}
	return int(i)
}

// smooth computes one cycle of smooth weighted round robin: at every step each
// endpoint gains its weight, the richest (the first of equals) is picked and
// pays the sum of all weights. A heavy endpoint's turns are so spread evenly
// over the cycle. It returns nil when the cycle is too long to be laid out.
func smooth(o *Options) []uint32 {
	n := uint64(len(o.Weights))
	divisor := uint64(0)
	for i := range o.Weights {
		divisor = gcd(o.weight(i), divisor)
	}
	total := uint64(0)
	for i := range o.Weights {
		total += o.weight(i) / divisor
	}
	if total > maxScheduleWork/n {
		return nil
	}
	sequence := make([]uint32, total)
	wealth := make([]int64, n)
	for step := range sequence {
		best := 0
		for i := range wealth {
			wealth[i] += int64(o.weight(i) / divisor)
			if wealth[i] > wealth[best] {
				best = i
			}
		}
		wealth[best] -= int64(total)
		sequence[step] = uint32(best)
	}
	return sequence
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
