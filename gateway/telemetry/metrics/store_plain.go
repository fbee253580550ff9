//go:build (amd64 || arm64) && !race

package metrics

// store publishes the value of a single-writer number. An aligned word is written
// whole on these machines, and Go's memory model lets a racing reader of a
// word see only values that were written; so an ordinary store is enough. It
// matters: sync/atomic's store is a locked exchange on amd64, ten times the
// price, twenty times a request.
func store(at *uint64, n uint64) { *at = n }
