package proxy

import (
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/upstream"
)

// Splice connects a connection that is not HTTP, such as TLS that is passed
// through, to an endpoint of the cluster: the response's Upgraded is its other
// end. It runs on a coroutine.
func (e *Edge) Splice(s *stream.Stream, cluster string) (*stream.Response, error) {
	s.Record.Listener, s.Record.RouteOrigin = e.listener.Name, e.listener.Origin
	s.Client = s.Remote.Addr()
	c, err := e.named(cluster)
	if err != nil {
		return nil, err
	}
	routed := c
	c, why := routed.Onward(s, upstream.Client{})
	s.Record.Cluster = c.Config().Name
	x, err := e.proxy.prepare(s, &router.Route{Forward: &router.Forward{}}, nil, c, stream.Outgoing{})
	if err != nil {
		return nil, err
	}
	x.onward.routed, x.onward.why = routed, why
	x.ask(session{})
	return x.finish(s.Co)
}
