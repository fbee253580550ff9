// Package proc reads what a whole tree of processes costs: its CPU time to the
// nanosecond and its memory, from /proc and the kernel's per-process clocks.
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Tree is the process root and all its descendants that live now, sorted.
func Tree(root int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	parents := map[int]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if parents[pid], err = parseParent(b); err != nil {
			return nil, fmt.Errorf("process %d: %w", pid, err)
		}
	}
	if _, ok := parents[root]; !ok {
		return nil, fmt.Errorf("process %d: %w", root, os.ErrProcessDone)
	}
	return descendants(root, parents), nil
}

func descendants(root int, parents map[int]int) []int {
	tree := []int{root}
	for i := 0; i < len(tree); i++ {
		for pid, parent := range parents {
			if parent == tree[i] {
				tree = append(tree, pid)
			}
		}
	}
	slices.Sort(tree)
	return tree
}

// parseParent reads the parent's number from /proc/PID/stat. The command name
// before it is in brackets and may itself hold brackets and spaces.
func parseParent(stat []byte) (int, error) {
	i := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[i+1:])
	if i < 0 || len(fields) < 2 {
		return 0, fmt.Errorf("unexpected stat line %q", stat)
	}
	return strconv.Atoi(string(fields[1]))
}

// CPU is the time, user and system, that the processes have run so far: the
// scheduler's own sum in nanoseconds, threads that have ended included. (The
// utime and stime of /proc/PID/stat are split by clock ticks.)
func CPU(pids []int) (time.Duration, error) {
	var total time.Duration
	for _, pid := range pids {
		d, err := processClock(pid)
		if err != nil {
			return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
		}
		total += d
	}
	return total, nil
}

// processClock reads the CPU clock of another process: clock_getcpuclockid(3)
// builds its number from the pid and the kind of clock, here the scheduler's.
func processClock(pid int) (time.Duration, error) {
	const cpuclockSched = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuclockSched), &ts); err != nil {
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}

// Memory is what a tree of processes occupies, in bytes.
type Memory struct {
	Peak int64 // VmHWM summed: each process's largest resident set, shared pages counted in each
	RSS  int64 // VmRSS summed
	PSS  int64 // proportional set summed: a page shared by n processes counts 1/n in each
}

// ReadMemory sums over the processes.
func ReadMemory(pids []int) (Memory, error) {
	var m Memory
	for _, pid := range pids {
		dir := filepath.Join("/proc", strconv.Itoa(pid))
		for _, f := range []struct {
			file, key string
			to        *int64
		}{{"status", "VmHWM", &m.Peak}, {"status", "VmRSS", &m.RSS}, {"smaps_rollup", "Pss", &m.PSS}} {
			b, err := os.ReadFile(filepath.Join(dir, f.file))
			if err != nil {
				return m, err
			}
			n, err := parseKilobytes(b, f.key)
			if err != nil {
				return m, fmt.Errorf("%s of process %d: %w", f.file, pid, err)
			}
			*f.to += n
		}
	}
	return m, nil
}

// parseKilobytes finds a line "Key:   123 kB" and returns it in bytes.
func parseKilobytes(b []byte, key string) (int64, error) {
	for line := range bytes.Lines(b) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || string(name) != key {
			continue
		}
		fields := bytes.Fields(value)
		if len(fields) != 2 || string(fields[1]) != "kB" {
			return 0, fmt.Errorf("unexpected line %q", line)
		}
		n, err := strconv.ParseInt(string(fields[0]), 10, 64)
		return n << 10, err
	}
	return 0, fmt.Errorf("no %s", key)
}

func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}
