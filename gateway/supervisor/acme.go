package supervisor

import (
	"longmen/gateway/snapshot"
	"longmen/gateway/telemetry/metrics"
	"longmen/tls/acme"
)

// order makes the snapshot's orders the ones that are kept. All workers answer
// challenges by then.
func (s *Supervisor) order(next *snapshot.Snapshot) {
	orders := s.orders.Load()
	if orders == nil {
		if len(next.Orders) == 0 {
			return
		}
		orders = acme.NewManager(s.log, &s.challenges, s.issued)
		s.orders.Store(orders)
	}
	if err := orders.Use(next.Orders); err != nil {
		s.log.Error("certificates cannot be ordered", "error", err)
	}
}

// issued is told of certificates that were issued or renewed.
func (s *Supervisor) issued() {
	if s.options.Issued != nil {
		s.options.Issued()
	}
}

// closeOrders gives up what is being ordered.
func (s *Supervisor) closeOrders() {
	if orders := s.orders.Load(); orders != nil {
		orders.Close()
	}
}

// acmeStats is what the metrics tell of what is ordered.
func (s *Supervisor) acmeStats() (stats metrics.ACME, there bool) {
	orders := s.orders.Load()
	if orders == nil {
		return stats, false
	}
	now := orders.Stats()
	stats = metrics.ACME{Ordered: now.Ordered, Renewed: now.Renewed, Failed: now.Failed}
	for _, name := range now.Names {
		if name.Issued {
			stats.Issued++
		} else {
			stats.Pending++
		}
	}
	return stats, true
}
