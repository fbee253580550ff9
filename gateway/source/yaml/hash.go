package yaml

import (
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	yaml "go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/proto"
)

// maxHash bounds how many things a request may be hashed by.
const maxHash = 16

// queryOfPath is what "path" takes from ":path".
const queryOfPath = `\?.*`

// hashWords are the forms that one word can have.
const hashWords = `"header:x-user", "cookie:sid", "query:user", source_ip or path`

// hashes reads what a request is hashed by.
func (d *decoder) hashes(v value) []*route.RouteAction_HashPolicy {
	var out []*route.RouteAction_HashPolicy
	entries := d.oneOrMore(v)
	switch {
	case v.isList() && len(entries) == 0:
		d.fail(v, "must name at least one of %s", hashWords)
	case len(entries) > maxHash:
		d.fail(v, "%d things to hash: at most %d", len(entries), maxHash)
	}
	for _, entry := range entries {
		if one := d.hash(entry); one != nil {
			out = append(out, one)
		}
	}
	return out
}

func (d *decoder) hash(v value) *route.RouteAction_HashPolicy {
	if v.isMap() {
		return d.hashMap(v)
	}
	s, ok := d.word(v)
	if !ok {
		return nil
	}
	kind, name, named := strings.Cut(s, ":")
	switch {
	case s == "source_ip":
		return hashSource()
	case s == "path":
		return hashPath()
	case named && name != "" && kind == "header":
		if d.hashHeaderName(v, name) {
			return hashHeader(name)
		}
	case named && name != "" && kind == "cookie":
		if d.cookieName(v, name) {
			return hashCookie(name)
		}
	case named && name != "" && kind == "query":
		return hashQuery(name)
	case kind == "client_ip" || kind == "ip":
		d.failHint(v, "did you mean source_ip?", "%q: must be %s", clip(s), hashWords)
	default:
		d.failHint(v, nearest(kind, []string{"header", "cookie", "query", "source_ip", "path"}), "%q: must be %s", clip(s), hashWords)
	}
	return nil
}

func hashSource() *route.RouteAction_HashPolicy {
	return &route.RouteAction_HashPolicy{PolicySpecifier: &route.RouteAction_HashPolicy_ConnectionProperties_{
		ConnectionProperties: &route.RouteAction_HashPolicy_ConnectionProperties{SourceIp: true},
	}}
}

func hashHeader(name string) *route.RouteAction_HashPolicy {
	return &route.RouteAction_HashPolicy{PolicySpecifier: &route.RouteAction_HashPolicy_Header_{
		Header: &route.RouteAction_HashPolicy_Header{HeaderName: name},
	}}
}

func hashPath() *route.RouteAction_HashPolicy {
	out := hashHeader(":path")
	out.GetHeader().RegexRewrite = substitute(queryOfPath, "")
	return out
}

func hashCookie(name string) *route.RouteAction_HashPolicy {
	return &route.RouteAction_HashPolicy{PolicySpecifier: &route.RouteAction_HashPolicy_Cookie_{
		Cookie: &route.RouteAction_HashPolicy_Cookie{Name: name},
	}}
}

func hashQuery(name string) *route.RouteAction_HashPolicy {
	return &route.RouteAction_HashPolicy{PolicySpecifier: &route.RouteAction_HashPolicy_QueryParameter_{
		QueryParameter: &route.RouteAction_HashPolicy_QueryParameter{Name: name},
	}}
}

func (d *decoder) hashHeaderName(v value, name string) bool {
	switch name {
	case ":authority", ":path", ":method":
		return true
	}
	return d.fieldName(v.node, v.path, name)
}

// cookieName reports whether a name is one of a cookie (RFC 6265 section 4.1.1).
func (d *decoder) cookieName(v value, name string) bool {
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) }) {
		d.fail(v, "%q is no name of a cookie", clip(name))
		return false
	}
	return true
}

func (d *decoder) hashMap(v value) *route.RouteAction_HashPolicy {
	f := d.object(v, hashTable)
	there := f.exclusive("header", "cookie", "query", "source_ip", "path")
	for _, only := range [][2]string{{"regex", "header"}, {"ttl", "cookie"}, {"cookie_path", "cookie"}, {"attributes", "cookie"}} {
		if odd, ok := f.get(only[0]); ok && !f.has(only[1]) {
			d.at(odd.key, odd.path, "", "goes with %s", only[1])
		}
	}
	if len(there) == 0 {
		f.missing("header", "what is hashed: header, cookie, query, source_ip or path", "cookie", "query", "source_ip", "path")
		return nil
	}
	out := d.hashOf(f, there[0])
	if out != nil {
		out.Terminal, _ = f.flag("terminal")
	}
	return out
}

