package command

import (
	"fmt"

	"longmen/gateway/admin"
	"longmen/gateway/cluster"
	"longmen/gateway/router"
)

// onward says where requests to the clusters of a rule go on to: by standby, by failover.
func (e *explanation) onward(f *router.Forward) {
	for _, t := range f.Clusters {
		config := e.snapshot.Clusters[t.Cluster.Slot].Config()
		if config.Standby != nil {
			e.standby(config)
			if slot, ok := e.snapshot.ClusterSlots[config.Standby.To]; ok {
				e.failover(e.snapshot.Clusters[slot].Config())
			}
		}
		e.failover(config)
	}
}

// standby says what a cluster keeps, and by whose word.
func (e *explanation) standby(config *cluster.Config) {
	s := config.Standby
	state, by := s.State.String(), ""
	if live := e.health[config.Name].Standby; live != nil {
		state = live.State
		if live.Override {
			by = "by the admin API"
		}
	}
	if state == admin.StandbyActive {
		e.line("standby", config.Name+" is active: it keeps all, and would forward to "+s.To, by)
		return
	}
	e.line("standby", fmt.Sprintf("%s keeps %d %%, %d %% go to %s  %s", config.Name, s.Local, s.Forward, s.To, e.endpointsOf(s.To)), by)
}

// failover says who takes what the cluster's healthy endpoints cannot, and of a running gateway
// how much that is now.
func (e *explanation) failover(config *cluster.Config) {
	if len(config.Failover) == 0 {
		return
	}
	if live := e.health[config.Name].Failover; live != nil {
		var parts []string
		for _, share := range live {
			parts = append(parts, fmt.Sprintf("%s %d %%  %s", share.Cluster, share.Percent, e.endpointsOf(share.Cluster)))
		}
		e.line("failover", parts...)
		return
	}
	parts := []string{"what " + config.Name + " cannot take:"}
	for _, name := range config.Failover {
		parts = append(parts, name+"  "+e.endpointsOf(name))
	}
	e.line("failover", parts...)
}

func (e *explanation) endpointsOf(name string) string {
	slot, ok := e.snapshot.ClusterSlots[name]
	if !ok {
		return "(no such cluster)"
	}
	return e.endpoints(router.ClusterRef{Name: name, Slot: slot})
}
