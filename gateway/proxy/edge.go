package proxy

import (
	"errors"
	"slices"

	"longmen/gateway/router"
	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
	"longmen/gateway/upstream"
)

// Edge is what one listener does to every request, on one worker, with one
// snapshot: it makes the path canonical, adds the forwarding fields, finds the
// route and does what the route says.
type Edge struct {
	proxy    *Proxy
	listener *snapshot.Listener
	http     *snapshot.HTTP
	slots    map[string]int // clusters by name
	cache    *router.Cache  // of the listener's routes; nil: nothing in them is worth one
}

// NewEdge makes the handler of a listener of the snapshot.
func NewEdge(p *Proxy, s *snapshot.Snapshot, l *snapshot.Listener) *Edge {
	return &Edge{proxy: p, listener: l, http: &l.HTTP, slots: s.ClusterSlots, cache: l.Routes.NewCache()}
}

var (
	errNoRoute     = errors.New("no route matches")
	errConnect     = errors.New("CONNECT is not allowed here")
	errBodyLarge   = errors.New("the request body is larger than allowed")
	errNoNamed     = errors.New("the request names no cluster")
	errUnknownName = errors.New("the request names a cluster that does not exist")
)

// Inline is the handler.
func (e *Edge) Inline() *stream.Inline {
	return &stream.Inline{Begin: e.Begin, Poll: e.Poll, Resume: e.Resume}
}

// Begin does what needs no waiting: all up to the request being on its way, or
// the answer itself. See stream.Inline for its errors.
func (e *Edge) Begin(s *stream.Stream) (*stream.Response, error) {
	rec := &s.Record
	rec.Listener = e.listener.Name
	e.requestID(&s.Request.Header)
	if err := e.canonical(s); err != nil {
		return nil, err
	}
	e.forwarding(s)
	if resp, err := e.challenge(s); resp != nil || err != nil {
		return resp, err
	}
	return e.route(s)
}

// route finds the request's route and does what it says, as far as that needs no
// waiting. Filters are left to a coroutine.
func (e *Edge) route(s *stream.Stream) (*stream.Response, error) {
	rnd := uint32(e.proxy.random.Uint64())
	route := e.find(s, rnd)
	if s.Request.Header.HasKnown(stream.CDNLoop) && e.proxy.guard != nil {
		if err := e.proxy.guard.cameRound(&s.Request.Header); err != nil {
			return nil, err
		}
	}
	if s.Early != nil && !e.early(s, route) {
		s.End = unconfirmed{}
		return nil, stream.ErrCoroutine
	}
	if e.listener.Chains != nil {
		if chain := e.chain(route); chain != nil {
			s.End = e.proxy.filtered(e, route, rnd, chain)
			return nil, stream.ErrCoroutine
		}
	}
	resp, err := e.act(s, route, rnd)
	if err == nil {
		e.finish(s, resp)
	}
	return resp, err
}

// find finds the route, nil when there is none.
func (e *Edge) find(s *stream.Stream, rnd uint32) *router.Route {
	var route *router.Route
	if e.cache == nil {
		route = e.listener.Routes.Find(&s.Request, s.Client, rnd)
	} else {
		route = e.cache.Find(&s.Request, s.Client, rnd)
	}
	if route != nil {
		s.Record.Route, s.Record.RouteOrigin = route.Name, route.Origin
	}
	return route
}

// act does what the route says, as far as that needs no waiting.
func (e *Edge) act(s *stream.Stream, route *router.Route, rnd uint32) (*stream.Response, error) {
	if route == nil {
		return nil, e.unrouted(s)
	}
	var resp *stream.Response
	switch {
	case route.Forward != nil:
		return nil, e.forward(s, route, rnd)
	case route.Redirect != nil:
		location := route.Redirect.Location(s.Room(len(s.Request.Path)+len(s.Request.Query)+512), &s.Request, route)
		resp = respond(s, route.Redirect.Status, "", nil)
		resp.Header.Add("location", location)
	default:
		r := route.Respond
		resp = respond(s, r.Status, r.ContentType, r.Body)
	}
	e.ours(resp)
	route.Response.Apply(&resp.Header, s, resp)
	return resp, nil
}

// Poll looks for the answer to a request that Begin sent.
func (e *Edge) Poll(s *stream.Stream) (*stream.Response, error) {
	x := s.End.(*exchange)
	resp, err := x.poll()
	if err != nil {
		return nil, err
	}
	e.answered(s, x, resp)
	return resp, nil
}

