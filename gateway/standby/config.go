// Package standby is the switch between two states of a cluster. An active one
// serves its requests itself. One in standby keeps a small share of them,
// so that its endpoints, and what they are connected to, stay warm, and forwards the
// rest to another cluster: the endpoints, or the gateway, of the side that is active.
package standby

import "time"

// State is what a cluster does with its requests.
type State uint8

// The states.
const (
	Active  State = iota // it serves all of them
	Standby              // it keeps Config.Local percent and forwards the rest
)

func (s State) String() string { return [...]string{"active", "standby"}[s] }

// Config is the standby of one cluster. A cluster without one is always active.
type Config struct {
	// State is the one that the configuration asks for: it holds until the admin API asks
	// for another, and again when that is withdrawn. Written in gateway.yaml as
	// `state: active | standby`; default there: standby, for who writes
	// `standby: {local: 1, forward: 99, to: active}` says that this is a standby.
	State State
	// Local and Forward are percentages, 0 to 100, of the requests that stay and that go on
	// to To while the state is Standby. They add up to 100. Default 1 and 99.
	Local, Forward int
	// To names the cluster that requests are forwarded to. It is not the cluster itself. Its
	// own standby does not count for what is forwarded to it, its failover does.
	To string
	// Warm is how many connections each worker keeps open to every endpoint of both
	// clusters, in either state, whether or not there are requests; 0 to 64. Default 1.
	Warm int
	// WarmEvery is how often that is looked after: connections that an endpoint closed are made
	// anew by then. At least 100 ms; default 5 s. With 0 connections to keep it does nothing.
	WarmEvery time.Duration
}

// Defaults of Config.
const (
	DefaultLocal     = 1
	DefaultForward   = 99
	DefaultWarm      = 1
	DefaultWarmEvery = 5 * time.Second

	MostWarm        = 64
	LeastWarmEvery  = 100 * time.Millisecond
	LongestWarmWait = time.Hour // bound of WarmEvery
)
