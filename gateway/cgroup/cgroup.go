// Package cgroup reads what the process's cgroups allow it and what they use, of
// both versions (cgroups(7)). Every function is given the file system, "/" as an
// fs.FS, so that tests can bring their own.
package cgroup

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Tree is a mounted hierarchy of cgroups with a controller, seen from the process.
type Tree struct {
	root fs.FS
	dir  string // of the process's own cgroup, below top
	top  string // where the hierarchy is mounted
	v2   bool
}

// levels calls f for the process's own cgroup and those above it.
func (t *Tree) levels(f func(dir string)) {
	for dir := t.dir; ; dir = path.Dir(dir) {
		f(dir)
		if dir == t.top || len(dir) <= len(t.top) {
			return
		}
	}
}

// number is a field of a file, 0 when there is no number ("max", or no file).
func (t *Tree) number(name string, field int) float64 {
	text, err := fs.ReadFile(t.root, name)
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

// keyed are the values of a file of lines "name value" for the names that f wants.
func (t *Tree) keyed(name string, f func(key string, value float64)) {
	text, err := fs.ReadFile(t.root, name)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			f(key, n)
		}
	}
}

// Trees finds where the process's cgroups are mounted that have a controller, such
// as "memory". It is empty where there are none, or none that can be read.
func Trees(root fs.FS, controller string) []*Tree {
	mine := ownGroups(root, controller)
	text, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var found []*Tree
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
			found = append(found, &Tree{root, dir, top, v2})
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
