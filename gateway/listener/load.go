package listener

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"longmen/gateway/telemetry/metrics"
)

// Load is what the acceptors of one worker heed while the gateway is overloaded. It
// belongs to the worker's loop. The zero value is no overload.
type Load struct {
	Pause  bool   // connections wait in the backlog
	Refuse uint64 // of 1<<32 connections, so many are refused
}

// refuses draws whether a connection is one of those.
func (l *Load) refuses() bool { return l.Refuse != 0 && uint64(rand.Uint32()) < l.Refuse }

// enter passes every limit, or none: then it tells which one refuses. RefusalCount
// is no refusal.
func (l *Limits) enter(now time.Time, client netip.Addr) metrics.Refusal {
	switch {
	case l.Load.refuses():
		return metrics.RefusedOverload
	case !l.Own.InRate(now):
		return metrics.RefusedRate
	case !l.Global.Enter():
		return metrics.RefusedGlobalLimit
	case !l.Own.Enter():
		l.Global.Leave()
		return metrics.RefusedListenerLimit
	case !l.Clients.Enter(client):
		l.Own.Leave()
		l.Global.Leave()
		return metrics.RefusedClientLimit
	}
	return metrics.RefusalCount
}

// Leave takes back what was passed, when a connection ends.
func (l *Limits) Leave(client netip.Addr) {
	l.Clients.Leave(client)
	l.Own.Leave()
	l.Global.Leave()
}
