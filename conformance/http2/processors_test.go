package http2

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What is measured is the gateway, not how its clients share their processor:
// attackers and their origin give way to the good clients, and attackers to their
// origin. Niceness alone does not do it: a thread that runs is left to run
// for a slice of some milliseconds, however nice it is (EEVDF), while one that has
// woken up waits.
var (
	victimAttr   = unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: 10, Runtime: uint64(100 * time.Microsecond)}
	attackerAttr = unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
	// A short attack, at which nothing is measured that counts, has to get on beside other tests.
	shortAttr = unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: 19}
	// The good clients and their origin run when they have something to do.
	goodAttr = unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}
	calmAttr = unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
)

// apart gives the gateway a processor of its own until the test ends. The second
// one is for all others: the origin, this process, and those that it starts.
func apart(t *testing.T, gateway, origin int) {
	t.Helper()
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil || allowed.Count() < 2 {
		t.Log("one processor for all:", err)
		return
	}
	var sets [2]unix.CPUSet
	for cpu, n := 0, 0; n < len(sets); cpu++ {
		if allowed.IsSet(cpu) {
			sets[n].Set(cpu)
			n++
		}
	}
	for pid, set := range map[int]*unix.CPUSet{gateway: &sets[0], origin: &sets[1], os.Getpid(): &sets[1]} {
		if err := runOn(pid, set); err != nil {
			t.Fatal(err)
		}
	}
	if measures() {
		err := giveWay(&goodAttr)
		if err != nil {
			t.Log("the good clients compete with the attackers for their processor:", err)
		}
	}
	t.Cleanup(func() {
		if measures() {
			giveWay(&calmAttr)
		}
		runOn(os.Getpid(), &allowed)
	})
}

// runOn lets all threads of a process run on the processors of set.
func runOn(pid int, set *unix.CPUSet) error {
	return threads(pid, func(tid int) error { return unix.SchedSetaffinity(tid, set) })
}

// giveWay sets how this process is scheduled.
func giveWay(attr *unix.SchedAttr) error {
	return threads(os.Getpid(), func(tid int) error { return unix.SchedSetAttr(tid, attr, 0) })
}

// threads calls f with all threads of a process. Those that they begin inherit
// what it sets.
func threads(pid int, f func(tid int) error) error {
	all, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*")
	for _, thread := range all {
		tid, _ := strconv.Atoi(filepath.Base(thread))
		if e := f(tid); e != nil && e != unix.ESRCH {
			return e
		}
	}
	return err
}