// Resume waits for the answer, on a coroutine, wherever Begin and Poll stopped.
func (e *Edge) Resume(s *stream.Stream) (*stream.Response, error) {
	for {
		d, ok := s.End.(detour)
		if !ok {
			break
		}
		if resp, err := d.resume(e, s); err != stream.ErrParked && err != stream.ErrCoroutine {
			return resp, err
		}
	}
	if f, ok := s.End.(*filtered); ok {
		return f.serve(s)
	}
	x := s.End.(*exchange)
	resp, err := x.finish(s.Co)
	if err != nil {
		return nil, err
	}
	e.answered(s, x, resp)
	return resp, nil
}

// answered does to an endpoint's response what route and listener ask for.
func (e *Edge) answered(s *stream.Stream, x *exchange, resp *stream.Response) {
	e.edit(s, x, resp)
	e.finish(s, resp)
}

// edit does to an endpoint's response what the route asks for.
func (e *Edge) edit(s *stream.Stream, x *exchange, resp *stream.Response) {
	if x.target != nil {
		x.target.Response.Apply(&resp.Header, s, resp)
	}
	x.route.Response.Apply(&resp.Header, s, resp)
	if x.choosy {
		x.giveCookies(&resp.Header)
	}
}

// canonical makes the one path that router, filters and upstream use.
func (e *Edge) canonical(s *stream.Stream) error {
	r := &s.Request
	if len(r.Path) == 0 || r.Path[0] != '/' {
		return nil // CONNECT, OPTIONS *
	}
	path, err := router.Canonical(s.Room(3*len(r.Path)), r.Path, e.http.Path)
	if err != nil {
		return &stream.Error{Side: stream.Downstream, Phase: stream.PhaseRequestHead, Flag: stream.DownstreamProtocolError, Status: 400, Cause: err}
	}
	r.Path = path
	return nil
}

func (e *Edge) unrouted(s *stream.Stream) error {
	if string(s.Request.Method) == "CONNECT" {
		return local(stream.PhaseRoute, stream.NoRoute, 405, errConnect)
	}
	return local(stream.PhaseRoute, stream.NoRoute, 404, errNoRoute)
}

// forward sends the stream to the route's cluster, as far as that needs no
// waiting: its error is ErrParked or ErrCoroutine then.
func (e *Edge) forward(s *stream.Stream, route *router.Route, rnd uint32) error {
	f, r := route.Forward, &s.Request
	if string(r.Method) == "CONNECT" && !f.Connect {
		return e.unrouted(s)
	}
	if s.Replier == nil { // else the filters were given a bounded body
		if err := e.boundBody(s, f); err != nil {
			return err
		}
	}
	var kept session
	if f.Sticky != nil {
		kept = e.session(s, f)
	}
	target, routed, err := e.target(s, f, kept.target, rnd)
	if err != nil {
		return err
	}
	c, why := routed, upstream.SentNot
	if routed.GoesOn() {
		c, why = routed.Onward(s, clientOf(s, f, routed, kept.at))
	}
	s.Record.Cluster = c.Config().Name
	out := stream.Outgoing{Authority: r.Authority, Expect: r.ExpectContinue}
	if f.HostRewrite != "" {
		out.Authority = append(s.Room(len(f.HostRewrite)), f.HostRewrite...)
	}
	out.Path = e.upstreamPath(s, route)
	if r.Upgrade != nil && r.Body == nil {
		out.Upgrade = e.upgrade(f, r.Upgrade)
	}
	if target != nil {
		target.Request.Apply(&r.Header, s, nil)
	}
	route.Request.Apply(&r.Header, s, nil)
	if c.Token() {
		e.proxy.sign(s, why)
	}
	x, err := e.proxy.prepare(s, route, target, c, out)
	if err != nil {
		return err
	}
	x.onward.routed, x.onward.why, x.onward.signed = routed, why, c.Token()
	x.ask(kept)
	if x.begin() {
		return stream.ErrParked
	}
	return stream.ErrCoroutine
}

// boundBody holds the client to the size of a body that it may send.
func (e *Edge) boundBody(s *stream.Stream, f *router.Forward) error {
	limit, r := e.http.MaxBody, &s.Request
	if f != nil && f.MaxBody > 0 {
		limit = f.MaxBody
	}
	if limit > 0 && r.Body != nil {
		if r.Length > limit {
			return tooLarge()
		}
		if r.Length < 0 {
			r.Body = &boundedBody{Body: r.Body, left: limit}
		}
	}
	return nil
}

