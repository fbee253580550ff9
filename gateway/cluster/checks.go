package cluster

import (
	"net"
	"strconv"
	"time"

	"longmen/gateway/cluster/health"
)

// addChecks has every endpoint checked that is not yet.
func (c *Cluster) addChecks() {
	if c.group == nil {
		return
	}
	for _, e := range c.order {
		if e.checks == nil {
			c.addChecksOf(e)
		}
	}
}

func (c *Cluster) addChecksOf(e *Endpoint) {
	checks := len(c.config.Health)
	if e.Config().Unchecked {
		checks = 0
	}
	if len(e.states) != checks {
		e.forget(checks)
		c.changes = append(c.changes, e)
	}
	var secure func(net.Conn, string, []string) (net.Conn, error)
	if c.config.TLS != nil {
		secure = c.config.TLS.Secure
	}
	for i := range checks {
		e.checks = append(e.checks, c.group.Add(health.Target{
			Config:   &c.config.Health[i],
			Address:  e.checkAddress,
			Host:     e.Config().HealthHostname,
			Hostname: checkHost(e),
			Initial:  e.states[i],
			Secure:   secure,
			HTTP2:    c.config.Protocol == HTTP2Only,
			Used:     c.used.Load,
			Report:   func(event health.Event) { c.checked(e, i, event) },
			Result:   func(err error) { c.result(e, i, err) },
		}))
	}
}

// checkAddress is where checks go.
func (e *Endpoint) checkAddress() string {
	at, config := e.Address(), e.Config()
	host, port := at.Addr().String(), at.Port()
	if config.HealthHost != "" {
		host = config.HealthHost
	}
	if config.HealthPort != 0 {
		port = config.HealthPort
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// checkHost is the Host field of checks; "" is the address.
func checkHost(e *Endpoint) string {
	host, config := e.Hostname(), e.Config()
	if host != "" && config.Hostname == "" && config.Port != 80 {
		return net.JoinHostPort(host, strconv.Itoa(int(config.Port)))
	}
	return host
}

// checked notes a change of one check's state.
func (c *Cluster) checked(e *Endpoint, i int, event health.Event) {
	c.mu.Lock()
	if e.Gone() || c.ended {
		c.mu.Unlock()
		return
	}
	e.states[i] = event.New
	e.judge(time.Now(), event.Reason)
	c.changes = append(c.changes, e)
	healthy := e.Healthy()
	c.mu.Unlock()
	c.note()
	c.logChange(e, i, event, healthy)
}

// result notes what a check came to.
func (c *Cluster) result(e *Endpoint, i int, err error) {
	if e.Gone() {
		return
	}
	c.logResult(e, i, err)
	if err == nil && c.outliers != nil && e.Health().State != health.Down {
		c.outliers.Healthy(&e.outlier)
	}
}
