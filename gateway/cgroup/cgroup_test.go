package cgroup

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
		{"version 1, none", "3:memory:/a\n", v1, map[string]string{"memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
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
		if got := CPUQuota(root); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	if got := CPUQuota(fstest.MapFS{}); got != 0 {
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
		if got := MemoryLimit(root); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// system is a file system with the process in a cgroup.
func system(group, mounts string, files map[string]string) fstest.MapFS {
	root := fstest.MapFS{
		"proc/self/cgroup":    {Data: []byte(group)},
		"proc/self/mountinfo": {Data: []byte(mounts)},
	}
	for name, text := range files {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

const (
	mountV2 = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountV1 = "33 25 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n34 25 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)

func TestMemoryUse(t *testing.T) {
	for _, test := range []struct {
		name, group, mounts string
		files               map[string]string
		used, limit         float64
	}{
		{"no limit", "0::/a\n", mountV2, map[string]string{"sys/fs/cgroup/a/memory.max": "max\n", "sys/fs/cgroup/a/memory.current": "5000\n"}, 0, 0},
		{"version 2", "0::/a\n", mountV2, map[string]string{
			"sys/fs/cgroup/a/memory.max": "10000\n", "sys/fs/cgroup/a/memory.current": "9000\n",
			"sys/fs/cgroup/a/memory.stat": "anon 6000\nfile 2500\ninactive_file 1000\nactive_file 800\nslab_reclaimable 200\nslab_unreclaimable 7\n",
		}, 7000, 10000},
		{"version 2, a parent is fuller", "0::/a/b\n", mountV2, map[string]string{
			"sys/fs/cgroup/a/b/memory.max": "10000\n", "sys/fs/cgroup/a/b/memory.current": "5000\n",
			"sys/fs/cgroup/a/memory.max": "20000\n", "sys/fs/cgroup/a/memory.current": "19000\n",
		}, 19000, 20000},
		{"version 1", "3:memory:/a\n2:cpu:/\n", mountV1, map[string]string{
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "10000\n", "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "9000\n",
			"sys/fs/cgroup/memory/a/memory.stat": "cache 1\ninactive_file 17\ntotal_inactive_file 3000\ntotal_active_file 1000\n",
		}, 5000, 10000},
		{"more is cached than used", "0::/a\n", mountV2, map[string]string{
			"sys/fs/cgroup/a/memory.max": "10000\n", "sys/fs/cgroup/a/memory.current": "90\n", "sys/fs/cgroup/a/memory.stat": "active_file 100\nnonsense\n",
		}, 0, 10000},
	} {
		m := NewMemory(system(test.group, test.mounts, test.files))
		if used, limit := m.Use(); used != test.used || limit != test.limit || m.Limited() != (limit > 0) {
			t.Errorf("%s: %v of %v, want %v of %v", test.name, used, limit, test.used, test.limit)
		}
	}
}

// A container may get more memory while it runs.
func TestMemoryLimitChanges(t *testing.T) {
	root := system("0::/a\n", mountV2, map[string]string{"sys/fs/cgroup/a/memory.max": "1000\n", "sys/fs/cgroup/a/memory.current": "900\n"})
	m := NewMemory(root)
	for _, test := range []struct {
		max   string
		limit float64
	}{{"1000", 1000}, {"2000", 2000}, {"max", 0}, {"950", 950}} {
		root["sys/fs/cgroup/a/memory.max"].Data = []byte(test.max + "\n")
		if _, limit := m.Use(); limit != test.limit {
			t.Errorf("%s: %v", test.max, limit)
		}
	}
}

func TestThrottled(t *testing.T) {
	root := system("0::/a/b\n", mountV2, map[string]string{
		"sys/fs/cgroup/a/b/cpu.stat": "usage_usec 7\nnr_periods 100\nnr_throttled 50\n", "sys/fs/cgroup/a/cpu.stat": "nr_periods 0\nnr_throttled 0\n",
	})
	c := NewCPU(root)
	if got := c.Throttled(); got != 0 {
		t.Errorf("the first time: %v", got)
	}
	root["sys/fs/cgroup/a/b/cpu.stat"].Data = []byte("nr_periods 110\nnr_throttled 54\n")
	if got := c.Throttled(); got != 0.4 {
		t.Errorf("%v", got)
	}
	if got := c.Throttled(); got != 0 {
		t.Errorf("no time has passed: %v", got)
	}
	if got := NewCPU(fstest.MapFS{}).Throttled(); got != 0 {
		t.Errorf("without cgroups: %v", got)
	}
}

func TestStalled(t *testing.T) {
	for text, want := range map[string]float64{
		"some avg10=23.73 avg60=27.43 avg300=29.53 total=14032382327\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=0\n": 0.2373,
		"some avg10=100.00\n": 1, "full avg10=1.00\n": 0, "some avg10=x\n": 0, "some avg10=101\n": 0, "some avg10=NaN\n": 0, "some\n": 0, "": 0,
	} {
		if got, _ := parseStall(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	files := map[string]string{"proc/pressure/cpu": "some avg10=50.00\n", "sys/fs/cgroup/a/cpu.pressure": "some avg10=10.00\n"}
	if got := NewCPU(system("0::/a\n", mountV2, files)).Stalled(); got != 0.1 {
		t.Errorf("the cgroup's: %v", got)
	}
	if got := NewCPU(system("2:cpu:/a\n", mountV1, files)).Stalled(); got != 0.5 {
		t.Errorf("the system's: %v", got)
	}
}
