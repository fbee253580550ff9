package router

import (
	"math"
	"net/netip"

	"longmen/gateway/stream"
)

// Finding a route.
//
// A table is looked up in three steps. The host name finds a virtual host
// (names.go): hash tables of the exact names, of the suffixes behind "*" and of
// the prefixes before "*". Then, within the virtual host, the rule that answers
// is the first one, in the order they were written, whose path and other
// conditions hold. A walk over the rules would find it, in time that grows with
// their number. Instead:
//
//   - Every rule whose path condition begins with a literal (an exact path, a
//     prefix, a regular expression such as /users/\d+) is filed under that
//     literal in one hash table (paths.go). A request's path has few beginnings
//     that can be there: those that end at a "/" or at its end, and those as
//     long as some raw prefix. The lengths of all literals are known, so that
//     most beginnings are not even looked for. One pass over the path hashes
//     them all.
//   - Rules for every path, and regular expressions that begin with something
//     else, are in a list of their own. The first one for every path that has no
//     other conditions ends it: no rule after that one is ever reached.
//
// Each hit is a list of rules in their order, mostly one. The search keeps the
// lowest order found so far. A list is left as soon as its orders are higher,
// and conditions are tested only for a rule that would come before what was found.
//
// So a lookup costs one or two probes however many rules there are, and each
// probe touches two lines of memory: the slot, which holds the whole answer for
// an unconditional rule, and the literal's bytes, which must be compared. What
// does grow is a list of rules on one and the same literal that differ only in
// headers, say: these are tested one by one.

// Table is the routes of one RouteConfiguration. It is immutable.
type Table struct {
	exact    names
	suffixes wildcards // without the "*"
	prefixes wildcards
	all      *nameSlot // the domain "*"
	ports    bool      // some domain has a port
	regexes  bool      // some path is matched by a regular expression
}

// A host is a virtual host, made ready to be searched. It fills a cache line.
type host struct {
	// fallback is the first rule on every path without conditions: no rule on
	// paths after it is ever reached. Its route is nil when there is none. It is in no
	// list, so its flags and tag are the host's: regexed, if some rule is, and a
	// number that hosts are told apart by, mostly.
	fallback rule
	literal  *paths // nil: none
	folded   *paths // those that ignore case; nil: none
	anywhere []rule // on every path before fallback, and on CONNECT, in their order
	*VirtualHost
}

// A rule is a Route and its place in the order of its virtual host.
type rule struct {
	route *Route
	order uint32
	tag   uint16 // in a slot of paths: bits of the literal's hash
	kind  pathKind
	flags ruleFlags
}

type ruleFlags uint8

const (
	conditional ruleFlags = 1 << iota // more than the path must hold
	regexed                           // its path is matched by a regular expression
	outside                           // it looks at more than host, method and path
	listed                            // in a slot: order is where the literal's rules begin in the list
	lastOfList
)

// A search is one lookup under way.
type search struct {
	request *stream.Request
	client  netip.Addr
	rnd     uint32
	route   *Route    // what was found so far
	order   uint32    // its place
	seen    ruleFlags // of all rules that were tested
}

// Find returns the route of a request, or nil. client is the address that
// Match.Sources is about, rnd the random number that Match.Fraction is about. It
// does not allocate, but for a condition on a header that the request repeats.
func (t *Table) Find(r *stream.Request, client netip.Addr, rnd uint32) *Route {
	name := t.name(r)
	if name == nil {
		return nil
	}
	s := search{request: r, client: client, rnd: rnd}
	name.host.find(&s)
	return s.route
}

// find finds the route within the virtual host.
func (h *host) find(s *search) {
	s.route, s.order = h.fallback.route, h.fallback.order
	if len(s.request.Path) == 0 { // CONNECT's authority form: only rules on CONNECT are about it
		s.route, s.order = nil, math.MaxUint32
		s.list(h.anywhere)
		return
	}
	if h.literal != nil {
		h.literal.search(s)
	}
	if h.folded != nil {
		h.folded.search(s)
	}
	s.list(h.anywhere)
}

// name finds the domain that a request's host name belongs to, the most specific
// one; nil when there is none. A domain with a port is more specific than the
// same without.
func (t *Table) name(r *stream.Request) *nameSlot {
	if t.ports {
		if port := portOf(r.Authority); port != nil {
			return t.nameWithPort(r.Host, port)
		}
	}
	if slot := t.exact.find(r.Host); slot != nil {
		return slot
	}
	if slot := t.suffixes.findSuffix(r.Host, 1); slot != nil {
		return slot
	}
	if slot := t.prefixes.findPrefix(r.Host, 1); slot != nil {
		return slot
	}
	return t.all
}

func (t *Table) nameWithPort(name, port []byte) *nameSlot {
	var buf [280]byte // a name has at most 255 bytes
	full := append(append(append(buf[:0], name...), ':'), port...)
	if slot := t.exact.find(full); slot != nil {
		return slot
	}
	if slot := t.exact.find(name); slot != nil {
		return slot
	}
	if slot := t.suffixes.findSuffix(full, len(port)+1); slot != nil {
		return slot
	}
	if slot := t.suffixes.findSuffix(name, 1); slot != nil {
		return slot
	}
	if slot := t.prefixes.findPrefix(full, len(name)+1); slot != nil {
		return slot
	}
	if slot := t.prefixes.findPrefix(name, 1); slot != nil {
		return slot
	}
	return t.all
}

// portOf is what follows the host and ":" in host[:port], nil when nothing does.
func portOf(authority []byte) []byte {
	for i := len(authority) - 1; i > 0; i-- {
		switch c := authority[i]; {
		case c == ':' && i+1 < len(authority):
			return authority[i+1:]
		case c < '0' || c > '9':
			return nil
		}
	}
	return nil
}

// list searches rules that stand in their order.
func (s *search) list(rules []rule) {
	for i := range rules {
		r := &rules[i]
		if r.order >= s.order {
			return
		}
		if r.kind != connectPath && len(s.request.Path) == 0 {
			continue
		}
		if s.holds(r) {
			s.route, s.order = r.route, r.order
			return
		}
	}
}

// holds tests what a rule demands beside a literal at the path's beginning.
func (s *search) holds(r *rule) bool {
	s.seen |= r.flags
	return r.flags&conditional == 0 || r.route.Match.holds(s)
}

func isConnect(r *stream.Request) bool { return string(r.Method) == "CONNECT" }
