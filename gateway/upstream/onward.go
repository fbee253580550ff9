package upstream

import (
	"net/netip"
	"slices"

	"longmen/gateway/cluster"
	"longmen/gateway/protocol/cdnloop"
	"longmen/gateway/standby"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
)

// onward is how one worker sends a cluster's requests on to other clusters: by standby,
// by failover. A cluster that has neither has none.
type onward struct {
	standby *standby.Switch  // nil: none
	active  *Cluster         // where standby forwards to; nil: it is not there now
	share   standby.Sequence // which requests stay

	chain    []*Cluster         // the cluster itself, and those that it fails over to
	hosts    []*cluster.HostSet // what shares was made for
	capacity []float64
	shares   []int
	spill    standby.Sequence // which requests go where
}

// Sent says why a request went on to another cluster than its route's. It is said to
// the next gateway, too: what has been sent on is not sent on again without need.
type Sent uint8

// The reasons.
const (
	SentNot      Sent = iota
	SentStandby       // the cluster is in standby
	SentFailover      // its healthy endpoints cannot take all requests
)

func (w Sent) String() string { return [...]string{"", "standby", "failover"}[w] }

// Client is what tells a request's client from others, as far as it counts.
type Client struct {
	Session netip.AddrPort // the endpoint of its session
	Hash    uint64
	HasHash bool
}

// position is the client's own number from 0 to 99: as a share shrinks, it loses the
// clients at its end, and no other.
func (c *Client) position() int {
	z := (c.Hash ^ c.Hash>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) % 100)
}

// Onward is the cluster that the stream's request to c goes to, and why if it is another one.
//
// First standby decides, then the failover of the cluster that this has led to. A
// request that another gateway sent here because it is in standby stays, and one that
// failed over here stays as long as anything here is healthy: gateways that point at
// each other serve a request between them, and do not pass it to and fro. Nor is a
// request sent where nobody is healthy, if it can be helped. One whose client has a session
// goes where that is, unless standby takes it from here; of those that are hashed, the same fail over.
func (c *Cluster) Onward(s *stream.Stream, client Client) (*Cluster, Sent) {
	o, why := c.onward, SentNot
	if o == nil {
		return c, why
	}
	h := &s.Request.Header
	if o.standby != nil && o.forwards(c, h, client.Session) {
		c.Stats.Onward[metrics.OnwardStandby].Inc()
		if c, why = o.active, SentStandby; c.onward == nil {
			return c, why
		}
		o = c.onward
	}
	if len(o.chain) > 1 {
		to := o.having(client.Session)
		if to == nil {
			to = o.next(h, &client)
		}
		if to != c {
			c.Stats.Onward[metrics.OnwardFailover].Inc()
			return to, SentFailover
		}
	}
	return c, why
}

// having is the cluster of the chain that has a session's endpoint, which may get
// requests; nil when none has.
func (o *onward) having(session netip.AddrPort) *Cluster {
	if session.IsValid() {
		for _, c := range o.chain {
			if c.has(session) {
				return c
			}
		}
	}
	return nil
}

func (c *Cluster) has(session netip.AddrPort) bool {
	e := c.shared.Hosts().Find(session)
	return e != nil && !c.closed && e.Usable()
}

// forwards decides whether c's standby forwards the next request.
func (o *onward) forwards(c *Cluster, h *stream.Header, session netip.AddrPort) bool {
	p := o.standby.Position()
	if p.State != standby.Standby || o.active == nil || o.active.closed {
		return false
	}
	if session.IsValid() && o.active.has(session) && !been(h, o.active.config.Peer) {
		return true
	}
	away := o.share.Next() >= p.Config.Local
	if h.HasKnown(stream.CDNLoop) && (sentBefore(h, SentStandby) || been(h, o.active.config.Peer)) {
		away = false
	}
	if away {
		return o.active.serves() || !c.serves()
	}
	return !c.serves() && o.active.serves() && !been(h, o.active.config.Peer)
}

