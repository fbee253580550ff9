package cluster

import (
	"slices"
	"testing"
	"time"

	"longmen/gateway/standby"
)

func TestFailOver(t *testing.T) {
	for _, test := range []struct {
		available []float64
		want      []int
	}{
		{[]float64{1, 1, 1}, []int{100, 0, 0}},
		{[]float64{0.7, 1, 1}, []int{70, 30, 0}},
		{[]float64{0.28, 0.28, 1}, []int{28, 28, 44}},
		{[]float64{0.28, 0, 1}, []int{28, 0, 72}},
		{[]float64{0, 0, 1}, []int{0, 0, 100}},
		{[]float64{0, 0, 0}, []int{100, 0, 0}},
		{[]float64{0.2, 0.2}, []int{50, 50}}, // together they cannot take all
		{[]float64{0.1, 0.2}, []int{33, 67}},
		{[]float64{0.01, 0}, []int{100, 0}},
		{[]float64{0.001, 0.999}, []int{0, 100}},
		{[]float64{0.333, 0.333, 0.334}, []int{33, 34, 33}},
		{[]float64{1}, []int{100}},
		{[]float64{0}, []int{100}},
	} {
		got := make([]int, len(test.available))
		FailOver(test.available, got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%v: %v, want %v", test.available, got, test.want)
		}
	}
}

// As endpoints die one after the other the first cluster's share never grows, the others' never
// shrink, and nothing is lost.
func TestFailOverCurve(t *testing.T) {
	const endpoints = 20
	before := []int{100, 0, 0}
	for dead := range endpoints + 1 {
		first := min(1, float64(endpoints-dead)/endpoints*1.4)
		shares := make([]int, 3)
		FailOver([]float64{first, 0.5, 1}, shares)
		if shares[0] > before[0] || shares[1] < before[1] || shares[2] < before[2] || shares[0]+shares[1]+shares[2] != 100 {
			t.Errorf("%d dead: %v after %v", dead, shares, before)
		}
		before = shares
	}
	if !slices.Equal(before, []int{0, 50, 50}) {
		t.Errorf("at the end %v", before)
	}
}

func TestAvailable(t *testing.T) {
	c := New(static(numbered(10)...))
	all := c.Hosts().Endpoints
	for dead, want := range []float64{1, 1, 1, 0.98, 0.84, 0.70, 0.56, 0.42, 0.28, 0.14, 0} {
		for i, e := range all {
			c.setHealth(e, i >= dead)
		}
		c.mu.Lock()
		c.publish()
		c.mu.Unlock()
		if got := c.Hosts().Capacity(); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("%d of 10 dead: %v, want %v", dead, got, want)
		}
	}
}

// An operator's switch goes on with the next version of the cluster.
func TestStandbyIsInherited(t *testing.T) {
	config := func(percent int) *Config {
		c := static("10.0.0.1:80")
		c.Standby = &standby.Config{State: standby.Standby, Local: percent, Forward: 100 - percent, To: "active"}
		return c
	}
	first := New(config(1))
	first.Standby().Override(standby.Active, time.Now())
	second := New(config(1))
	second.Inherit(first)
	if p := second.Standby().Position(); p.State != standby.Active || !p.Override {
		t.Errorf("%+v", p)
	}
	third := New(config(2))
	third.Inherit(second)
	if p := third.Standby().Position(); p.State != standby.Standby || p.Override {
		t.Errorf("after a new configuration: %+v", p)
	}
	fourth := New(static("10.0.0.1:80"))
	fourth.Inherit(third)
	if fourth.Standby() != nil {
		t.Error("a switch out of nothing")
	}
}
