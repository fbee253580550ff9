package command

import "longmen/gateway/protocol/cdnloop"

// loopGuard is what the settings say of requests that come round. "auto" is another
// token in every process: two gateways with one name would refuse each other's requests.
func (s *Settings) loopGuard() cdnloop.Guard {
	g := cdnloop.Guard{ID: s.LoopGuard.ID, Hops: s.LoopGuard.Hops}
	switch g.ID {
	case "auto":
		g.ID = cdnloop.NewID()
	case "off":
		g.ID = ""
	}
	return g
}
