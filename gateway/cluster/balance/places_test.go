package balance

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// list is a list of endpoints that have keys.
type list struct {
	keys    []string
	weights []uint32
}

func addresses(n int) list {
	l := list{make([]string, n), make([]uint32, n)}
	for i := range n {
		l.keys[i], l.weights[i] = fmt.Sprintf("10.%d.%d.%d:8080", i>>16, i>>8&255, i&255), 1
	}
	return l
}

func ports(first, last int, weights ...uint32) list {
	var l list
	for port := first; port <= last; port++ {
		weight := uint32(1)
		if len(weights) > 0 {
			weight = weights[port-first]
		}
		l.keys, l.weights = append(l.keys, fmt.Sprintf("127.0.0.1:%d", port)), append(l.weights, weight)
	}
	return l
}

func (l list) options(s Settings) Options {
	return Options{Settings: s, Weights: l.weights, Key: func(i int) string { return l.keys[i] }}
}

func (l list) places(algorithm Algorithm, s Settings) places {
	return NewTable(algorithm, l.options(s)).places
}

func ringOf(size uint64) Settings { return Settings{RingHash: RingHashSettings{MinSize: size}} }

// The rings of Envoy's own tests: what it says of each, point by point.
func TestRingIsEnvoys(t *testing.T) {
	type at struct {
		hash uint64
		key  string
	}
	for _, c := range []struct {
		name     string
		list     list
		settings RingHashSettings
		want     []at
	}{
		{"addresses", ports(90, 95), RingHashSettings{MaxSize: 12}, []at{
			{833437586790550860, "127.0.0.1:94"}, {928266305478181108, "127.0.0.1:92"}, {1033482794131418490, "127.0.0.1:90"},
			{3551244743356806947, "127.0.0.1:95"}, {3851675632748031481, "127.0.0.1:93"}, {5583722120771150861, "127.0.0.1:91"},
			{6311230543546372928, "127.0.0.1:91"}, {7700377290971790572, "127.0.0.1:93"}, {13144177310400110813, "127.0.0.1:95"},
			{13444792449719432967, "127.0.0.1:92"}, {15516499411664133160, "127.0.0.1:94"}, {16117243373044804889, "127.0.0.1:90"},
		}},
		{"names", list{[]string{"90", "91", "92", "93", "94", "95"}, []uint32{1, 1, 1, 1, 1, 1}}, RingHashSettings{MaxSize: 12}, []at{
			{1975508444536362413, "95"}, {2376063919839173711, "95"}, {2386806903309390596, "93"}, {6749904478991551885, "94"},
			{6803900775736438537, "93"}, {7225015537174310577, "92"}, {8787465352164086522, "90"}, {11282020843382717940, "92"},
			{13723418369486627818, "91"}, {13776502110861797421, "90"}, {14338313586354474791, "91"}, {15364271037087512980, "94"},
		}},
		{"murmur", ports(80, 85), RingHashSettings{MaxSize: 12, Hash: Murmur2}, []at{
			{1358027074129602068, "127.0.0.1:85"}, {4361834613929391114, "127.0.0.1:83"}, {7224494972555149682, "127.0.0.1:84"},
			{7701421856454313576, "127.0.0.1:81"}, {8649315368077433379, "127.0.0.1:82"}, {8739448859063030639, "127.0.0.1:84"},
			{9887544217113020895, "127.0.0.1:81"}, {10150910876324007731, "127.0.0.1:82"}, {15168472011420622455, "127.0.0.1:83"},
			{15427156902705414897, "127.0.0.1:80"}, {16375050414328759093, "127.0.0.1:85"}, {17613279263364193813, "127.0.0.1:80"},
		}},
		{"uneven", ports(80, 81), RingHashSettings{MinSize: 3, MaxSize: 4}, []at{
			{5454692015285649509, "127.0.0.1:80"}, {7859399908942313493, "127.0.0.1:81"},
			{13838424394637650569, "127.0.0.1:80"}, {16064866803292627174, "127.0.0.1:81"},
		}},
		{"weights", ports(90, 92, 1, 2, 3), RingHashSettings{MaxSize: 6}, []at{
			{928266305478181108, "127.0.0.1:92"}, {4443673547860492590, "127.0.0.1:92"}, {5583722120771150861, "127.0.0.1:91"},
			{6311230543546372928, "127.0.0.1:91"}, {13444792449719432967, "127.0.0.1:92"}, {16117243373044804889, "127.0.0.1:90"},
		}},
	} {
		ring := c.list.places(RingHash, Settings{RingHash: c.settings}).(*ring)
		var got []at
		for _, p := range ring.points {
			got = append(got, at{p.hash, c.list.keys[p.index]})
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", c.name, got)
		}
		for i, p := range c.want {
			before := c.want[(i+len(c.want)-1)%len(c.want)]
			for hash, want := range map[uint64]string{p.hash: p.key, p.hash - 1: p.key, before.hash + 1: p.key} {
				if key := c.list.keys[ring.at(ring.find(hash))]; key != want {
					t.Errorf("%s: %d is %s's, want %s", c.name, hash, key, want)
				}
			}
		}
		for _, hash := range []uint64{0, math.MaxUint64} {
			if key := c.list.keys[ring.at(ring.find(hash))]; key != c.want[0].key {
				t.Errorf("%s: %d is %s's, want %s", c.name, hash, key, c.want[0].key)
			}
		}
	}
}

