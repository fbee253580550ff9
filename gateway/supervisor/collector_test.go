package supervisor

import "testing"

// More garbage gathers while there are collections each second, within the
// bound, and as much as ever when there were none for a while.
func TestCollector(t *testing.T) {
	const live = 40 << 20
	c := &collector{garbage: 120 << 20}
	percent, cycles := ordinaryPercent, uint64(0)
	look := func(collected uint64, want int) {
		t.Helper()
		cycles += collected
		if percent = c.percent(cycles, live, percent); percent != want {
			t.Fatalf("%d %%, want %d", percent, want)
		}
	}
	look(0, 100)
	look(3, 200)
	look(1, 300)
	look(1, 300)
	for range collectorQuiet - 1 {
		look(0, 300)
	}
	look(1, 300)
	for range collectorQuiet - 1 {
		look(0, 300)
	}
	look(0, 100)
	look(0, 100)
	look(1, 200)

	// Others' settings stay, and a process with more live memory than garbage may
	// gather is as ever.
	if got := c.percent(cycles+9, live, 50); got != 50 {
		t.Errorf("50 %% became %d", got)
	}
	if got := c.percent(cycles+18, 500<<20, 100); got != 100 {
		t.Errorf("%d %% of 500 MB", got)
	}
}
