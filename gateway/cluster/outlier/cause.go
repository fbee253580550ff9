package outlier

import "time"

// Cause is why an endpoint is found to be an outlier.
type Cause uint8

// The causes, in the order of Stats.
const (
	By5xx Cause = iota // failures in a row from here
	ByGatewayFailure
	ByLocalOriginFailure
	ByRefusal
	BySuccessRate // shares of an interval's requests from here
	ByLocalOriginSuccessRate
	ByFailurePercentage
	ByLocalOriginFailurePercentage
	CauseCount // how many there are

	rowCount = BySuccessRate
)

// String is the name that metrics and events have, that of Envoy's statistics.
func (c Cause) String() string {
	return [...]string{
		"consecutive_5xx", "consecutive_gateway_failure", "consecutive_local_origin_failure", "consecutive_refused",
		"success_rate", "local_origin_success_rate", "failure_percentage", "local_origin_failure_percentage",
	}[c]
}

// threshold is how many failures in a row eject; 0: none do.
func (c *Config) threshold(cause Cause) uint32 {
	switch cause {
	case By5xx:
		return uint32(c.Consecutive5xx)
	case ByGatewayFailure:
		return uint32(c.ConsecutiveGatewayFailure)
	case ByLocalOriginFailure:
		return uint32(c.ConsecutiveLocalOriginFailure)
	}
	return uint32(c.ConsecutiveRefused)
}

// interval is Interval, which must not be 0.
func (c *Config) interval() time.Duration {
	if c.Interval <= 0 {
		return 10 * time.Second
	}
	return c.Interval
}

// enforced is in how many percent of the cases the cause ejects.
func (c *Config) enforced(cause Cause) int {
	e := &c.Enforcing
	return [...]int{
		e.Consecutive5xx, e.ConsecutiveGatewayFailure, e.ConsecutiveLocalOriginFailure, 100,
		e.SuccessRate, e.LocalOriginSuccessRate, e.FailurePercentage, e.LocalOriginFailurePercentage,
	}[cause]
}
