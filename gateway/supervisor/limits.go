package supervisor

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// raiseFiles raises the limit of file descriptors to want, or to the hard limit
// when want is 0, and returns what it then is.
func raiseFiles(want int) (int, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("getrlimit: %w", err)
	}
	before := r
	r.Cur = r.Max
	if want > 0 {
		r.Cur, r.Max = uint64(want), max(r.Max, uint64(want))
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return int(before.Cur), fmt.Errorf("setrlimit to %d: %w", r.Cur, err)
	}
	return int(r.Cur), nil
}

// usableCPUs are the CPUs that the process may run on, at least one.
func usableCPUs() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return []int{0}
	}
	var cpus []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	if len(cpus) == 0 {
		return []int{0}
	}
	return cpus
}
