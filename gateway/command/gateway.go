package command

import (
	"longmen/gateway/cluster"
	"longmen/gateway/supervisor"
	"longmen/gateway/telemetry/exposition"
)

// startGateway makes the gateway that "run" runs.
func startGateway(r *runner) (gateway, error) {
	s := r.settings
	version, revision := build()
	return supervisor.New(supervisor.Options{
		Workers:        int(s.Workers),
		Pin:            s.Pin,
		AdminBind:      s.Admin.Bind,
		DrainTimeout:   s.Drain.Timeout,
		MaxConnections: s.Limits.Connections,
		MaxFiles:       s.Limits.Files,
		Overload:       s.Overload,
		Watchdog:       s.Watchdog,
		LoopGuard:      s.loopGuard(),
		Locality:       cluster.Locality{Region: s.Locality.Region, Zone: s.Locality.Zone, SubZone: s.Locality.SubZone},
		Gateways:       s.Locality.Gateways,
		Log:            r.log,
		Level:          r.level,
		Build:          exposition.Build{Version: version, Revision: revision},
		ConfigDump:     r.dump,
		Issued: func() {
			select {
			case r.issued <- struct{}{}:
			default: // one is waiting already
			}
		},
	})
}
