package ledger

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Departure is that a cluster let go of an endpoint.
type Departure struct {
	Cluster string
	At      time.Time
}

// History remembers the endpoints that left last, so that one that was never here
// can be told from one that is here no more. A nil History remembers nothing.
type History struct {
	mu    sync.Mutex
	left  map[netip.AddrPort][]Departure
	order []netip.AddrPort // a ring of the addresses in left, from next on the oldest first
	next  int
}

// Bounds of a History: addresses, and clusters of each.
const (
	historySize     = 4096
	historyClusters = 8
)

// Left notes that a cluster let go of the endpoint.
func (h *History) Left(at netip.AddrPort, cluster string, when time.Time) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left == nil {
		h.left = map[netip.AddrPort][]Departure{}
	}
	all, known := h.left[at]
	all = slices.DeleteFunc(all, func(d Departure) bool { return d.Cluster == cluster })
	if len(all) == historyClusters {
		all = slices.Delete(all, 0, 1)
	}
	h.left[at] = append(all, Departure{cluster, when})
	switch {
	case known:
	case len(h.order) < historySize:
		h.order = append(h.order, at)
	default:
		delete(h.left, h.order[h.next])
		h.order[h.next] = at
		h.next = (h.next + 1) % historySize
	}
}

// Of is what is remembered of an endpoint, the last departure last.
func (h *History) Of(at netip.AddrPort) []Departure {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.left[at])
}
