package router

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"longmen/gateway/stream"
)

// RewritePath appends the path and query that go upstream: the request's path,
// rewritten as the route asks, and its query as it is. route is the one that f
// belongs to. The path "*" of OPTIONS and the empty one of CONNECT are not
// rewritten.
func (f *Forward) RewritePath(dst []byte, r *stream.Request, route *Route) []byte {
	switch {
	case len(r.Path) == 0 || r.Path[0] != '/':
		return append(dst, r.Path...)
	case f.PrefixRewrite != nil:
		dst = route.Match.replacePrefix(dst, r.Path, *f.PrefixRewrite)
	case f.RegexRewrite != nil:
		dst = f.RegexRewrite.append(dst, r.Path)
	default:
		dst = append(dst, r.Path...)
	}
	return appendQuery(dst, r)
}

func appendQuery(dst []byte, r *stream.Request) []byte {
	if !r.HasQuery {
		return dst
	}
	return append(append(dst, '?'), r.Query...)
}

// replacePrefix appends path with what m matched of it replaced: the prefix, or
// all of it where m is an exact path or a regular expression. Between a prefix by
// segments and the rest stands exactly one slash: "/" for "/a" makes of "/a/b"
// "/b", and not "//b".
func (m *Match) replacePrefix(dst, path []byte, replacement string) []byte {
	var rest []byte
	bySegment := true
	switch {
	case m.Path != "" || m.Regex != "":
	case m.Prefix != "" && m.Prefix != "/":
		rest = path[len(m.Prefix):]
	case m.RawPrefix != "" && m.RawPrefix != "/":
		rest, bySegment = path[len(m.RawPrefix):], false
	default:
		rest = path
	}
	if bySegment && len(rest) > 0 && rest[0] == '/' && strings.HasSuffix(replacement, "/") {
		rest = rest[1:]
	}
	if replacement == "" && (len(rest) == 0 || rest[0] != '/') {
		dst = append(dst, '/')
	}
	return append(append(dst, replacement...), rest...)
}

// append appends path with every match of the pattern substituted, so that it
// begins with a slash. It allocates when there is a match.
func (x *RegexRewrite) append(dst, path []byte) []byte {
	start := len(dst)
	dst = x.replace(dst, path)
	if len(dst) == start || dst[start] != '/' { // the substitution took the first slash away
		dst = slices.Insert(dst, start, '/')
	}
	return dst
}

// replace appends text with every match of the pattern substituted.
func (x *RegexRewrite) replace(dst, text []byte) []byte {
	done := 0
	for _, match := range x.compiled.FindAllSubmatchIndex(text, -1) {
		dst = append(dst, text[done:match[0]]...)
		dst = x.compiled.ExpandString(dst, x.template, string(text), match)
		done = match[1]
	}
	return append(dst, text[done:]...)
}

// Location appends the URL that a redirect leads to. route is the one that x
// belongs to. A request without a host name gets a reference without one (RFC
// 3986 section 4.2).
func (x *Redirect) Location(dst []byte, r *stream.Request, route *Route) []byte {
	if x.Host != "" || len(r.Host) > 0 {
		return x.target(x.origin(dst, r), r, route)
	}
	start := len(dst)
	if dst = x.target(dst, r, route); bytes.HasPrefix(dst[start:], []byte("//")) {
		// Without a host before it, "//x" would name the host x.
		dst = slices.Insert(dst, start, '/', '.')
	}
	return dst
}

// origin appends scheme://host[:port]. The port is the redirect's; else, when
// only scheme or path change, the request's, unless that was its old scheme's
// default; the default port of a scheme is not written.
func (x *Redirect) origin(dst []byte, r *stream.Request) []byte {
	scheme, host := r.Scheme, string(r.Host)
	if x.Scheme != "" {
		scheme = x.Scheme
	}
	var port string
	switch {
	case x.Port != 0:
		port = strconv.Itoa(x.Port)
	case x.Host == "":
		if port = string(portOf(r.Authority)); port == defaultPort(r.Scheme) {
			port = ""
		}
	}
	if x.Host != "" {
		host = x.Host
		if own := portOf([]byte(host)); own != nil && port != "" {
			host = host[:len(host)-len(own)-1]
		}
	}
	dst = append(append(append(dst, scheme...), "://"...), host...)
	if port != "" && port != defaultPort(scheme) {
		dst = append(append(dst, ':'), port...)
	}
	return dst
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// target appends the path and the query.
func (x *Redirect) target(dst []byte, r *stream.Request, route *Route) []byte {
	query := !x.StripQuery
	switch {
	case x.Path != "":
		dst = append(dst, x.Path...)
		query = query && !strings.Contains(x.Path, "?")
	case len(r.Path) == 0 || r.Path[0] != '/': // "*" and CONNECT name no path
		dst = append(dst, '/')
	case x.Prefix != nil:
		dst = route.Match.replacePrefix(dst, r.Path, *x.Prefix)
	case x.Regex != nil:
		dst = x.Regex.append(dst, r.Path)
	default:
		dst = append(dst, r.Path...)
	}
	if !query {
		return dst
	}
	return appendQuery(dst, r)
}

// Pick chooses the target of a request by the random number rnd. Where a header
// names the cluster, the target is nil and name is that header's value, nil when
// the request has none.
func (f *Forward) Pick(r *stream.Request, rnd uint32) (target *WeightedCluster, name []byte) {
	if f.ClusterHeader != "" {
		return nil, r.Header.Get(f.ClusterHeader)
	}
	if len(f.Clusters) == 1 {
		return &f.Clusters[0], nil
	}
	// The high bits choose; Match.Fraction goes by the low ones.
	at := uint32(uint64(rnd) * uint64(f.TotalWeight) >> 32)
	for i := range f.Clusters {
		if at < f.Clusters[i].Weight {
			return &f.Clusters[i], nil
		}
		at -= f.Clusters[i].Weight
	}
	return &f.Clusters[len(f.Clusters)-1], nil // not reached: New refuses a TotalWeight that is not the sum
}