// next chooses among the chain by what each of it can take.
func (o *onward) next(h *stream.Header, client *Client) *Cluster {
	o.refresh()
	shares := o.shares
	if h.HasKnown(stream.CDNLoop) {
		if o.capacity[0] > 0 && sentBefore(h, SentFailover) {
			return o.chain[0]
		}
		var left [1 + cluster.MostFailover]int
		if shares = o.without(h, left[:len(shares)]); shares == nil {
			return o.chain[0]
		}
	}
	var n int
	if client.HasHash {
		n = client.position()
	} else {
		n = o.spill.Next()
	}
	for i, share := range shares {
		if n -= share; n < 0 {
			return o.chain[i]
		}
	}
	return o.chain[0]
}

// without divides the requests without the gateways that the request has come through,
// as far as they are known; nil when none of the others can take any.
func (o *onward) without(h *stream.Header, shares []int) []int {
	var capacity [1 + cluster.MostFailover]float64
	n, any := copy(capacity[:], o.capacity), false
	for i := range n {
		if i > 0 && capacity[i] > 0 && been(h, o.chain[i].config.Peer) {
			capacity[i] = 0
		}
		any = any || capacity[i] > 0
	}
	if !any {
		return nil
	}
	cluster.FailOver(capacity[:n], shares)
	return shares
}

// refresh divides the requests anew when endpoints have changed.
func (o *onward) refresh() {
	changed := false
	for i, c := range o.chain {
		if hosts := c.shared.Hosts(); hosts != o.hosts[i] {
			o.hosts[i], o.capacity[i], changed = hosts, hosts.Capacity(), true
		}
	}
	if changed {
		cluster.FailOver(o.capacity, o.shares)
	}
}

// serves tells whether requests to the cluster find an endpoint.
func (c *Cluster) serves() bool { return !c.closed && c.shared.Hosts().Serves() }

// Other is where a request can go whose endpoints cannot be reached at the clusters of
// tried: the next of those that Onward of c, the cluster of its route, chooses among that serves,
// is not in tried, and has not been come through; nil when there is none.
func (c *Cluster) Other(s *stream.Stream, tried []*Cluster) (*Cluster, Sent) {
	o, h := c.onward, &s.Request.Header
	if o == nil {
		return nil, SentNot
	}
	if o.standby != nil && o.active != nil && o.standby.Position().State == standby.Standby {
		if o.active.may(h, tried) {
			return o.active, SentStandby
		}
		if more := o.active.onward; more != nil {
			if to := more.other(h, tried); to != nil {
				return to, SentFailover
			}
		}
	}
	switch to := o.other(h, tried); to {
	case nil, c:
		return to, SentNot
	default:
		return to, SentFailover
	}
}

func (o *onward) other(h *stream.Header, tried []*Cluster) *Cluster {
	for _, to := range o.chain {
		if to.may(h, tried) {
			return to
		}
	}
	return nil
}

func (c *Cluster) may(h *stream.Header, tried []*Cluster) bool {
	return c.serves() && !slices.Contains(tried, c) && !been(h, c.config.Peer)
}

// GoesOn tells whether requests to the cluster may go on to others.
func (c *Cluster) GoesOn() bool { return c != nil && c.onward != nil }

// Token tells whether requests to the cluster are to carry the gateway's token.
func (c *Cluster) Token() bool { return c.token }

// been tells whether a request has come through that gateway.
func been(h *stream.Header, peer string) bool {
	return peer != "" && h.HasKnown(stream.CDNLoop) && anyInfo(h, func(i cdnloop.Info) bool { return i.Is(peer) })
}

// SentParameter is the parameter of a gateway's token that tells the next one why it
// got the request.
const SentParameter = "sent"

// sentBefore tells whether some gateway has sent the request on for that reason.
func sentBefore(h *stream.Header, why Sent) bool {
	return anyInfo(h, func(i cdnloop.Info) bool { return i.Has(SentParameter, why.String()) })
}

// anyInfo tells whether one of the gateways that the request has come through is so.
// The field's form was checked when the request came.
func anyInfo(h *stream.Header, so func(cdnloop.Info) bool) bool {
	for i := range h.Len() {
		_, list, id, ok := h.At(i)
		if !ok || id != stream.CDNLoop {
			continue
		}
		for {
			info, rest, err := cdnloop.Next(list)
			if err != nil || info.ID == nil {
				break
			}
			if so(info) {
				return true
			}
			list = rest
		}
	}
	return false
}
