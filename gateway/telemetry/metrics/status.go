package metrics

// What others know and the registry does not: they hand it over when numbers are read.

// Endpoints says how many endpoints of a cluster are in each state.
type Endpoints struct {
	Cluster                      string
	Healthy, Unhealthy, Draining int
	Ejected                      int        // otherwise healthy
	Checks                       *Checks    // nil: it has none
	Outliers                     []Outliers // one a cause; none without outlier detection
	OutliersOverflow             uint64     // outliers that were not ejected: too many are already
	Capacity                     float64    // part of the requests that the healthy ones can take, 0 to 1
	Switch                       Switch
	Panic                        bool        // some priority uses endpoints that are not healthy
	Groups                       []Group     // priorities and localities; nil: there is one
	Remaining                    []Remaining // of limits; nil: not tracked
}

// Group is the endpoints of one priority and locality.
type Group struct {
	Priority, Locality string
	Share              float64 // of the cluster's requests, 0 to 1
}

// Remaining is what is left of one limit.
type Remaining struct {
	Priority string // "default" or "high"
	Limit    Limit
	Left     int64
}

// Checks are the active checks of a cluster's endpoints, by what came of them. No answer, or not a
// complete one, is Unanswered.
type Checks struct{ Passed, Failed, Unanswered uint64 }

// Outliers are those found for one cause.
type Outliers struct {
	Cause             string
	Detected, Ejected uint64
	Active            int // ejected now
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
