package supervisor

import (
	"longmen/gateway/admin"
	"longmen/gateway/cluster"
	"longmen/gateway/cluster/outlier"
	"longmen/gateway/telemetry/metrics"
)

// countHealth adds what checks and outlier detection have counted.
func countHealth(n *metrics.Endpoints, c *cluster.Cluster) {
	if len(c.Config().Health) > 0 {
		stats := c.HealthStats()
		n.Checks = &metrics.Checks{Passed: stats.Successes, Failed: stats.Failures - stats.NetworkFailures, Unanswered: stats.NetworkFailures}
	}
	d := c.Outliers()
	if d == nil {
		return
	}
	stats := d.Stats()
	n.OutliersOverflow = stats.Overflow
	for cause := range outlier.CauseCount {
		n.Outliers = append(n.Outliers, metrics.Outliers{Cause: cause.String(), Detected: stats.Detected[cause], Ejected: stats.Enforced[cause], Active: stats.Active[cause]})
	}
}

// ejectionOf describes the last ejection of an endpoint; nil: there was none.
func ejectionOf(e *cluster.Endpoint) *admin.Ejection {
	last := e.Outlier().Ejection()
	if last.Times == 0 {
		return nil
	}
	return &admin.Ejection{Active: last.Active, Cause: last.Cause.String(), Reason: last.Reason, Since: last.Since, Until: last.Until, Times: last.Times}
}