// hashOf reads the part that says what is hashed.
func (d *decoder) hashOf(f fields, what string) *route.RouteAction_HashPolicy {
	v := f.written(what)
	if what == "source_ip" || what == "path" {
		if on, ok := d.boolean(v); ok && !on {
			d.fail(v, "%s: false says nothing", what)
		}
		if what == "path" {
			return hashPath()
		}
		return hashSource()
	}
	name, ok := d.word(v)
	switch {
	case !ok:
	case what == "query":
		return hashQuery(name)
	case what == "header" && d.hashHeaderName(v, name):
		out := hashHeader(name)
		if v, ok := f.get("regex"); ok {
			out.GetHeader().RegexRewrite = d.substitution(v)
		}
		return out
	case what == "cookie" && d.cookieName(v, name):
		out := hashCookie(name)
		cookie := out.GetCookie()
		cookie.Ttl = f.duration("ttl", 0)
		cookie.Path = d.cookiePath(f, "cookie_path")
		if v, ok := f.get("attributes"); ok {
			d.attributes(v, func(name, text string) {
				cookie.Attributes = append(cookie.Attributes, &route.RouteAction_HashPolicy_CookieAttribute{Name: name, Value: text})
			})
		}
		for _, odd := range []string{"cookie_path", "attributes"} {
			if v, ok := f.get(odd); ok && !f.has("ttl") {
				d.at(v.key, v.path, "add ttl: 0s for a cookie that lasts until the browser is closed", "has no effect without ttl: no cookie is made")
			}
		}
		return out
	}
	return nil
}

// cookiePath reads the Path of a cookie.
func (d *decoder) cookiePath(f fields, key string) string {
	v, ok := f.get(key)
	if !ok {
		return ""
	}
	s, ok := d.word(v)
	if ok && (s[0] != '/' || strings.ContainsFunc(s, func(r rune) bool { return r == ';' || r >= 0x7f })) {
		d.fail(v, `%q: the path of a cookie begins with "/" and has no semicolon`, clip(s))
		return ""
	}
	return s
}

// attributes reads further attributes of a cookie.
func (d *decoder) attributes(v value, add func(name, text string)) {
	for _, entry := range d.entries(v) {
		text, ok := d.text(entry)
		bad := func(r rune) bool { return r < ' ' || r == ';' || r >= 0x7f }
		switch name := entry.key.Value; {
		case !ok:
		case name == "" || strings.ContainsFunc(name, bad) || strings.Contains(name, "="):
			d.fail(entry, "%q is no name of an attribute", clip(name))
		case strings.ContainsFunc(text, bad):
			d.fail(entry, "%q: the value of an attribute has no semicolon", clip(text))
		default:
			add(name, text)
		}
	}
}

// hashNode writes what a request is hashed by, in its shortest form.
func hashNode(policies []*route.RouteAction_HashPolicy) *yaml.Node {
	var nodes []*yaml.Node
	for _, p := range policies {
		nodes = append(nodes, oneHash(p))
	}
	if len(nodes) == 1 {
		return nodes[0]
	}
	return list(nodes...)
}

func oneHash(p *route.RouteAction_HashPolicy) *yaml.Node {
	out, short := &mapping{}, ""
	switch held := p.GetPolicySpecifier().(type) {
	case *route.RouteAction_HashPolicy_ConnectionProperties_:
		short = "source_ip"
		out.put("source_ip", truth(true))
	case *route.RouteAction_HashPolicy_QueryParameter_:
		short = "query:" + held.QueryParameter.GetName()
		out.put("query", text(held.QueryParameter.GetName()))
	case *route.RouteAction_HashPolicy_Header_:
		name, rewrite := held.Header.GetHeaderName(), held.Header.GetRegexRewrite()
		switch {
		case name == ":path" && proto.Equal(rewrite, substitute(queryOfPath, "")):
			short = "path"
			out.put("path", truth(true))
		case rewrite == nil:
			short = "header:" + name
			out.put("header", text(name))
		default:
			out.put("header", text(name))
			out.put("regex", substitutionMap(rewrite).node())
		}
	case *route.RouteAction_HashPolicy_Cookie_:
		cookie := held.Cookie
		out.put("cookie", text(cookie.GetName()))
		out.duration("ttl", cookie.GetTtl())
		out.word("cookie_path", cookie.GetPath())
		attributes := &mapping{}
		for _, a := range cookie.GetAttributes() {
			attributes.put(a.GetName(), text(a.GetValue()))
		}
		out.sub("attributes", attributes)
		if len(out.content) == 2 {
			short = "cookie:" + cookie.GetName()
		}
	}
	if p.GetTerminal() {
		out.put("terminal", truth(true))
		return out.node()
	}
	if short != "" {
		return text(short)
	}
	return out.node()
}
