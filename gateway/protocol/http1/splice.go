package http1

import (
	"net/netip"

	"longmen/gateway/connection"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// Splice takes a connection whose bytes go to a cluster as they are, and come
// back so. name is the server name that it asked for. It counts and is logged as
// one stream without a request.
func (srv *Server) Splice(from *connection.Conn, remote, local netip.AddrPort, name, cluster string) {
	c := srv.connection()
	c.Conn.Take(from, c)
	srv.begin(c, remote, local)
	srv.loop.Disarm(&c.timer)
	c.phase = phaseStream
	st := srv.streams.get(srv.loop)
	c.st = st
	st.begin(c)
	st.Request.Spliced = true
	st.Request.Authority = append(st.Room(len(name)), name...)
	st.Request.Host = st.Request.Authority
	st.prepare()
	srv.loop.GoSoon(&splice{c, cluster})
}

// splice is a spliced connection until its end.
type splice struct {
	*serverConn
	cluster string
}

// Run connects to an endpoint and carries bytes.
func (p *splice) Run(co *worker.Coroutine) {
	c, st := p.serverConn, p.st
	defer c.guard()
	st.Co = co
	resp, err := st.call(func(s *stream.Stream) (*stream.Response, error) { return st.cfg.Splice(s, p.cluster) })
	if err != nil {
		st.Record.Err = stream.AsError(err)
		c.Close()
	} else {
		st.relay(co, resp.Upgraded)
	}
	c.conclude(resp, false)
}
