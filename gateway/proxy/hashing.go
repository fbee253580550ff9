package proxy

import (
	"encoding/hex"
	"strconv"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/cluster/balance"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/upstream"
)

// affinity is what a request asks of its endpoint, and what its client is told so
// that its next one asks for the same.
type affinity struct {
	pick    upstream.Pick
	kept    session
	cookies [][]byte // Set-Cookie fields for those that were made
}

func (a *affinity) reset() {
	clear(a.cookies)
	*a = affinity{cookies: a.cookies[:0]}
}

// ask finds out what the request asks of its endpoint. Most ask for nothing.
func (x *exchange) ask(kept session) {
	f, config := x.forward, x.cluster.Config()
	subset := f.Subset
	if x.target != nil && x.target.Subset != nil {
		subset = x.target.Subset
	}
	hashed := f.Hash != nil && config.Balance.Hashes()
	others := f.Retry != nil && f.Retry.PreviousPriorities > 0
	if !hashed && !others && f.Sticky == nil && subset == nil && !f.HighPriority && config.Discovery != cluster.OriginalDst {
		return
	}
	x.choosy = true
	a := &x.affinity
	a.pick = upstream.Pick{High: f.HighPriority, Match: subset, Destination: x.s.Local}
	if others {
		a.pick.OtherPriorities = f.Retry.PreviousPriorities
	}
	if kept.target != nil && kept.target == x.target {
		a.kept, a.pick.Override, a.pick.Strict = kept, kept.at, f.Sticky.Strict
	}
	if hashed {
		a.pick.Hash, a.pick.HasHash = x.hash(f.Hash)
	}
}

// want is what the request asks of its endpoint, nil if nothing.
func (x *exchange) want() *upstream.Pick {
	if !x.choosy {
		return nil
	}
	return &x.affinity.pick
}

// hash combines what the policies have of the request, as Envoy does. A cookie that
// is to be made is made here.
func (x *exchange) hash(policies []router.HashPolicy) (hash uint64, ok bool) {
	for i := range policies {
		p := &policies[i]
		value := p.Value(x.s)
		if p.Kind == router.HashCookie && len(value) == 0 {
			if value = nil; p.Generate != nil {
				value = x.makeCookie(p)
			}
		}
		if value != nil {
			hash, ok = balance.Combine(hash, balance.Hash(value)), true
		}
		if ok && p.Terminal {
			break
		}
	}
	return hash, ok
}

// makeCookie makes the value of a cookie that a client does not have yet.
func (x *exchange) makeCookie(p *router.HashPolicy) []byte {
	var random [8]byte
	for i, n := 0, x.proxy.random.Uint64(); i < len(random); i, n = i+1, n>>8 {
		random[i] = byte(n)
	}
	value := hex.AppendEncode(x.s.Room(16), random[:])
	x.affinity.cookies = append(x.affinity.cookies, appendCookie(x.s.Room(256), p.Name, value, p.Generate))
	return value
}

// appendCookie appends a Set-Cookie field's value (RFC 6265 section 4.1.1).
func appendCookie(dst []byte, name string, value []byte, c *router.Cookie) []byte {
	dst = append(append(append(dst, name...), '='), value...)
	if c.TTL > 0 {
		dst = strconv.AppendInt(append(dst, "; Max-Age="...), int64((c.TTL+time.Second-1)/time.Second), 10)
	}
	if c.Path != "" {
		dst = append(append(dst, "; Path="...), c.Path...)
	}
	dst = append(dst, "; HttpOnly"...)
	for _, a := range c.Attributes {
		dst = append(append(dst, "; "...), a.Name...)
		if a.Value != "" {
			dst = append(append(dst, '='), a.Value...)
		}
	}
	return dst
}

// giveCookies gives the client what makes its next request go the same way.
func (x *exchange) giveCookies(h *stream.Header) {
	for _, cookie := range x.affinity.cookies {
		h.Add("set-cookie", cookie)
	}
	if x.forward.Sticky != nil && x.target != nil {
		x.keep(h)
	}
}
