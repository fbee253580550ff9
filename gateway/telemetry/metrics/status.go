package metrics

// What others know and the registry does not: they hand it over when numbers are read.

// Endpoints says how many endpoints of a cluster are in each state.
type Endpoints struct {
	Cluster                      string
	Healthy, Unhealthy, Draining int
}

// AccessLog is the state of one access log, over all workers.
type AccessLog struct {
	Path string
	// Lines were written. Dropped ones were not, because the destination
	// was too slow or failed; Errors counts failed writes.
	Lines, Dropped, Bytes, Errors uint64
}
