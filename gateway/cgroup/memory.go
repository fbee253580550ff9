package cgroup

import "io/fs"

// noLimit is more memory than there can be: version 1 has no other word for it.
const noLimit = 1 << 60

// MemoryLimit is how many bytes the process's cgroup and those above it allow, the
// least of them; 0 when there is no limit, or none that can be read.
func MemoryLimit(root fs.FS) float64 {
	least := 0.0
	for _, t := range Trees(root, "memory") {
		t.levels(func(dir string) {
			if l := t.memoryLimit(dir); l > 0 && (least == 0 || l < least) {
				least = l
			}
		})
	}
	return least
}

func (t *Tree) memoryLimit(dir string) float64 {
	file := "/memory.limit_in_bytes"
	if t.v2 {
		file = "/memory.max"
	}
	if l := t.number(dir+file, 0); l < noLimit {
		return l
	}
	return 0
}

// Memory watches what the process's cgroups use of their limits.
type Memory struct {
	limited []level
}

// level is a cgroup with a limit.
type level struct {
	tree *Tree
	dir  string
}

// NewMemory finds the cgroups that have a limit. Limits may change afterwards, as
// those of a container that is resized do, but not come.
func NewMemory(root fs.FS) *Memory {
	m := &Memory{}
	for _, t := range Trees(root, "memory") {
		t.levels(func(dir string) {
			if t.memoryLimit(dir) > 0 {
				m.limited = append(m.limited, level{t, dir})
			}
		})
	}
	return m
}

// Limited reports whether there is any limit.
func (m *Memory) Limited() bool { return len(m.limited) > 0 }

// Use is what the cgroup that is nearest to its limit uses, and its limit, in bytes.
// What the kernel can take back at any time (cached files, reclaimable slabs) is not
// counted. Both are 0 when no level has a limit.
func (m *Memory) Use() (used, limit float64) {
	for _, l := range m.limited {
		most := l.tree.memoryLimit(l.dir)
		if u := l.use(); most > 0 && (limit == 0 || u/most > used/limit) {
			used, limit = u, most
		}
	}
	return used, limit
}

func (l level) use() float64 {
	file, prefix := "/memory.usage_in_bytes", "total_"
	if l.tree.v2 {
		file, prefix = "/memory.current", ""
	}
	used := l.tree.number(l.dir+file, 0)
	l.tree.keyed(l.dir+"/memory.stat", func(key string, value float64) {
		switch key {
		case prefix + "inactive_file", prefix + "active_file", "slab_reclaimable":
			used -= value
		}
	})
	return max(used, 0)
}
