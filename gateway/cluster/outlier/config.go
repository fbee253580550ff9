// Package outlier finds endpoints that answer worse than others from what
// requests see of them, and takes them out of use for a while (Envoy's outlier
// detection).
package outlier

import "time"

// Config is a cluster's outlier detection: config.cluster.v3.OutlierDetection, compiled.
// There are no implied values: begin with Defaults. Percentages are 0..100.
type Config struct {
	// So many failures of a kind in a row, whichever worker sees them, eject an
	// endpoint at once. 0: that kind does not.
	Consecutive5xx            int // responses 5xx; default 5
	ConsecutiveGatewayFailure int // responses 502, 503 and 504; default 5
	// ConsecutiveLocalOriginFailure counts failures that are no response: a
	// connection that can't be made, is reset, or does not answer in time. It counts with
	// SplitLocalOrigin only; default 5.
	ConsecutiveLocalOriginFailure int
	// ConsecutiveRefused counts connections that are refused, and endpoints or networks that
	// the kernel has no way to: with nobody there to answer, there is no use in
	// asking five times. It counts besides what such a failure counts as anyway. Default 1.
	// Envoy does not have it.
	ConsecutiveRefused int

	// SplitLocalOrigin keeps failures that are no response apart from responses. Without
	// it a failure to connect or a reset counts as a response 503, and a timeout as 504.
	// Default false.
	SplitLocalOrigin bool

	Enforcing Enforcing

	SuccessRate       SuccessRate
	FailurePercentage FailurePercentage

	Interval time.Duration // between two looks at success rates; default 10 s
	// An ejection lasts BaseEjectionTime times the number of ejections lately, which
	// each Interval without one makes fewer by one; at most MaxEjectionTime; and a random
	// time up to MaxEjectionTimeJitter in addition. Defaults 30 s, 300 s (or
	// BaseEjectionTime, if that is longer) and 0.
	BaseEjectionTime, MaxEjectionTime, MaxEjectionTimeJitter time.Duration
	// MaxEjectionPercent of the cluster's endpoints may be ejected at once. Default 10.
	MaxEjectionPercent int
	// AlwaysEjectOneHost lets the first endpoint be ejected whatever MaxEjectionPercent
	// says. Default false: a cluster of fewer than ten endpoints ejects none at 10 %.
	AlwaysEjectOneHost bool
	// UnejectOnHealthy ends an ejection when an active check of the endpoint passes, and none
	// says that it is down (successful_active_health_check_uneject_host). Default true.
	UnejectOnHealthy bool

	// EventLog is a file that gets a JSON line for each ejection and its end; "": none. The
	// process log has them anyway. xDS has it once for all clusters, in the bootstrap.
	EventLog string
}

// Enforcing says in how many percent of the cases an endpoint that is found is ejected;
// the others are only counted and logged.
type Enforcing struct {
	Consecutive5xx                int // default 100
	ConsecutiveGatewayFailure     int // default 0
	ConsecutiveLocalOriginFailure int // default 100
	SuccessRate                   int // default 100
	LocalOriginSuccessRate        int // default 100
	FailurePercentage             int // default 0
	LocalOriginFailurePercentage  int // default 0
}

// SuccessRate finds endpoints whose share of successes in the last Interval lies
// below mean - StdevFactor/1000 × standard deviation of all.
type SuccessRate struct {
	MinimumHosts  int // with fewer endpoints that have RequestVolume, none is found; default 5
	RequestVolume int // an endpoint with fewer requests in the interval does not count; default 100
	StdevFactor   int // in thousandths; default 1900
}

// FailurePercentage finds endpoints of whose requests in the last Interval at least
// Threshold percent failed.
type FailurePercentage struct {
	Threshold     int // default 85
	MinimumHosts  int // default 5
	RequestVolume int // default 50
}

// Defaults is what an empty OutlierDetection message means.
func Defaults() Config {
	return Config{
		Consecutive5xx:                5,
		ConsecutiveGatewayFailure:     5,
		ConsecutiveLocalOriginFailure: 5,
		ConsecutiveRefused:            1,
		Enforcing: Enforcing{
			Consecutive5xx: 100, ConsecutiveLocalOriginFailure: 100, SuccessRate: 100, LocalOriginSuccessRate: 100,
		},
		SuccessRate:       SuccessRate{MinimumHosts: 5, RequestVolume: 100, StdevFactor: 1900},
		FailurePercentage: FailurePercentage{Threshold: 85, MinimumHosts: 5, RequestVolume: 50},
		Interval:          10 * time.Second,
		BaseEjectionTime:  30 * time.Second, MaxEjectionTime: 300 * time.Second,
		MaxEjectionPercent: 10,
		UnejectOnHealthy:   true,
	}
}
