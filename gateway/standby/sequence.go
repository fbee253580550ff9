package standby

// Sequence gives out the numbers from 0 to 99, each of them once in a hundred
// calls: who takes what is below p for one side has exactly p of a hundred there.
// Within a hundred the numbers of a range come at even distances (steps of 61, near
// the golden section of 100); each hundred begins elsewhere, so that requests that
// follow a pattern of their own, every fourth for one page say, do not meet the same side
// for ever. It is not safe for concurrent use: each worker has its own.
type Sequence struct {
	at, left uint32
	random   uint64
}

const step = 61

// NewSequence makes a sequence. Those of different seeds begin at different places.
func NewSequence(seed uint64) Sequence { return Sequence{random: seed} }

// Next is the next number.
func (s *Sequence) Next() int {
	if s.left == 0 {
		s.left = 100
		s.at = uint32(s.draw() % 100)
	}
	s.left--
	n := s.at
	if s.at += step; s.at >= 100 {
		s.at -= 100
	}
	return int(n)
}

// draw is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
// Generators, 2014).
func (s *Sequence) draw() uint64 {
	s.random += 0x9e3779b97f4a7c15
	z := s.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
