package listener

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Clients bounds the connections of each client of a listener, over all workers. A
// client is an IPv4 address, or a network of 64 bits of IPv6, which is the least
// that anybody is given. It is passed once a connection, never on a request's path.
// A nil one bounds and counts nothing.
type Clients struct {
	max    atomic.Int64 // connections of one client at once
	seed   maphash.Seed
	shards [clientShards]clientShard
}

// clientShards keeps workers from waiting for each other.
const clientShards = 64

type clientShard struct {
	mu   sync.Mutex
	open map[netip.Addr]int
	_    [64 - 16]byte // shards lie on lines of their own
}

// NewClients makes one with that limit.
func NewClients(max int) *Clients {
	c := &Clients{seed: maphash.MakeSeed()}
	c.SetLimit(max)
	return c
}

// SetLimit changes the limit; what is open stays open.
func (c *Clients) SetLimit(max int) { c.max.Store(int64(max)) }

// Enter asks for one more connection of a client; each true must be answered by
// Leave.
func (c *Clients) Enter(address netip.Addr) bool {
	return c == nil || c.add(address, int(c.max.Load()))
}

// Count enters a connection that was there before the limit, whatever it is.
func (c *Clients) Count(address netip.Addr) {
	if c != nil {
		c.add(address, int(^uint(0)>>1))
	}
}

func (c *Clients) add(address netip.Addr, max int) bool {
	client := clientOf(address)
	s := c.shard(client)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.open[client]
	if n >= max {
		return false
	}
	if s.open == nil {
		s.open = map[netip.Addr]int{}
	}
	s.open[client] = n + 1
	return true
}

// Leave ends a connection.
func (c *Clients) Leave(address netip.Addr) {
	if c == nil {
		return
	}
	client := clientOf(address)
	s := c.shard(client)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.open[client]; n > 1 {
		s.open[client] = n - 1
	} else {
		delete(s.open, client)
	}
}

func (c *Clients) shard(client netip.Addr) *clientShard {
	return &c.shards[maphash.Comparable(c.seed, client)%clientShards]
}

// clientOf is whom an address belongs to.
func clientOf(a netip.Addr) netip.Addr {
	if a = a.Unmap(); !a.Is6() {
		return a
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return netip.Addr{} // there is none: 64 bits are in every address
	}
	return p.Addr()
}
