package supervisor

import (
	"math"
	"os"
	"runtime"

	"longmen/gateway/cgroup"
)

// autoWorkers is one worker for each CPU that the process may use: by its
// affinity, and by the quota of its cgroup, rounded up. The Go runtime heeds
// both too, but never goes below two for a quota.
func autoWorkers() int {
	n := runtime.GOMAXPROCS(0)
	if quota := cgroup.CPUQuota(os.DirFS("/")); quota > 0 {
		n = min(n, int(math.Ceil(quota)))
	}
	return n
}
