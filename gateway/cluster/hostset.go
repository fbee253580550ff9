package cluster

import "slices"

// HostSet is what a cluster consists of at one moment. It never changes; a
// change makes a new one, so that workers notice it by comparing pointers.
type HostSet struct {
	// Endpoints are all endpoints, in the order of the configuration, those of
	// one name in the order of their addresses.
	Endpoints []*Endpoint
	// Usable are those that new requests may go to: healthy and not draining;
	// or in panic all that are not draining. A balancer's indexes are its.
	Usable []*Endpoint
	// Weights has one entry for each of Usable, at least 1.
	Weights []uint32
	// Panic tells that too few endpoints are healthy to leave out the others.
	Panic bool
	// Available is the part of the cluster's requests that its healthy endpoints can take, 0 to 1:
	// over all priorities, overprovisioning included. The rest is for those it fails over to.
	Available float64
	// Version counts the host sets of the clusters of one name.
	Version uint64
}

// newHostSet sorts out the endpoints. panicThreshold is a percentage.
func newHostSet(endpoints []*Endpoint, panicThreshold int) *HostSet {
	h := &HostSet{Endpoints: endpoints}
	serving := 0
	for _, e := range endpoints {
		if e.Config().Draining {
			continue
		}
		serving++
		if e.Healthy() {
			h.Usable = append(h.Usable, e)
		}
	}
	if serving > 0 {
		h.Available = min(1, float64(len(h.Usable))/float64(serving)*1.4)
	}
	if len(h.Usable) < serving && len(h.Usable)*100 < panicThreshold*serving {
		h.Panic = true
		h.Usable = h.Usable[:0]
		for _, e := range endpoints {
			if !e.Config().Draining {
				h.Usable = append(h.Usable, e)
			}
		}
	}
	h.Weights = make([]uint32, len(h.Usable))
	for i, e := range h.Usable {
		h.Weights[i] = e.weight()
	}
	return h
}

// same tells that workers need not learn of the difference, if there is any.
func (h *HostSet) same(other *HostSet) bool {
	return h.Panic == other.Panic && h.Available == other.Available && slices.Equal(h.Weights, other.Weights) &&
		slices.Equal(h.Usable, other.Usable) && slices.Equal(h.Endpoints, other.Endpoints)
}
