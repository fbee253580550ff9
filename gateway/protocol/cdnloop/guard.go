package cdnloop

import (
	"crypto/rand"
	"encoding/hex"
)

// Guard is what a gateway does about requests that come round.
type Guard struct {
	// ID is the gateway's own identifier: the same for all instances that stand for one
	// gateway, and another one for each other gateway. "" turns the guard off.
	ID string
	// Hops is how many identifiers a request may come with; one with more is refused, whoever
	// they are. 0 is the default, 10.
	Hops int
}

// DefaultHops is the default of Guard.Hops, MostHops its bound.
const (
	DefaultHops = 10
	MostHops    = 255
)

// NewID makes an identifier that no other gateway has. It is another one in every
// process: a request that comes round to the same instance is known, one that comes to
// another instance of the same gateway is so by then.
func NewID() string {
	var id [8]byte
	rand.Read(id[:])
	return "longmen-" + hex.EncodeToString(id[:])
}
