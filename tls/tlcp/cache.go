package tlcp

import (
	"container/list"
	"hash/maphash"
	"sync"
	"time"
)

const cacheShards = 16

// Cache is a SessionCache in memory for all workers: bounded, in shards of which each
// forgets what was not used for longest.
type Cache struct {
	lifetime time.Duration
	seed     maphash.Seed
	shards   [cacheShards]cacheShard
}

type cacheShard struct {
	mu      sync.Mutex
	size    int // most entries
	entries map[string]*list.Element
	recent  list.List // of *cacheEntry, the last used first
}

type cacheEntry struct {
	key     string
	session *Session
}

// NewCache is a cache of at most size sessions (at least 16), each for at most lifetime
// after its full handshake. GB/T 38636 leaves the lifetime open; RFC 5246 §F.1.4 says at most
// a day.
func NewCache(size int, lifetime time.Duration) *Cache {
	c := &Cache{lifetime: lifetime, seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].size = max(size/cacheShards, 1)
		c.shards[i].entries = map[string]*list.Element{}
	}
	return c
}

func (c *Cache) shard(key string) *cacheShard {
	return &c.shards[maphash.String(c.seed, key)%cacheShards]
}

// Load implements SessionCache.
func (c *Cache) Load(key string, now time.Time) *Session {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	element := s.entries[key]
	if element == nil {
		return nil
	}
	session := element.Value.(*cacheEntry).session
	if now.Sub(session.created) > c.lifetime {
		s.remove(element)
		return nil
	}
	s.recent.MoveToFront(element)
	return session
}

// Store implements SessionCache.
func (c *Cache) Store(key string, session *Session) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if element := s.entries[key]; element != nil {
		element.Value.(*cacheEntry).session = session
		s.recent.MoveToFront(element)
		return
	}
	if s.recent.Len() >= s.size {
		s.remove(s.recent.Back())
	}
	s.entries[key] = s.recent.PushFront(&cacheEntry{key, session})
}

// Remove implements SessionCache.
func (c *Cache) Remove(key string) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if element := s.entries[key]; element != nil {
		s.remove(element)
	}
}

// Len counts the sessions, those too old included.
func (c *Cache) Len() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += s.recent.Len()
		s.mu.Unlock()
	}
	return n
}

func (s *cacheShard) remove(element *list.Element) {
	delete(s.entries, element.Value.(*cacheEntry).key)
	s.recent.Remove(element)
}
