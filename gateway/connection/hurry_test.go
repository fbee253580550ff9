package connection

import (
	"testing"
	"time"
)

func TestIdleTimeoutsInAHurry(t *testing.T) {
	const minute = time.Minute
	for _, test := range []struct {
		shorten           float64
		least, from, want time.Duration
	}{
		{0, time.Second, minute, minute}, {1, time.Second, minute, time.Second}, {0.5, 0, minute, 30 * time.Second},
		{0.5, 20 * time.Second, minute, 40 * time.Second}, {1, minute, time.Second, time.Second}, {1, minute, minute, minute},
	} {
		h := Hurry{Shorten: test.shorten, Least: test.least}
		if got := h.Idle(test.from); got != test.want {
			t.Errorf("%+v: %v becomes %v, want %v", h, test.from, got, test.want)
		}
	}
}
