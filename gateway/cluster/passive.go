package cluster

import (
	"time"

	"longmen/gateway/cluster/outlier"
)

// Outliers is the cluster's outlier detection; nil: none. Another version of the
// cluster goes on with the same one.
func (c *Cluster) Outliers() *outlier.Detector { return c.outliers }

// Outlier is what outlier detection knows of the endpoint.
func (e *Endpoint) Outlier() *outlier.Host { return &e.outlier }

// MarkUsed notes that the cluster has had a request, for health.Config.NoTraffic.
func (c *Cluster) MarkUsed() {
	if !c.used.Load() {
		c.used.Store(true)
	}
}

// maxDoubts is how many connect failures may wait to be looked at. A flood of more of them
// is of endpoints that are among these already, or checked soon enough.
const maxDoubts = 64

// ConnectFailed notes that a connection to an endpoint of the cluster could not be made,
// and has the endpoint checked at once. Workers call it; it does not block.
func (c *Cluster) ConnectFailed(e *Endpoint, now time.Time) {
	e.ReportConnectFailure(now)
	if len(c.config.Health) == 0 {
		return
	}
	select {
	case c.doubts <- e:
	default:
	}
}

// doubt has an endpoint checked at once.
func (c *Cluster) doubt(e *Endpoint) {
	c.mu.Lock()
	checks := e.checks
	c.mu.Unlock()
	for _, check := range checks {
		check.Doubt()
	}
}

// newOutliers makes the detector of a configuration; nil: it has none.
func newOutliers(config *Config) *outlier.Detector {
	if config.Outlier == nil {
		return nil
	}
	return outlier.New(config.Outlier)
}

// watch has an endpoint of the cluster watched, unwatch ends that.
func (c *Cluster) watch(e *Endpoint) {
	if c.outliers != nil {
		c.outliers.Add(&e.outlier)
	}
}

func (c *Cluster) unwatch(e *Endpoint) {
	if c.outliers != nil {
		c.outliers.Remove(&e.outlier)
	}
}

// inheritOutliers goes on with the detector of previous and what that knows, as far as
// both have one. The endpoints are previous' still.
func (c *Cluster) inheritOutliers(previous *Cluster) {
	if c.outliers != nil && previous.outliers != nil {
		c.outliers = previous.outliers
		c.outliers.Configure(c.config.Outlier)
		return
	}
	c.outliers = newOutliers(c.config) // without the endpoints of New
	for _, all := range []map[key]*Endpoint{c.endpoints, c.destinations} {
		for _, e := range all {
			previous.unwatch(e)
			c.unwatch(e) // destinations may be among both
			c.watch(e)
			c.changes = append(c.changes, e)
		}
	}
}

// ejected notes an ejection or its end.
func (c *Cluster) ejected(event outlier.Event) {
	e := event.Host.Owner.(*Endpoint)
	if e.Gone() {
		return
	}
	c.touch(e)
	c.logEjection(e, event)
}
