package replay

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

func hello(n int) []byte {
	b := make([]byte, 32)
	binary.BigEndian.PutUint64(b, uint64(n))
	return b
}

func TestFirst(t *testing.T) {
	const life = 20 * time.Second
	r := New(life)
	for i, c := range []struct {
		hello       int
		after       time.Duration
		first, full bool
	}{
		{1, 0, true, false},
		{1, 0, false, false},
		{1, life, false, false},
		{2, life - step/2, true, false}, // another worker's clock
		{2, life, false, false},
		{3, 0, false, false}, // the clock was set back
		{3, life, true, false},
		{4, life, false, true},
		{4, life + 2*step, false, true}, // the first ones are of the old generation
		{1, life + 2*step, false, false},
		{3, 2*life - step, false, false},
		{4, 2*life + 4*step, true, false},
		{5, 9 * life, true, false},
		{4, 9 * life, true, false},
		{1, 9 * life, true, false},
		{6, 9 * life, false, true},
	} {
		if first, full := r.First(hello(c.hello), noon.Add(c.after), 3); first != c.first || full != c.full {
			t.Errorf("%d: first %v, full %v; want %v, %v", i, first, full, c.first, c.full)
		}
	}
	if first, _ := r.First(make([]byte, 15), noon.Add(10*life), 3); first {
		t.Error("a value that is no hello's")
	}
}

// Whatever the times, a hello is never the first twice within its life.
func TestLife(t *testing.T) {
	const life = 20 * time.Second
	for apart := time.Duration(0); apart <= life; apart += life / 16 {
		for began := time.Duration(0); began <= 3*life; began += life / 16 {
			r := New(life)
			r.First(hello(0), noon, 9)
			if first, _ := r.First(hello(1), noon.Add(began), 9); !first {
				t.Fatal("not the first")
			}
			r.First(hello(2), noon.Add(began+apart/2), 9)
			if first, _ := r.First(hello(1), noon.Add(began+apart), 9); first {
				t.Fatalf("again the first %s after %s", apart, began)
			}
		}
	}
}

func TestTogether(t *testing.T) {
	r := New(time.Minute)
	var firsts atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 1000 {
				if first, _ := r.First(hello(i), noon, 1000); first {
					firsts.Add(1)
				}
			}
		})
	}
	all.Wait()
	if firsts.Load() != 1000 {
		t.Errorf("%d of 1000 were the first", firsts.Load())
	}
}

func TestOrigin(t *testing.T) {
	if one, other := New(time.Second), New(time.Second); one.Origin() == other.Origin() {
		t.Error("two registers have one name")
	}
}
