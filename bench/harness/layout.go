package harness

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Layout says which CPUs run what; an empty list leaves it to the kernel.
type Layout struct {
	Proxy, Client, Origin []int
}

// NewLayout divides the CPUs that this process may use.
//
//	shared   client, origin and proxy are all on the first CPUs, one for each
//	         worker of the proxy
//	split    the proxy has the first CPUs, one for each worker, to itself; the
//	         client has the next and the origin the rest
//	none     no pinning
//
// Empty is split where client and origin can have a CPU each, and shared
// elsewhere: two programs on one CPU are slower than a fast proxy, which would
// then be charged for waiting and waking.
func NewLayout(kind string, workers int) (Layout, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return Layout{}, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var cpus []int
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return divide(kind, workers, cpus)
}

func divide(kind string, workers int, cpus []int) (Layout, error) {
	if kind == "" {
		kind = "shared"
		if len(cpus) >= workers+2 {
			kind = "split"
		}
	}
	switch kind {
	case "none":
		return Layout{}, nil
	case "shared":
		all := cpus[:min(workers, len(cpus))]
		return Layout{all, all, all}, nil
	case "split":
		if len(cpus) < workers+1 {
			return Layout{}, fmt.Errorf("layout split wants a CPU for each of %d workers and one more, and there are %d: use shared", workers, len(cpus))
		}
		l := Layout{Proxy: cpus[:workers]}
		rest := cpus[workers:]
		l.Client, l.Origin = rest, rest
		if len(rest) > 1 {
			l.Client, l.Origin = rest[:1], rest[1:]
		}
		return l, nil
	}
	return Layout{}, fmt.Errorf("unknown layout %q: want split, shared or none", kind)
}
