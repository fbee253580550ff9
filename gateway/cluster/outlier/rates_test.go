package outlier

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// The example of Envoy's sources: of 50 and four times 100 the mean is 90, the standard
// deviation 20, and 1.9 of them below the mean is 52.
func TestBound(t *testing.T) {
	all := []rated{{rate: 50}, {rate: 100}, {rate: 100}, {rate: 100}, {rate: 100}}
	if mean, least := bound(all, 1.9); mean != 90 || math.Abs(least-52) > 1e-9 {
		t.Errorf("mean %v, bound %v", mean, least)
	}
	if mean, least := bound(all[1:], 1.9); mean != 100 || least != 100 {
		t.Errorf("mean %v, bound %v", mean, least)
	}
}

// report makes an endpoint answer so many requests, of which some are bad.
func (f *fixture) report(host, requests, bad int) {
	m := f.Monitor(f.hosts[host])
	for i := range requests {
		if i < bad {
			m.Status(500)
		} else {
			m.Status(200)
		}
	}
}

// only turns all but the shares of an interval off.
func only(c *Config) { c.Consecutive5xx, c.ConsecutiveGatewayFailure, c.ConsecutiveRefused = 0, 0, 0 }

func TestSuccessRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := run(t, 6, only)
		for i := range 5 {
			f.report(i, 100, 0)
		}
		f.report(5, 99, 99) // too few to count
		f.report(4, 100, 60)
		f.expect(t)
		time.Sleep(10 * time.Second)
		// e has 140 of 200: rates are 100, 100, 100, 100, 70; mean 94, deviation 12, bound 71.2
		f.expect(t, "10s e out success_rate #1 30s: success rate 70.0 % is below 71.2 % (5 endpoints have 94.0 % in the mean)",
			"10s f found failure_percentage #0 0s: 100.0 % of the requests failed, of 85 % allowed")
		if rate, local := f.Rates(f.hosts[4]); rate != 70 || local != -1 {
			t.Errorf("rates %v, %v", rate, local)
		}
		if rate, _ := f.Rates(f.hosts[5]); rate != 0 { // enough for FailurePercentage
			t.Errorf("rate %v", rate)
		}
		time.Sleep(40 * time.Second) // without requests nothing is found
		f.expect(t, "40s e back success_rate #1 30s: its time is over")
		if rate, _ := f.Rates(f.hosts[0]); rate != -1 {
			t.Errorf("rate %v of no requests", rate)
		}
	})
}

func TestSuccessRatesNeedHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := run(t, 5, only)
		for i := range 4 {
			f.report(i, 100, 0)
		}
		f.report(4, 99, 83)
		time.Sleep(10 * time.Second)
		f.expect(t)
	})
}

func TestFailurePercentage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := run(t, 6, func(c *Config) {
			only(c)
			c.Enforcing.FailurePercentage, c.Enforcing.SuccessRate = 100, 0
			c.SuccessRate.MinimumHosts = 100
		})
		for i := range 4 {
			f.report(i, 50, 42) // 84 %
		}
		f.report(4, 100, 85)
		f.report(5, 49, 49)
		time.Sleep(10 * time.Second)
		f.expect(t, "10s e out failure_percentage #1 30s: 85.0 % of the requests failed, of 85 % allowed")
	})
}

// Failures that are no responses have shares of their own when they are kept apart.
func TestLocalOriginShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := run(t, 6, func(c *Config) {
			only(c)
			c.SplitLocalOrigin, c.ConsecutiveLocalOriginFailure = true, 0
			c.Enforcing.LocalOriginFailurePercentage = 100
		})
		for i := range 6 {
			f.report(i, 100, 0)
		}
		late := f.Monitor(f.hosts[1])
		for range 200 {
			late.Timeout()
		}
		if f.Monitor(f.hosts[2]); f.hosts[2].watch.Load().rows[ByLocalOriginFailure].Load() != 0 {
			t.Error("a row")
		}
		time.Sleep(10 * time.Second)
		// b has 100 of 300, the others all: mean 88.9, deviation 24.8, bound 41.7
		f.expect(t, "10s b out local_origin_success_rate #1 30s: success rate 33.3 % is below 41.7 % (6 endpoints have 88.9 % in the mean)")
		if rate, local := f.Rates(f.hosts[1]); rate != 100 || math.Abs(local-100.0/3) > 1e-9 {
			t.Errorf("rates %v, %v", rate, local)
		}
	})
}

// Counts that have gone round make no other difference.
func TestTalliesGoRound(t *testing.T) {
	w := &watch{}
	m := &Monitor{watch: w}
	w.monitors = []*Monitor{m}
	m.external.both.Store(uint64(math.MaxUint32)<<32 | uint64(math.MaxUint32))
	w.sum()
	for i := range 10 {
		m.external.count(i%2 == 0)
	}
	if got := w.sum(); got != [2]sum{{10, 5}, {}} {
		t.Errorf("%+v", got)
	}
}

func TestCauses(t *testing.T) {
	seen := map[string]bool{}
	c := Defaults()
	var enforced []int
	for cause := range CauseCount {
		seen[cause.String()] = true
		enforced = append(enforced, c.enforced(cause))
	}
	if len(seen) != int(CauseCount) || !slices.Equal(enforced, []int{100, 0, 100, 100, 100, 100, 0, 0}) {
		t.Errorf("%v, %v", seen, enforced)
	}
}
