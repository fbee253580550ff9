package supervisor

import (
	"errors"
	"time"

	"longmen/gateway/admin"
	"longmen/gateway/cluster"
	"longmen/gateway/telemetry/exposition"
	"longmen/gateway/telemetry/metrics"
)

// startAdmin starts the admin API.
func (s *Supervisor) startAdmin() error {
	o := &s.options
	if o.AdminBind == "off" {
		return nil
	}
	exporter := exposition.New(exposition.Sources{
		Registry: s.registry, Build: o.Build, Started: time.Now(),
		Endpoints: s.endpointCounts, AccessLogs: s.logs.Stats, Certificates: s.certificateExpiries, TLSPool: s.tlsPool, ACME: s.acmeStats,
		Overload: s.overloadStats,
	})
	server := admin.New(admin.Options{
		Bind: o.AdminBind, Log: o.Log, Build: o.Build, Level: o.Level, Exporter: exporter, Registry: s.registry,
		Ready: s.ready, Live: s.live, ConfigDump: o.ConfigDump,
		Clusters: s.describeClusters, Listeners: s.describeListeners, Certificates: s.describeCertificates, Ledger: s.Ledger,
		Overload: s.describeOverload,
		Drain:    s.Drain, Draining: s.drainState, Standby: s.describeStandby, SwitchStandby: s.switchStandby,
	})
	at, err := server.Start()
	if err != nil {
		return err
	}
	s.admin = server
	o.Log.Info("admin API", "address", at.String())
	return nil
}

func (s *Supervisor) ready() (bool, string) {
	switch {
	case s.draining.Load() != nil:
		return false, "draining"
	case s.current.Load() == nil:
		return false, "starting"
	}
	return true, ""
}

// liveLimit is how long a loop may be held up before only a restart is thought
// to help.
const liveLimit = 30 * time.Second

var errStuck = errors.New("a worker is held up")

func (s *Supervisor) live() error {
	for _, w := range s.workers {
		if w.loop.BusyFor() > liveLimit {
			return errStuck
		}
	}
	return nil
}

func (s *Supervisor) endpointCounts() []metrics.Endpoints {
	var all []metrics.Endpoints
	s.eachCluster(func(c *cluster.Cluster) {
		n := metrics.Endpoints{Cluster: c.Config().Name, Capacity: c.Hosts().Capacity(), Switch: switchOf(c)}
		for _, e := range c.Hosts().Endpoints {
			switch {
			case e.Config().Draining:
				n.Draining++
			case e.Usable():
				n.Healthy++
			case e.Healthy() && e.Outlier().Ejected():
				n.Ejected++
			default:
				n.Unhealthy++
			}
		}
		countHealth(&n, c)
		countSpread(&n, c)
		all = append(all, n)
	})
	return all
}

func (s *Supervisor) eachCluster(f func(*cluster.Cluster)) {
	current := s.current.Load()
	if current == nil {
		return
	}
	for _, c := range current.Clusters {
		if c != nil {
			f(c)
		}
	}
}

func (s *Supervisor) describeClusters() []admin.Cluster {
	var all []admin.Cluster
	s.eachCluster(func(c *cluster.Cluster) {
		config := c.Config()
		one := admin.Cluster{
			Name: config.Name, Origin: config.Origin,
			Discovery: [...]string{"static", "strict_dns", "logical_dns", "original_dst"}[config.Discovery],
			Balance:   config.Balance.String(),
			Protocol:  config.Protocol.String(),
		}
		describeSpread(&one, c)
		if c.Standby() != nil {
			position := s.describeSwitch(c)
			one.Standby = &position
		}
		s.describeFailover(&one, c)
		for _, e := range c.Hosts().Endpoints {
			one.Endpoints = append(one.Endpoints, describeEndpoint(e, len(config.Health) > 0))
		}
		all = append(all, one)
	})
	return all
}

func describeEndpoint(e *cluster.Endpoint, checked bool) admin.Endpoint {
	config, health := e.Config(), e.Health()
	d := admin.Endpoint{
		Address: e.Address().String(), Health: "unknown", Reason: health.Reason,
		Weight: max(config.Weight, 1), Active: int(e.Active.Load()), Origin: config.Origin, Ejection: ejectionOf(e),
		Priority: config.Priority, Locality: config.Locality.String(), Percent: e.Percent(),
	}
	if average, failed := e.Latency.Average(), e.Latency.Failures(); average > 0 {
		ms := float64(average) / 1e6
		d.Average, d.Failed = &ms, &failed
	}
	for _, l := range config.Labels {
		d.Labels = append(d.Labels, l.Key+"="+l.Value)
	}
	switch {
	case config.Draining:
		d.Health = "draining"
	case !health.Healthy || config.Down:
		d.Health = "unhealthy"
	case e.Outlier().Ejected():
		d.Health = "ejected"
	case checked:
		d.Health = "healthy"
	}
	return d
}

func (s *Supervisor) describeListeners() []admin.Listener {
	current := s.current.Load()
	if current == nil {
		return nil
	}
	var all []admin.Listener
	for _, l := range current.Listeners {
		one := admin.Listener{Name: l.Name, Origin: l.Origin, Routes: l.RoutesName, Version: current.Version, Draining: s.draining.Load() != nil}
		for _, at := range l.Binds {
			one.Addresses = append(one.Addresses, at.String())
		}
		all = append(all, one)
	}
	return all
}