// target chooses the cluster: that of the client's session, if it has one and
// the cluster has endpoints for it.
func (e *Edge) target(s *stream.Stream, f *router.Forward, kept *router.WeightedCluster, rnd uint32) (*router.WeightedCluster, *upstream.Cluster, error) {
	if kept != nil {
		if c, err := e.cluster(kept.Cluster); err == nil && (f.Sticky.Strict || c.Shared().Hosts().Serves()) {
			return kept, c, nil
		}
	}
	target, name := f.Pick(&s.Request, rnd)
	var ref router.ClusterRef
	switch {
	case target != nil:
		ref = target.Cluster
	case len(name) == 0:
		return nil, nil, local(stream.PhasePick, stream.NoCluster, 503, errNoNamed)
	default:
		c, err := e.named(string(name))
		return nil, c, err
	}
	c, err := e.cluster(ref)
	return target, c, err
}

// named finds a cluster by its name.
func (e *Edge) named(name string) (*upstream.Cluster, error) {
	slot, ok := e.slots[name]
	if !ok {
		return nil, local(stream.PhasePick, stream.NoCluster, 503, errUnknownName)
	}
	return e.cluster(router.ClusterRef{Name: name, Slot: slot})
}

// cluster finds a cluster by its slot, which may belong to another one by now:
// that of a later snapshot.
func (e *Edge) cluster(ref router.ClusterRef) (*upstream.Cluster, error) {
	c := e.proxy.upstream.Cluster(ref.Slot)
	if c == nil || c.Config().Name != ref.Name {
		return nil, local(stream.PhasePick, stream.NoCluster, 503, errNoClusterNamed)
	}
	return c, nil
}

// upstreamPath is the path and query that go upstream.
func (e *Edge) upstreamPath(s *stream.Stream, route *router.Route) []byte {
	f, r := route.Forward, &s.Request
	if f.PrefixRewrite == nil && f.RegexRewrite == nil && !r.HasQuery {
		return r.Path
	}
	n := len(r.Path) + len(r.Query) + 256
	return f.RewritePath(s.Room(n), r, route)
}

// upgrade returns the protocol that the request may ask for: the client's, if
// the listener or the route allows it.
func (e *Edge) upgrade(f *router.Forward, asked []byte) []byte {
	names := func(list []string) bool {
		return slices.ContainsFunc(list, func(p string) bool { return equalFold(asked, p) })
	}
	if names(f.Upgrades) || names(e.http.Upgrades) && !names(f.NoUpgrades) {
		return asked
	}
	return nil
}

func equalFold(p []byte, lower string) bool {
	if len(p) != len(lower) {
		return false
	}
	for i, b := range p {
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		if b != lower[i] {
			return false
		}
	}
	return true
}

// Reply makes a local reply out of an error, as it goes to the client.
func (e *Edge) Reply(s *stream.Stream, err *stream.Error) *stream.Response {
	resp := e.LocalReply(s, err)
	e.finish(s, resp)
	return resp
}

// LocalReply makes a local reply out of an error, as filters see it.
func (e *Edge) LocalReply(s *stream.Stream, err *stream.Error) *stream.Response {
	var resp *stream.Response
	if s.Request.GRPC() {
		resp = replyGRPC(s, err.GRPC(), messageOf(err))
	} else {
		resp = s.Respond(err.Status, "", []byte(stream.StatusText(err.Status)+"\n"))
		if err.Status == 405 {
			resp.Header.AddString("allow", "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS")
		}
	}
	if err.Flag == stream.LoopDetected {
		resp.Header.Add("proxy-status", e.proxy.guard.status)
	}
	e.ours(resp)
	return resp
}

// ours marks a response that the gateway itself made.
func (e *Edge) ours(resp *stream.Response) {
	if e.http.ServerHeader != snapshot.ServerRemove && e.http.ServerName != "" {
		resp.Header.AddString("server", e.http.ServerName)
	}
}

// finish does to every response what the listener asks for.
func (e *Edge) finish(s *stream.Stream, resp *stream.Response) {
	h := &resp.Header
	switch e.http.ServerHeader {
	case snapshot.ServerSet:
		if !h.HasKnown(stream.Server) || string(h.GetKnown(stream.Server)) != e.http.ServerName {
			h.Set("server", []byte(e.http.ServerName))
		}
	case snapshot.ServerRemove:
		h.Remove("server")
	}
	if e.http.Via != "" {
		appendList(s, h, stream.Via, "via", "1.1 ", e.http.Via)
	}
	// What was refused before Handle saw it has no id of ours.
	if e.http.RequestIDInResponse && s.Record.Listener != "" {
		if id := s.Request.Header.GetKnown(stream.XRequestID); id != nil {
			h.Set("x-request-id", id)
		}
	}
}
