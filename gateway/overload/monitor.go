package overload

import (
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"longmen/gateway/cgroup"
)

// Sources are where the manager learns what is used. Functions are called on its
// goroutine; a nil one is not asked.
type Sources struct {
	// Root is the file system: os.DirFS("/").
	Root fs.FS
	// Connections are how many clients are connected, and the limit; 0: none.
	Connections func() (open, limit int)
	// Files is the limit of file descriptors; 0: it is not known.
	Files int
	// CPUs are how many the process may use: by affinity and by quota.
	CPUs float64
	// CPUTime is how long the process has had a CPU, altogether.
	CPUTime func() time.Duration
	// Lag is how long the slowest loop kept the last task waiting.
	Lag func() time.Duration
}

// monitors measure the resources.
type monitors struct {
	config  *Config
	sources *Sources
	memory  *cgroup.Memory
	cpu     *cgroup.CPU
	files   fileCount
	cpuUse  average
	lag     average

	busy time.Duration // CPUTime at the last look
	last time.Time
}

func newMonitors(c *Config, s *Sources) *monitors {
	return &monitors{config: c, sources: s, memory: cgroup.NewMemory(s.Root), cpu: cgroup.NewCPU(s.Root)}
}

// watches reports whether anything is to be done about a resource: what is not
// watched is not measured.
func (m *monitors) watches(r Resource) bool {
	return m.config.Triggers[r] != [ActionCount]Trigger{}
}

// measure looks at everything.
func (m *monitors) measure(now time.Time) [ResourceCount]Pressure {
	var p [ResourceCount]Pressure
	elapsed := now.Sub(m.last)
	if m.last.IsZero() {
		elapsed = 0
	}
	m.last = now
	for r := range ResourceCount {
		if !m.watches(r) {
			continue
		}
		switch r {
		case Memory:
			p[r] = m.memoryUse()
		case CPU:
			p[r] = m.cpuTime(elapsed)
		case Connections:
			if m.sources.Connections != nil {
				open, limit := m.sources.Connections()
				p[r] = share(float64(open), float64(limit))
			}
		case Files:
			if m.sources.Files > 0 {
				p[r] = share(float64(m.files.count(now)), float64(m.sources.Files))
			}
		case Lag:
			if m.sources.Lag != nil {
				p[r] = share(m.lag.add(m.sources.Lag().Seconds(), elapsed), m.config.LagLimit.Seconds())
			}
		case Stall:
			p[r] = share(m.cpu.Stalled(), 1)
		}
	}
	return p
}

// share is the pressure on a resource of which so much is used.
func share(used, limit float64) Pressure {
	if limit <= 0 {
		return Pressure{}
	}
	return Pressure{Watched: true, Value: used / limit, Used: used, Limit: limit}
}

func (m *monitors) memoryUse() Pressure {
	switch limit := m.config.MemoryLimit; {
	case limit < 0:
		return Pressure{}
	case limit > 0:
		return share(float64(ownMemory(m.sources.Root)), float64(limit))
	}
	return share(m.memory.Use())
}

// ownMemory is what the process uses, in bytes: what is resident and not of a file.
func ownMemory(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text)) // size resident shared ...: pages
	if len(fields) < 3 {
		return 0
	}
	resident, _ := strconv.ParseInt(fields[1], 10, 64)
	shared, _ := strconv.ParseInt(fields[2], 10, 64)
	return max(resident-shared, 0) * int64(os.Getpagesize())
}

// cpuTime is the greater of two shares: of the CPUs' time, and of the periods in
// which the quota held the process back.
func (m *monitors) cpuTime(elapsed time.Duration) Pressure {
	if m.sources.CPUTime == nil || m.sources.CPUs <= 0 {
		return Pressure{}
	}
	busy := m.sources.CPUTime()
	used := busy - m.busy
	m.busy = busy
	throttled := m.cpu.Throttled()
	if elapsed <= 0 {
		return share(0, m.sources.CPUs)
	}
	use := max(used.Seconds()/elapsed.Seconds(), throttled*m.sources.CPUs)
	return share(m.cpuUse.add(use, elapsed), m.sources.CPUs)
}

// ProcessTime is how long the process has had a CPU, in user mode and in the kernel.
func ProcessTime() time.Duration {
	var use unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &use) != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// average smooths what jumps about: it weighs the past by e^(-elapsed/averageOver).
type average struct {
	value float64
	begun bool
}

// averageOver is the time constant.
const averageOver = time.Second

func (a *average) add(value float64, elapsed time.Duration) float64 {
	if !a.begun {
		a.value, a.begun = value, true
		return value
	}
	// 1-e^-x is near x/(1+x) where x is small, and as bounded where it is not.
	x := elapsed.Seconds() / averageOver.Seconds()
	a.value += (value - a.value) * x / (1 + x)
	return a.value
}

// fileCount counts the process's open descriptors.
type fileCount struct {
	known int
	at    time.Time // when they were counted one by one
}

// slowCount is how often descriptors are counted one by one, where the kernel does
// not tell their number (before Linux 6.2): that takes some ms for every ten thousand.
const slowCount = 5 * time.Second

func (f *fileCount) count(now time.Time) int {
	var stat unix.Stat_t
	if unix.Stat("/proc/self/fd", &stat) == nil && stat.Size > 0 {
		return int(stat.Size)
	}
	if f.at.IsZero() || now.Sub(f.at) >= slowCount {
		f.at = now
		if dir, err := os.Open("/proc/self/fd"); err == nil {
			names, _ := dir.Readdirnames(-1)
			dir.Close()
			f.known = len(names)
		}
	}
	return f.known
}
