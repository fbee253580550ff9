package cluster

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"longmen/gateway/cluster/dns"
	"longmen/gateway/cluster/health"
	"longmen/gateway/ledger"
)

// Runtime is what all clusters of a process share while they run: the resolver
// of names and the scheduler of health checks.
type Runtime struct {
	resolver resolver
	checks   *health.Scheduler
	dialer   func(*TCP) health.Dialer
	log      *slog.Logger
	changed  func(*Cluster)
	history  ledger.History
}

type resolver interface {
	Watch(ctx context.Context, name string, config *dns.Config, update func(dns.Result))
}

// NewRuntime starts the parts that clusters share. changed, if not nil, is
// called after a cluster has published a new HostSet, from one goroutine a
// cluster; it must not block, and not call back into the cluster's life (Close,
// Inherit). It is what tells workers to close connections to endpoints that are
// gone.
func NewRuntime(log *slog.Logger, changed func(*Cluster)) *Runtime {
	return &Runtime{
		resolver: dns.NewResolver("/etc/hosts", "/etc/resolv.conf"),
		checks:   health.NewScheduler(health.DefaultLimit),
		dialer:   dialer,
		log:      log,
		changed:  changed,
	}
}

// History remembers the endpoints that left clusters.
func (r *Runtime) History() *ledger.History { return &r.history }

// Close ends the runtime. Its clusters must be closed before.
func (r *Runtime) Close() { r.checks.Close() }

// dialer makes connections of health checks as requests' are made.
func dialer(tcp *TCP) health.Dialer {
	d := &net.Dialer{KeepAlive: -1}
	if tcp.Source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(tcp.Source, 0))
	}
	return d
}

// Start begins to resolve names and to check endpoints. A cluster that has
// neither needs no goroutine.
func (c *Cluster) Start(r *Runtime) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.runtime != nil {
		return
	}
	c.runtime, c.history = r, &r.history
	names := c.names()
	if len(names) == 0 && len(c.config.Health) == 0 {
		c.setReady()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	if len(c.config.Health) > 0 {
		c.group = r.checks.Group(r.dialer(&c.config.TCP))
		c.addChecks()
	}
	for _, name := range names {
		c.work.Go(func() {
			r.resolver.Watch(ctx, name, &c.config.DNS, func(result dns.Result) { c.resolved(name, result) })
		})
	}
	c.work.Go(func() { c.run(ctx) })
	c.note()
}

// addChecks has every endpoint checked that is not yet.
func (c *Cluster) addChecks() {
	if c.group == nil {
		return
	}
	for _, e := range c.order {
		if e.checks != nil {
			continue
		}
		var secure func(net.Conn, string, []string) (net.Conn, error)
		if c.config.TLS != nil {
			secure = c.config.TLS.Secure
		}
		for i := range c.config.Health {
			e.checks = append(e.checks, c.group.Add(health.Target{
				Config:   &c.config.Health[i],
				Address:  func() string { return e.Address().String() },
				Hostname: checkHost(e),
				Initial:  e.states[i],
				Secure:   secure,
				HTTP2:    c.config.Protocol == HTTP2Only,
				Report:   func(event health.Event) { c.checked(e, i, event) },
			}))
		}
	}
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
	healthy := e.Healthy()
	c.mu.Unlock()
	c.note()

	level := slog.LevelInfo
	switch {
	case event.New == health.Down:
		level = slog.LevelWarn
	case event.Old == health.Unchecked:
		level = slog.LevelDebug
	}
	c.runtime.log.Log(context.Background(), level, "health check",
		"cluster", c.config.Name, "endpoint", e.String(), "check", i,
		"old", event.Old.String(), "new", event.New.String(), "reason", event.Reason, "healthy", healthy)
}
