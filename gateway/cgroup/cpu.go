package cgroup

import (
	"io/fs"
	"strconv"
	"strings"
)

// CPUQuota is how many CPUs' time the process's cgroup and those above it allow, the
// least of them; 0 when there is no quota, or none that can be read.
func CPUQuota(root fs.FS) float64 {
	least := 0.0
	for _, t := range Trees(root, "cpu") {
		t.levels(func(dir string) {
			if q := t.quota(dir); q > 0 && (least == 0 || q < least) {
				least = q
			}
		})
	}
	return least
}

// quota is that of the cgroup in dir, 0 without one.
func (t *Tree) quota(dir string) float64 {
	var limit, period float64
	if t.v2 {
		limit, period = t.number(dir+"/cpu.max", 0), t.number(dir+"/cpu.max", 1)
	} else {
		limit, period = t.number(dir+"/cpu.cfs_quota_us", 0), t.number(dir+"/cpu.cfs_period_us", 0)
	}
	if limit <= 0 || period <= 0 {
		return 0
	}
	return limit / period
}

// CPU watches how the process's cgroup is held back.
type CPU struct {
	trees              []*Tree
	system             *Tree
	periods, throttled float64 // of the level with the most periods, at the last look
}

// NewCPU finds the cgroup.
func NewCPU(root fs.FS) *CPU {
	return &CPU{trees: Trees(root, "cpu"), system: &Tree{root: root}}
}

// Throttled is the share of the quota's periods since the last look in which the
// cgroup was throttled, the largest of all levels; 0 without a quota, and the first
// time.
func (c *CPU) Throttled() float64 {
	var periods, throttled float64
	for _, t := range c.trees {
		t.levels(func(dir string) {
			var p, n float64
			t.keyed(dir+"/cpu.stat", func(key string, value float64) {
				switch key {
				case "nr_periods":
					p = value
				case "nr_throttled":
					n = value
				}
			})
			if n > throttled || periods == 0 {
				periods, throttled = p, n
			}
		})
	}
	share := 0.0
	if c.periods > 0 && periods > c.periods && throttled >= c.throttled {
		share = (throttled - c.throttled) / (periods - c.periods)
	}
	c.periods, c.throttled = periods, throttled
	return min(share, 1)
}

// Stalled is the share of the last ten seconds in which something of the cgroup
// waited for a CPU (pressure stall information, "some"): the system's where cgroups
// do not tell, 0 where nobody does.
func (c *CPU) Stalled() float64 {
	for _, t := range c.trees {
		if share, ok := t.stalled(t.dir + "/cpu.pressure"); t.v2 && ok {
			return share
		}
	}
	share, _ := c.system.stalled("proc/pressure/cpu")
	return share
}

// stalled reads a file of pressure stall information.
func (t *Tree) stalled(name string) (share float64, ok bool) {
	text, err := fs.ReadFile(t.root, name)
	if err != nil {
		return 0, false
	}
	return parseStall(string(text))
}

// parseStall reads the share of the last ten seconds in which some task waited, of
// a file of pressure stall information: "some avg10=1.53 avg60=0.20 ...".
func parseStall(text string) (share float64, ok bool) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "some" {
			continue
		}
		percent, found := strings.CutPrefix(fields[1], "avg10=")
		n, err := strconv.ParseFloat(percent, 64)
		if !found || err != nil || !(n >= 0 && n <= 100) {
			return 0, false
		}
		return n / 100, true
	}
	return 0, false
}
