package metrics

// What others know and the registry does not: they hand it over when numbers are read.

// Endpoints says how many endpoints of a cluster are in each state.
type Endpoints struct {
	Cluster                      string
	Healthy, Unhealthy, Draining int
	Capacity                     float64 // part of the requests that the healthy ones can take, 0 to 1
	Switch                       Switch
}

// Switch is where a cluster's switch of standby stands.
type Switch uint8

// The positions.
const (
	SwitchNone Switch = iota // it has none
	SwitchActive
	SwitchStandby
)

// AccessLog is the state of one access log, over all workers.
type AccessLog struct {
	Path string
	// Lines were written. Dropped ones were not, because the destination
	// was too slow or failed; Errors counts failed writes.
	Lines, Dropped, Bytes, Errors uint64
}
