//go:build !(amd64 || arm64) || race

package metrics

import "sync/atomic"

// store publishes the value of a single-writer number, in a way that the race
// detector and machines with narrower words understand.
func store(at *uint64, n uint64) { atomic.StoreUint64(at, n) }
