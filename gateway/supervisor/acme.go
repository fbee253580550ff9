package supervisor

import (
	"longmen/gateway/snapshot"
	"longmen/tls/acme"
)

// order makes the snapshot's orders the ones that are kept. All workers answer
// challenges by then.
func (s *Supervisor) order(next *snapshot.Snapshot) {
	if s.orders == nil {
		if len(next.Orders) == 0 {
			return
		}
		s.orders = acme.NewManager(s.log, &s.challenges, s.issued)
	}
	if err := s.orders.Use(next.Orders); err != nil {
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
	if s.orders != nil {
		s.orders.Close()
	}
}
