package balance

import "testing"

// What GNU's std::hash<std::string> says.
func TestMurmur2(t *testing.T) {
	for s, want := range map[string]uint64{
		"": 6142509188972423790, "a": 4993892634952068459, "hello": 2762169579135187400, "longmen": 12501847753841957547,
		"12345678": 10113836418918046885, "127.0.0.1:90_0": 5656417760668758976,
		"The quick brown fox jumps over the lazy dog": 15910076551593770101,
	} {
		if got := murmur2([]byte(s), murmurSeed); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

// Vectors of XXH64 that are published with it.
func TestHash(t *testing.T) {
	for s, want := range map[string]uint64{
		"":    0xef46db3751d8e999,
		"a":   0xd24ec4f1a98c6e5b,
		"abc": 0x44bc2cf5ad770999,
		"Nobody inspects the spammish repetition": 0xfbcea83c8a378bf1,
	} {
		if got := Hash([]byte(s)); got != want {
			t.Errorf("%q: %#x, want %#x", s, got, want)
		}
		if got := HashString(s); got != want {
			t.Errorf("%q as a string: %#x, want %#x", s, got, want)
		}
	}
	if a, b := hashSeeded("a", 1), hashSeeded("a", 2); a == b || a == Hash([]byte("a")) {
		t.Errorf("seeds make %#x and %#x", a, b)
	}
}

func TestCombine(t *testing.T) {
	a, b := Hash([]byte("a")), Hash([]byte("b"))
	switch {
	case Combine(0, a) != a:
		t.Error("the first hash is not itself")
	case Combine(a, b) == Combine(b, a):
		t.Error("the order does not matter")
	case Combine(a, a) == 0:
		t.Error("a hash ends itself")
	case Combine(1<<63, 0) != 1:
		t.Error("a bit is lost")
	}
	if n := testing.AllocsPerRun(100, func() { a = Combine(Hash([]byte("some-user")), HashString("10.0.0.1")) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
