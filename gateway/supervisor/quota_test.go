package supervisor

import (
	"testing"
	"testing/fstest"
)

func TestCPUQuota(t *testing.T) {
	const (
		v2 = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
		v1 = "33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:16 - cgroup cgroup rw,cpu,cpuacct\n" +
			"34 25 0:30 / /sys/fs/cgroup/memory rw shared:17 - cgroup cgroup rw,memory\n"
		inside = "33 25 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro master:16 - cgroup cgroup rw,cpu,cpuacct\n"
	)
	for _, test := range []struct {
		name, group, mounts string
		files               map[string]string
		want                float64
	}{
		{"nothing at all", "", "", nil, 0},
		{"version 2, none", "0::/a/b\n", v2, map[string]string{"a/b/cpu.max": "max 100000\n"}, 0},
		{"version 2", "0::/a/b\n", v2, map[string]string{"a/b/cpu.max": "50000 100000\n"}, 0.5},
		{"version 2, by a parent", "0::/a/b\n", v2, map[string]string{"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "150000 100000\n"}, 1.5},
		{"version 2, in a container", "0::/\n", v2, map[string]string{"cpu.max": "100000 100000\n"}, 1},
		{"version 2, outside of what is seen", "0::/../other\n", v2, map[string]string{"cpu.max": "100000 100000\n"}, 0},
		{"version 2, nonsense", "0::/a\n", v2, map[string]string{"a/cpu.max": "\n"}, 0},
		{"version 1, none", "2:cpu,cpuacct:/a\n", v1, map[string]string{"cpu,cpuacct/a/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}, 0},
		{"version 1", "3:memory:/\n2:cpu,cpuacct:/a\n0::/\n", v1, map[string]string{"cpu,cpuacct/a/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}, 2.5},
		{"version 1, in a container", "2:cpu,cpuacct:/docker/abc\n", inside, map[string]string{"cpu,cpuacct/cpu.cfs_quota_us": "100000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 1},
		{"version 1, another container's mount", "2:cpu,cpuacct:/docker/abcd\n", inside, map[string]string{"cpu,cpuacct/cpu.cfs_quota_us": "100000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 0},
	} {
		root := fstest.MapFS{
			"proc/self/cgroup":    {Data: []byte(test.group)},
			"proc/self/mountinfo": {Data: []byte("25 1 8:1 / / rw - ext4 /dev/root rw\n" + test.mounts)},
		}
		for name, text := range test.files {
			root["sys/fs/cgroup/"+name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := cpuQuota(root); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	if got := cpuQuota(fstest.MapFS{}); got != 0 {
		t.Errorf("without /proc: %v", got)
	}
}

func TestMemoryLimit(t *testing.T) {
	const (
		v2 = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
		v1 = "34 25 0:30 / /sys/fs/cgroup/memory rw shared:17 - cgroup cgroup rw,memory\n"
	)
	for _, test := range []struct {
		name, group, mounts string
		files               map[string]string
		want                float64
	}{
		{"none", "0::/a\n", v2, map[string]string{"a/memory.max": "max\n"}, 0},
		{"version 2, by a parent", "0::/a/b\n", v2, map[string]string{"a/b/memory.max": "max\n", "a/memory.max": "1048576\n"}, 1 << 20},
		{"version 1", "3:memory:/a\n2:cpu,cpuacct:/b\n", v1, map[string]string{"memory/a/memory.limit_in_bytes": "2097152\n"}, 2 << 20},
	} {
		root := fstest.MapFS{
			"proc/self/cgroup":    {Data: []byte(test.group)},
			"proc/self/mountinfo": {Data: []byte("25 1 8:1 / / rw - ext4 /dev/root rw\n" + test.mounts)},
		}
		for name, text := range test.files {
			root["sys/fs/cgroup/"+name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := memoryLimit(root); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
