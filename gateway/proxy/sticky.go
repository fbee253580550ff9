package proxy

import (
	"net/netip"
	"time"

	"longmen/gateway/router"
	"longmen/gateway/stream"
)

// session is what a sticky cookie says; without a target, there is none.
type session struct {
	target  *router.WeightedCluster
	at      netip.AddrPort
	expires uint32 // in seconds since 1970; 0: never
}

// session reads the client's cookie. Only what the gateway itself has sealed counts, and
// only a cluster that the route gives requests to: who is taken out of it, or set to
// weight 0, loses its clients.
func (e *Edge) session(s *stream.Stream, f *router.Forward) session {
	k := f.Sticky
	value, ok := router.CookieValue(&s.Request.Header, k.Name)
	if !ok {
		return session{}
	}
	said, ok := k.Open(s.Room(2*router.MaxSessionCookie+len(k.Name)), value, s.Loop.Wall().Unix())
	if !ok {
		return session{}
	}
	for i := range f.Clusters {
		if t := &f.Clusters[i]; t.Weight > 0 && router.ClusterID(t.Cluster.Name) == said.Cluster {
			return session{t, said.Endpoint, said.Expires}
		}
	}
	return session{}
}

// keep gives the client a cookie that names where its response came from, unless it
// has one that does. One whose time is half over is renewed.
func (x *exchange) keep(h *stream.Header) {
	k, kept := x.forward.Sticky, &x.affinity.kept
	at, now := x.conn.Endpoint().Address(), x.s.Loop.Wall()
	if kept.target == x.target && kept.at == at && (k.TTL <= 0 || int64(kept.expires)-now.Unix() > int64(k.TTL/time.Second)/2) {
		return
	}
	said := router.Session{Cluster: router.ClusterID(x.target.Cluster.Name), Endpoint: at}
	if k.TTL > 0 {
		said.Expires = uint32(now.Add(k.TTL).Unix())
	}
	value := k.Seal(x.s.Room(router.MaxSessionCookie), said)
	h.Add("set-cookie", appendCookie(x.s.Room(256), k.Name, value, &k.Cookie))
}

// bound reports whether the request must not go anywhere but to its session's
// endpoint.
func (x *exchange) bound() bool {
	return x.choosy && x.affinity.pick.Strict && x.affinity.pick.Override.IsValid()
}
