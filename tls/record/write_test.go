package record

import (
	"slices"
	"testing"
)

// sizes gives the payloads of the records that n bytes are sealed in.
func sizes(t *testing.T, s *Session, n int) (sizes []int) {
	t.Helper()
	said := s.SealedSize(n)
	p := s.Seal(nil, make([]byte, n))
	if len(p) != said {
		t.Fatalf("%d bytes: sealed %d, said %d", n, len(p), said)
	}
	for len(p) > 0 {
		size, err := s.out.Length(p)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, size-s.out.sealedSize(0))
		p = p[size:]
	}
	return sizes
}

// Records are small at first, and after a pause, and large in between.
func TestRecordSize(t *testing.T) {
	s, _ := sessionsOf(t, suiteFor(t, VersionTLS13))
	if got := sizes(t, s, 3000); !slices.Equal(got, []int{1300, 1300, 400}) {
		t.Fatal(got)
	}
	got := sizes(t, s, 100_000)
	small := 0
	for small < len(got) && got[small] == smallPayload {
		small++
	}
	if sum := 3000 + small*smallPayload; sum < smallUntil || sum > smallUntil+smallPayload {
		t.Fatalf("%d bytes in small records", sum)
	}
	for _, n := range got[small : len(got)-1] {
		if n != MaxPayload {
			t.Fatal(got)
		}
	}
	if got := sizes(t, s, 2*MaxPayload+1); !slices.Equal(got, []int{MaxPayload, MaxPayload, 1}) {
		t.Fatal(got)
	}
	s.ResetRecordSize()
	if got := sizes(t, s, 2000); !slices.Equal(got, []int{1300, 700}) {
		t.Fatal(got)
	}
}

// SealedSize is right wherever the growth of the records stands.
func TestSealedSize(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite *suite) {
		s, _ := sessionsOf(t, suite)
		for _, n := range []int{1, 1299, 1300, 1301, 31_000, 1, 2, 700, 1300, 50_000} {
			said := s.SealedSize(n)
			if got := len(s.Seal(nil, make([]byte, n))); got != said {
				t.Fatalf("%d bytes: sealed %d, said %d", n, got, said)
			}
			for _, start := range []int{0, 1, smallUntil - smallPayload, smallUntil - 1, smallUntil} {
				s.sent = start
				said := s.SealedSize(n)
				if got := len(s.Seal(nil, make([]byte, n))); got != said {
					t.Fatalf("%d bytes after %d: sealed %d, said %d", n, start, got, said)
				}
			}
		}
	})
}
