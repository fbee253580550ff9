package router

import (
	"net/netip"

	"longmen/gateway/stream"
)

// Remembering routes.
//
// A lookup of literals costs as much as a look into a cache, and where it does not, with
// a large table whose memory is cold, neither is the cache's warm. (The figures
// are in docs/decisions.md.) A regular expression is another matter: it takes
// a hundred nanoseconds and more for each one that is tried. So lookups are remembered
// that came to a rule with one, and of these only those that may be: the ones that came
// to no rule that looks at more than the host, the method and the path. Which
// rules a lookup comes to depends on those before alone, so it would come to the same
// again. One that came to a condition on a header, a parameter, a cookie, an address
// or a share is done anew each time, whether or not the condition held.

// A Cache remembers a table's routes for one worker. It is no more than memory
// of what Find says, and forgets by being dropped with its table.
type Cache struct {
	table   *Table
	entries []remembered // nil until the first is needed
	looked  int          // into the entries, since counting began
	found   int          // how often with success
	resting int          // lookups until it looks again
}

// remembered is one lookup's outcome. It fills two cache lines. A whole key is
// compared: nobody shall be able to meet another's route by a hash.
type remembered struct {
	host   *host // nil: free
	route  *Route
	hash   uint32
	method uint8 // length, of the part of text that is the method
	size   uint8 // of text
	text   [rememberedText]byte
}

const (
	rememberedText = 106  // bytes of method and path; longer ones are not remembered
	cacheEntries   = 1024 // 128 KiB
	// When of cacheTrial looks fewer than one in cacheWorth succeeded, as paths
	// do not repeat, the cache rests for cacheRest lookups, which then cost what they
	// cost without it.
	cacheTrial = 1024
	cacheWorth = 4
	cacheRest  = 15 * cacheTrial
)

// NewCache makes a cache; nil when the table, which may be nil, has nothing that is
// worth one.
func (t *Table) NewCache() *Cache {
	if t == nil || !t.regexes {
		return nil
	}
	return &Cache{table: t}
}

// Find is the table's Find.
func (c *Cache) Find(r *stream.Request, client netip.Addr, rnd uint32) *Route {
	name := c.table.name(r)
	if name == nil {
		return nil
	}
	h := name.host
	s := search{request: r, client: client, rnd: rnd}
	size := len(r.Method) + len(r.Path)
	switch {
	case h.fallback.flags&regexed == 0 || len(r.Path) == 0 || size > rememberedText:
		h.find(&s)
		return s.route
	case c.resting > 0:
		c.resting--
		h.find(&s)
		return s.route
	case c.entries == nil:
		c.entries = make([]remembered, cacheEntries)
	}
	hash := fold(fold(hashSeed, r.Method), r.Path) ^ uint64(h.fallback.tag)*0xD6E8FEB86659FD93
	e := &c.entries[hash%cacheEntries]
	c.looked++
	if e.hash == uint32(hash>>32) && e.host == h && int(e.size) == size && int(e.method) == len(r.Method) &&
		string(e.text[:e.method]) == string(r.Method) && string(e.text[e.method:e.size]) == string(r.Path) {
		c.found++
		return e.route
	}
	h.find(&s)
	if s.seen&(regexed|outside) == regexed {
		e.host, e.route, e.hash, e.method, e.size = h, s.route, uint32(hash>>32), uint8(len(r.Method)), uint8(size)
		copy(e.text[copy(e.text[:], r.Method):], r.Path)
	}
	if c.looked >= cacheTrial {
		if c.found < cacheTrial/cacheWorth {
			c.resting = cacheRest
		}
		c.looked, c.found = 0, 0
	}
	return s.route
}
