package cluster

import (
	"net/netip"
	"time"
)

// Defaults of OriginalDestination.
const (
	defaultUnused           = 5 * time.Second
	defaultMostDestinations = 4096
)

func (o *OriginalDestination) unused() time.Duration {
	if o.Unused > 0 {
		return o.Unused
	}
	return defaultUnused
}

// Destination finds or makes the endpoint of an address that a connection was going
// to, for Discovery OriginalDst; nil when there are as many as there may be. A
// new one is in the host set a moment later. Any goroutine may call it; a worker keeps what it
// got and calls Use.
func (c *Cluster) Destination(at netip.AddrPort, now time.Time) *Endpoint {
	at = c.Redirect(at)
	k := key{address: at}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil
	}
	most := c.config.OriginalDestination.Most
	if most == 0 {
		most = defaultMostDestinations
	}
	e := c.destinations[k]
	if e == nil {
		if len(c.destinations) >= most {
			return nil
		}
		config := &EndpointConfig{Host: at.Addr().String(), Port: at.Port(), Weight: 1, Origin: c.config.Origin}
		e = newEndpoint(c.ids.take(), k, at, config, len(c.config.Health))
		c.destinations[k] = e
		c.watch(e)
		c.stale = true
		c.note()
	}
	e.Use(now)
	return e
}

// Redirect is the address of the endpoint that Destination makes for another one.
func (c *Cluster) Redirect(at netip.AddrPort) netip.AddrPort {
	port := at.Port()
	if c.config.OriginalDestination.Port != 0 {
		port = c.config.OriginalDestination.Port
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), port)
}

// forgetDestinations lets go of those that were not used for long. What is on
// its way to them goes on.
func (c *Cluster) forgetDestinations(now time.Time) {
	unused := int64(c.config.OriginalDestination.unused() / time.Second)
	for k, e := range c.destinations {
		if now.Unix()-e.used.Load() > unused {
			delete(c.destinations, k)
			c.stale = true
		}
	}
}

// Use notes that a request goes to the endpoint of Destination.
func (e *Endpoint) Use(now time.Time) {
	if seconds := now.Unix(); e.used.Load() != seconds {
		e.used.Store(seconds)
	}
}
