package cluster

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlowStartWeights(t *testing.T) {
	const w = 10 * time.Second
	for _, test := range []struct {
		s    SlowStart
		age  time.Duration
		want uint32
	}{
		{SlowStart{Window: w}, 0, 10}, {SlowStart{Window: w}, time.Second / 2, 10}, {SlowStart{Window: w}, 2 * time.Second, 20},
		{SlowStart{Window: w}, 5 * time.Second, 50}, {SlowStart{Window: w}, w, 100}, {SlowStart{Window: w}, 2 * w, 100},
		{SlowStart{Window: w, MinWeightPercent: 40}, time.Second, 40},
		{SlowStart{Window: w, MinWeightPercent: 0.1}, 0, 1},
		{SlowStart{Window: w, Aggression: 2}, 2500 * time.Millisecond, 50},
		{SlowStart{Window: w, Aggression: 0.5}, 5 * time.Second, 25},
		{SlowStart{Window: w}, -time.Second, 10},
	} {
		if got := test.s.percent(test.age); got != test.want {
			t.Errorf("%+v after %s: %d %%, want %d", test.s, test.age, got, test.want)
		}
	}
}

// Who joins others begins slowly, and so does who is healthy again; who is there from the beginning
// does not. Nothing is done when nobody begins.
func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		config := named(StrictDNS, "a.test")
		config.SlowStart = SlowStart{Window: 10 * time.Second}
		config.Health = checks()
		config.Health[0].Unhealthy, config.Health[0].Healthy = 1, 1
		c := New(config)
		c.Start(w.runtime)
		defer c.Close()
		weight := func(address string) uint32 {
			g := c.Hosts().All.Groups[0]
			for i, weight := range g.Weights {
				if g.Usable.At(i).Address().String() == address {
					return weight
				}
			}
			return 0
		}
		w.resolve("a.test", nil, "10.0.0.1", "10.0.0.2")
		time.Sleep(time.Second)
		if weight("10.0.0.1:8080") != 100 || weight("10.0.0.2:8080") != 100 {
			t.Errorf("at the beginning: %v", c.Hosts().All.Groups[0].Weights)
		}
		w.resolve("a.test", nil, "10.0.0.1", "10.0.0.2", "10.0.0.3")
		if weight("10.0.0.3:8080") != 10 || weight("10.0.0.1:8080") != 100 {
			t.Errorf("who joins: %v", c.Hosts().All.Groups[0].Weights)
		}
		three := find(t, c, "10.0.0.3:8080")
		time.Sleep(5100 * time.Millisecond)
		if got := weight("10.0.0.3:8080"); got < 45 || got > 52 || three.Percent() != got {
			t.Errorf("in the middle: %d", got)
		}

		// The next version of the cluster goes on with it.
		next := New(config)
		next.Inherit(c)
		next.Start(w.runtime)
		defer next.Close()
		c = next
		if got := weight("10.0.0.3:8080"); got < 45 || got > 60 {
			t.Errorf("after a reload: %d", got)
		}
		time.Sleep(6 * time.Second)
		if weight("10.0.0.3:8080") != 100 {
			t.Errorf("at the end: %v", c.Hosts().All.Groups[0].Weights)
		}
		version := c.Hosts().Version
		time.Sleep(time.Minute)
		if v := c.Hosts().Version; v != version || len(c.beginners) > 0 {
			t.Errorf("%d host sets while nothing happened", v-version)
		}

		w.set(500, "10.0.0.2:8080")
		time.Sleep(10 * time.Second)
		if weight("10.0.0.2:8080") != 0 {
			t.Error("unhealthy and used")
		}
		w.set(200, "10.0.0.2:8080")
		time.Sleep(5100 * time.Millisecond)
		if got := weight("10.0.0.2:8080"); got < 10 || got > 60 {
			t.Errorf("healthy again: %d", got)
		}
		w.resolve("a.test", errors.New("timeout"))
	})
}
