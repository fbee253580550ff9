package supervisor

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// autoWorkers is one worker for each CPU that the process may use: by its
// affinity, and by the quota of its cgroup, rounded up. The Go runtime heeds
// both too, but never goes below two for a quota.
func autoWorkers() int {
	n := runtime.GOMAXPROCS(0)
	if quota := cpuQuota(os.DirFS("/")); quota > 0 {
		n = min(n, int(math.Ceil(quota)))
	}
	return n
}

// cpuQuota is how many CPUs' time the process's cgroup and those above it allow;
// 0 when there is no quota, or none that can be read. Both versions of cgroups
// are understood (cgroups(7)); root is the file system.
func cpuQuota(root fs.FS) float64 {
	return leastLimit(root, "cpu", hierarchy.quota)
}

// memoryLimit is how many bytes they allow, likewise.
func memoryLimit(root fs.FS) float64 {
	return leastLimit(root, "memory", hierarchy.memory)
}

// leastLimit is the least of a controller's limits of the process's cgroup and
// those above it, 0 without one.
func leastLimit(root fs.FS, controller string, limit func(hierarchy, fs.FS, string) float64) float64 {
	least := 0.0
	for _, h := range hierarchies(root, controller) {
		for dir := h.dir; ; dir = path.Dir(dir) {
			if q := limit(h, root, dir); q > 0 && (least == 0 || q < least) {
				least = q
			}
			if dir == h.top || len(dir) <= len(h.top) {
				break
			}
		}
	}
	return least
}

// hierarchy is a mounted tree of cgroups with a controller.
type hierarchy struct {
	dir string // of the process's own cgroup, below top
	top string // where the tree is mounted
	v2  bool
}

// memory is the limit of the cgroup in dir, in bytes, 0 without one.
func (h hierarchy) memory(root fs.FS, dir string) float64 {
	if h.v2 {
		return number(root, dir+"/memory.max", 0)
	}
	return number(root, dir+"/memory.limit_in_bytes", 0) // without a limit, more than there can be
}

// quota is that of the cgroup in dir, 0 without one.
func (h hierarchy) quota(root fs.FS, dir string) float64 {
	var limit, period float64
	if h.v2 {
		limit, period = number(root, dir+"/cpu.max", 0), number(root, dir+"/cpu.max", 1)
	} else {
		limit, period = number(root, dir+"/cpu.cfs_quota_us", 0), number(root, dir+"/cpu.cfs_period_us", 0)
	}
	if limit <= 0 || period <= 0 {
		return 0
	}
	return limit / period
}

// number is a field of a file, 0 when there is no number ("max", or no file).
func number(root fs.FS, name string, field int) float64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if field >= len(fields) {
		return 0
	}
	n, err := strconv.ParseFloat(fields[field], 64)
	if err != nil {
		return 0
	}
	return n
}

// hierarchies finds where the process's cgroups are mounted that have a
// controller.
func hierarchies(root fs.FS, controller string) []hierarchy {
	mine := ownGroups(root, controller)
	text, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var found []hierarchy
	for line := range strings.Lines(string(text)) {
		// 36 35 98:0 /root /mountpoint options [tags] - type source options
		before, after, _ := strings.Cut(line, " - ")
		mount, kind := strings.Fields(before), strings.Fields(after)
		if len(mount) < 5 || len(kind) < 3 {
			continue
		}
		v2 := kind[0] == "cgroup2"
		if !v2 && (kind[0] != "cgroup" || !slices.Contains(strings.Split(kind[2], ","), controller)) {
			continue
		}
		group, seen := mine[v2]
		if !seen {
			continue
		}
		// In a container the mount may show only a part of the tree.
		below, inside := strings.CutPrefix(group+"/", strings.TrimSuffix(mount[3], "/")+"/")
		if !inside {
			continue
		}
		top := strings.TrimPrefix(mount[4], "/")
		if dir := path.Join(top, below); top != "" && fs.ValidPath(dir) && strings.HasPrefix(dir, top) {
			found = append(found, hierarchy{dir, top, v2})
		}
	}
	return found
}

// ownGroups are the process's cgroups that can have a controller's limit: one of
// version 2 (true), one of version 1 (false).
func ownGroups(root fs.FS, controller string) map[bool]string {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	groups := map[bool]string{}
	for line := range strings.Lines(string(text)) {
		// hierarchy:controllers:path
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) < 3:
		case parts[0] == "0" && parts[1] == "":
			groups[true] = parts[2]
		case slices.Contains(strings.Split(parts[1], ","), controller):
			groups[false] = parts[2]
		}
	}
	return groups
}
