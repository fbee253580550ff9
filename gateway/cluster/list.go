package cluster

import (
	"iter"
	"slices"
)

// List is endpoints by their indexes. It never changes. It is kept in pieces, so
// that a list that differs in one endpoint shares all but one or two of them
// with the one before.
type List struct {
	pieces [][]*Endpoint // all full but the last
	n      int
}

const (
	pieceBits = 8
	pieceSize = 1 << pieceBits
)

// Len is how many there are.
func (l *List) Len() int { return l.n }

// At is the endpoint with an index.
func (l *List) At(i int) *Endpoint { return l.pieces[i>>pieceBits][i&(pieceSize-1)] }

// All are the endpoints in order.
func (l *List) All() iter.Seq[*Endpoint] {
	return func(yield func(*Endpoint) bool) {
		for _, piece := range l.pieces {
			for _, e := range piece {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// draft is a list that is being made out of another one.
type draft struct {
	List
	own []bool // the pieces that are not the other one's
}

func (l *List) draft() *draft {
	return &draft{List{slices.Clone(l.pieces), l.n}, make([]bool, len(l.pieces), len(l.pieces)+1)}
}

// piece is the piece with a number, to be written to.
func (d *draft) piece(k int) []*Endpoint {
	if !d.own[k] {
		d.pieces[k] = append(make([]*Endpoint, 0, pieceSize), d.pieces[k]...)
		d.own[k] = true
	}
	return d.pieces[k]
}

// push adds an endpoint behind the others.
func (d *draft) push(e *Endpoint) {
	k := d.n >> pieceBits
	if k == len(d.pieces) {
		d.pieces, d.own = append(d.pieces, make([]*Endpoint, 0, pieceSize)), append(d.own, true)
	}
	d.pieces[k] = append(d.piece(k), e)
	d.n++
}

// put puts an endpoint in the place of another.
func (d *draft) put(i int, e *Endpoint) { d.piece(i >> pieceBits)[i&(pieceSize-1)] = e }

// pop takes the last endpoint away, and returns it.
func (d *draft) pop() *Endpoint {
	d.n--
	k := d.n >> pieceBits
	piece := d.piece(k)
	last := piece[len(piece)-1]
	piece[len(piece)-1] = nil
	if d.pieces[k] = piece[:len(piece)-1]; len(d.pieces[k]) == 0 {
		d.pieces, d.own = d.pieces[:k], d.own[:k]
	}
	return last
}

// listOf makes a list.
func listOf(endpoints []*Endpoint) List {
	l := List{n: len(endpoints)}
	for piece := range slices.Chunk(endpoints, pieceSize) {
		l.pieces = append(l.pieces, piece)
	}
	return l
}

func (l *List) equal(other *List) bool {
	return l.n == other.n && slices.EqualFunc(l.pieces, other.pieces, slices.Equal[[]*Endpoint])
}
