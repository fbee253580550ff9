package cluster

// How requests are shared among priorities and localities is Envoy's
// (intro/arch_overview/upstream/load_balancing/priority and locality_weight), but for
// its rounding to whole percent.

// defaultOverprovisioning is Spread.Overprovisioning's, in percent.
const defaultOverprovisioning = 140

// strength is how much of a priority or a locality is there: endpoints, or their
// weights.
type strength struct{ usable, all uint64 }

// health is the part of its requests that it can take, 0 to 1: its usable part times the
// factor of overprovisioning.
func (s strength) health(overprovisioning int) float64 {
	if s.all == 0 {
		return 0
	}
	if overprovisioning == 0 {
		overprovisioning = defaultOverprovisioning
	}
	return min(1, float64(s.usable)/float64(s.all)*float64(overprovisioning)/100)
}

// divide gives every priority, the first first, its part of the requests: as much as it can
// take, and the next ones what is left. When all together cannot take all, each
// gets its part of what they can, and those whose usable endpoints are
// fewer than panicThreshold percent are in panic: all of their endpoints are used. If all
// are, requests go by the number of endpoints.
//
// health is that of each priority, nodes its endpoints by number (panics are never decided by
// weights). loads and panics are filled in. available is the part of all requests that
// usable endpoints can take.
func divide(health []float64, nodes []strength, panicThreshold int, loads []float64, panics []bool) (available float64) {
	clear(loads)
	clear(panics)
	for _, h := range health {
		available += h
	}
	available = min(available, 1)
	if available < 1 && panicThreshold > 0 && panicking(nodes, panicThreshold, loads, panics) {
		return available
	}
	if available == 0 {
		return 0
	}
	left := 1.0
	for i, h := range health {
		loads[i] = min(left, h/available)
		left -= loads[i]
	}
	return available
}

// panicking finds the priorities that are in panic. If all are, it decides their loads, and
// reports so.
func panicking(nodes []strength, threshold int, loads []float64, panics []bool) (all bool) {
	all = true
	var total uint64
	for i, n := range nodes {
		panics[i] = n.usable*100 < uint64(threshold)*n.all
		all = all && (panics[i] || n.all == 0)
		total += n.all
	}
	if !all || total == 0 {
		return false
	}
	for i, n := range nodes {
		loads[i] = float64(n.all) / float64(total)
	}
	return true
}

// localities divides the requests of one priority by the weights of its
// localities, each times the part that it can take. It reports false when no locality has any
// weight: then they are no reason to divide.
func localities(weights []float64, parts []strength, overprovisioning int, shares []float64) bool {
	total := 0.0
	for i, w := range weights {
		shares[i] = w * parts[i].health(overprovisioning)
		total += shares[i]
	}
	if total == 0 {
		return false
	}
	for i := range shares {
		shares[i] /= total
	}
	return true
}

// byUsable divides requests by what is usable, as if there were no localities.
func byUsable(parts []strength, shares []float64) {
	var total uint64
	for _, p := range parts {
		total += p.usable
	}
	for i, p := range parts {
		shares[i] = 0
		if total > 0 {
			shares[i] = float64(p.usable) / float64(total)
		}
	}
}

// zoneAware divides requests so that the gateways' own locality, own, takes as many of
// them as the others' endpoints do not need to take for it. upstream and local
// are the parts of the endpoints and of the gateways that are in each locality; they sum to 1.
//
// If the own locality has as large a part of the endpoints as of the gateways, it takes all. If not,
// it takes what it can, and the rest goes to those that have more
// endpoints than gateways, in proportion to how many more.
func zoneAware(upstream, local []float64, own int, shares []float64) {
	clear(shares)
	if upstream[own] >= local[own] {
		shares[own] = 1
		return
	}
	shares[own] = upstream[own] / local[own]
	residual := 0.0
	for i := range shares {
		if i != own {
			residual += max(upstream[i]-local[i], 0)
		}
	}
	for i := range shares { // residual > 0: what upstream lacks here, it has there
		if i != own {
			shares[i] = (1 - shares[own]) * max(upstream[i]-local[i], 0) / residual
		}
	}
}