// 6,000 even hashes over 1, 2 and 3 parts of 6,144 points, with Envoy's own counts.
func TestLargeRingIsEnvoys(t *testing.T) {
	ring := ports(90, 92, 1, 2, 3).places(RingHash, ringOf(6144)).(*ring)
	if len(ring.points) != 6144 {
		t.Fatalf("%d points", len(ring.points))
	}
	got := make([]int, 3)
	for i := range uint64(6000) {
		got[ring.at(ring.find(i*(math.MaxUint64/6000)))]++
	}
	if !slices.Equal(got, []int{987, 1932, 3081}) {
		t.Errorf("%v", got)
	}
}

// The tables of Envoy's own tests.
func TestMaglevIsEnvoys(t *testing.T) {
	for _, c := range []struct {
		list list
		size uint64
		want []int
	}{
		{ports(90, 95), 7, []int{2, 4, 0, 1, 5, 0, 3}},
		{list{[]string{"90", "91", "92", "93", "94", "95"}, []uint32{1, 1, 1, 1, 1, 1}}, 7, []int{2, 5, 0, 3, 4, 1, 0}},
		{ports(90, 91, 1, 2), 17, []int{1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1}},
		{ports(90, 91), 17, []int{1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1}},
		{ports(90, 91, 8, 2), 17, []int{1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0}},
	} {
		m := c.list.places(Maglev, Settings{Maglev: MaglevSettings{TableSize: c.size}})
		for hash := range 3 * c.size {
			if got := m.at(m.find(hash)); got != c.want[hash%c.size] {
				t.Errorf("%v %v: %d is %d's, want %d", c.list.keys, c.list.weights, hash, got, c.want[hash%c.size])
			}
		}
	}
}

// With weights as far apart as can be everyone has a place, and the heaviest the rest.
func TestMaglevLopsided(t *testing.T) {
	l := addresses(1024)
	l.weights[77] = 1 << 30
	got := make([]int, 1024)
	m := l.places(Maglev, Settings{})
	for place := range uint64(DefaultMaglevSize) {
		got[m.at(place)]++
	}
	for i, n := range got {
		if i != 77 && n != 1 {
			t.Errorf("endpoint %d has %d places", i, n)
		}
	}
	if got[77] != DefaultMaglevSize-1023 {
		t.Errorf("the heaviest has %d places", got[77])
	}
}
