package supervisor

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"longmen/gateway/admin"
	"longmen/gateway/cluster"
	"longmen/gateway/standby"
	"longmen/gateway/telemetry/metrics"
)

// describeStandby shows the switches of all clusters that have one.
func (s *Supervisor) describeStandby() []admin.Standby {
	var all []admin.Standby
	s.eachCluster(func(c *cluster.Cluster) {
		if c.Standby() != nil {
			all = append(all, s.describeSwitch(c))
		}
	})
	return all
}

func (s *Supervisor) describeSwitch(c *cluster.Cluster) admin.Standby {
	p := c.Standby().Position()
	one := admin.Standby{
		Cluster: c.Config().Name, State: p.State.String(), Configured: p.Config.State.String(), Override: p.Override, Since: p.Since,
		Local: p.Config.Local, Forward: p.Config.Forward, To: p.Config.To,
		Capacity: percent(c.Hosts().Capacity()), Origin: c.Config().Origin,
	}
	if to := s.clusterNamed(p.Config.To); to != nil {
		one.ToCapacity = percent(to.Hosts().Capacity())
	}
	return one
}

func percent(part float64) int { return int(part*100 + 0.5) }

func (s *Supervisor) clusterNamed(name string) *cluster.Cluster {
	var found *cluster.Cluster
	s.eachCluster(func(c *cluster.Cluster) {
		if c.Config().Name == name {
			found = c
		}
	})
	return found
}

// switchStandby throws the switch of a cluster, or with "*" of all that have one, and
// waits until every worker has begun another turn: no request that begins afterwards
// follows what was before. Workers read the switch at every request, so there is nothing to
// be done there, and nothing that could be lost.
func (s *Supervisor) switchStandby(name, state string) (admin.StandbyChange, error) {
	s.mu.Lock() // no snapshot is applied meanwhile: the clusters stay what they are
	defer s.mu.Unlock()
	switched, err := s.switchable(name)
	if err != nil {
		return admin.StandbyChange{}, err
	}
	began := time.Now()
	for _, c := range switched {
		before, changed := c.Standby().Position().State, false
		switch state {
		case admin.StandbyActive:
			changed = c.Standby().Override(standby.Active, began)
		case admin.StandbyStandby:
			changed = c.Standby().Override(standby.Standby, began)
		default:
			changed = c.Standby().Clear()
		}
		if changed {
			s.log.Info("standby switched", "cluster", c.Config().Name, "from", before.String(), "to", c.Standby().Position().State.String(), "by", "admin")
		}
	}
	change := admin.StandbyChange{Workers: s.everyTurn()}
	change.Took = time.Since(began).Round(time.Microsecond).String()
	if change.Workers < len(s.workers) {
		return change, fmt.Errorf("%d of %d workers have taken notice: %w", change.Workers, len(s.workers), errStopped)
	}
	for _, c := range switched {
		change.Clusters = append(change.Clusters, s.describeSwitch(c))
	}
	return change, nil
}

// switchable finds the clusters whose switches are meant.
func (s *Supervisor) switchable(name string) ([]*cluster.Cluster, error) {
	var all []*cluster.Cluster
	known := false
	s.eachCluster(func(c *cluster.Cluster) {
		if name == "*" || c.Config().Name == name {
			known = true
			if c.Standby() != nil {
				all = append(all, c)
			}
		}
	})
	switch {
	case len(all) > 0:
		return all, nil
	case name == "*":
		return nil, fmt.Errorf("%w for any cluster", admin.ErrNoStandby)
	case known:
		return nil, fmt.Errorf("%w for cluster %q", admin.ErrNoStandby, name)
	}
	return nil, fmt.Errorf("%w: %q", admin.ErrNoCluster, name)
}

// everyTurn waits until every worker has ended the turn that is under way, and returns how many
// did; one that has stopped does not.
func (s *Supervisor) everyTurn() int {
	var all sync.WaitGroup
	var did atomic.Int64
	for _, w := range s.workers {
		all.Go(func() {
			if w.loop.Do(func() {}) {
				did.Add(1)
			}
		})
	}
	all.Wait()
	return int(did.Load())
}

func switchOf(c *cluster.Cluster) metrics.Switch {
	switch s := c.Standby(); {
	case s == nil:
		return metrics.SwitchNone
	case s.Position().State == standby.Standby:
		return metrics.SwitchStandby
	}
	return metrics.SwitchActive
}

// describeFailover shows how the requests of a cluster that fails over are shared now.
func (s *Supervisor) describeFailover(one *admin.Cluster, c *cluster.Cluster) {
	if len(c.Config().Failover) == 0 {
		return
	}
	available := []float64{c.Hosts().Capacity()}
	one.Failover = []admin.Share{{Cluster: one.Name}}
	for _, name := range c.Config().Failover {
		if to := s.clusterNamed(name); to != nil {
			available = append(available, to.Hosts().Capacity())
			one.Failover = append(one.Failover, admin.Share{Cluster: name})
		}
	}
	shares := make([]int, len(available))
	cluster.FailOver(available, shares)
	for i, share := range shares {
		one.Failover[i].Percent = share
	}
}
