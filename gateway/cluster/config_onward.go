package cluster

// LoopGuard says whether requests to a cluster carry the gateway's own token in
// CDN-Loop (RFC 8586), so that one that comes round is known and refused (508).
// Requests that arrive are looked at whatever it says.
type LoopGuard uint8

// The modes. Default auto: a token tells whoever gets it that a gateway of that name
// was there, so it goes only where a request can come back from.
const (
	// LoopGuardAuto sends it to clusters that others fail over to, or forward to in
	// standby: other gateways, as far as one can know.
	LoopGuardAuto LoopGuard = iota
	LoopGuardOn
	LoopGuardOff
)

func (g LoopGuard) String() string { return [...]string{"auto", "on", "off"}[g] }

// MostFailover bounds Config.Failover.
const MostFailover = 16
