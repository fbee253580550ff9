package router

import (
	"fmt"
	"math"
	"strings"
)

// Problem is one thing that is wrong, or odd, with the rules of a table.
type Problem struct {
	Host    int    // index of the virtual host
	Route   int    // index of its route; -1: it is about the virtual host
	Field   string // "hosts[0]", "match.regex", "match.headers.x-a"; "": the rule as a whole
	Text    string
	Hint    string // what was probably meant, or what to do; may be empty
	Warning bool   // it can be served all the same
}

// New compiles a table. It returns nil when any problem is not a warning. It
// sets the compiled regular expressions in the routes that have none yet, and
// keeps the virtual hosts and routes: they must not change any more.
func New(virtual []*VirtualHost) (*Table, []Problem) {
	b := builder{domains: map[string]int{}}
	t := &Table{}
	hosts := make([]host, len(virtual)) // beside each other: less memory to fetch
	for i, vh := range virtual {
		b.at, b.route = i, -1
		b.host(t, &hosts[i], vh)
	}
	t.exact, t.suffixes, t.prefixes = newNames(b.exact), newWildcards(b.suffixes), newWildcards(b.prefixes)
	if b.failed {
		return nil, b.problems
	}
	return t, b.problems
}

// A builder collects what New needs.
type builder struct {
	at, route                 int // what is being compiled
	domains                   map[string]int
	exact, suffixes, prefixes []nameSlot
	problems                  []Problem
	failed                    bool
}

func (b *builder) fail(field, hint, format string, args ...any) {
	b.problems = append(b.problems, Problem{Host: b.at, Route: b.route, Field: field, Text: fmt.Sprintf(format, args...), Hint: hint})
	b.failed = true
}

func (b *builder) warn(field, hint, format string, args ...any) {
	failed := b.failed
	b.fail(field, hint, format, args...)
	b.failed, b.problems[len(b.problems)-1].Warning = failed, true
}

func (b *builder) host(t *Table, h *host, vh *VirtualHost) {
	*h = host{VirtualHost: vh, fallback: rule{order: math.MaxUint32}}
	for i, domain := range vh.Domains {
		b.domain(t, h, i, domain)
	}
	literal, folded := make([]filing, 0, len(vh.Routes)), []filing(nil)
	shapes := make([]shape, len(vh.Routes))
	hasRegex := false
	for i, route := range vh.Routes {
		b.route = i
		b.compile(route)
		shapes[i] = shapeOf(&route.Match)
		f := filing{shapes[i].literal, rule{route: route, order: uint32(i), kind: shapes[i].kind}}
		if route.Match.conditional() {
			f.rule.flags = conditional
		}
		if route.Match.Regex != "" {
			f.rule.flags |= regexed
			hasRegex = true
		}
		if route.Match.outside() {
			f.rule.flags |= outside
		}
		switch {
		case h.fallback.route != nil && f.rule.kind != connectPath: // never reached
		case f.rule.kind == anyPath && f.rule.flags == 0:
			h.fallback = f.rule
		case f.rule.kind == anyPath || f.rule.kind == connectPath:
			h.anywhere = append(h.anywhere, f.rule)
		case route.Match.folds():
			folded = append(folded, f)
		default:
			literal = append(literal, f)
		}
	}
	h.literal, h.folded = newPaths(literal, false), newPaths(folded, true)
	h.fallback.tag = uint16(b.at)
	if hasRegex {
		h.fallback.flags |= regexed
		t.regexes = true
	}
	b.shadows(vh, shapes)
	b.route = -1
}

// domain files one name of a virtual host.
func (b *builder) domain(t *Table, h *host, i int, domain string) {
	field := fmt.Sprintf("hosts[%d]", i)
	name := lowerString(domain)
	if !strings.HasSuffix(name, "*") {
		name = strings.TrimSuffix(name, ".") // the root, which a full name may end in
	}
	if why, hint := badDomain(name); why != "" {
		b.fail(field, hint, "%q: %s", domain, why)
		return
	}
	if before, found := b.domains[name]; found {
		if before == b.at {
			b.fail(field, "", "%q stands twice", domain)
		} else {
			b.fail(field, "", "%q is a name of virtual host %d already", domain, before)
		}
		return
	}
	b.domains[name] = b.at
	if domainPort(name) {
		t.ports = true
	}
	switch {
	case name == "*":
		t.all = &nameSlot{host: h, star: starFirst}
	case name[0] == '*':
		b.suffixes = append(b.suffixes, nameSlot{name: name[1:], host: h, star: starFirst})
	case name[len(name)-1] == '*':
		b.prefixes = append(b.prefixes, nameSlot{name: name[:len(name)-1], host: h, star: starLast})
	default:
		b.exact = append(b.exact, nameSlot{name: name, host: h})
	}
}

// domainPort reports whether a domain is about the port too: "name:80", "*:80", "name:*".
func domainPort(name string) bool {
	colon := strings.LastIndexByte(name, ':')
	return colon >= 0 && colon > strings.LastIndexByte(name, ']')
}

// badDomain says what is wrong with a domain, in lower case.
func badDomain(name string) (why, hint string) {
	if name == "" {
		return "the name is empty", `"*" matches every host`
	}
	if len(name) > 262 {
		return "longer than a host name and a port can be", ""
	}
	if scheme, rest, found := strings.Cut(name, "://"); found {
		rest, _, _ = strings.Cut(rest, "/")
		return fmt.Sprintf("a host name has no scheme (%s)", scheme), fmt.Sprintf("did you mean %q?", rest)
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c == '*' && i > 0 && i < len(name)-1:
			return `"*" may only stand at the beginning or at the end`, ""
		case c == '*', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == ':', c == '[', c == ']':
		case c >= 0x80:
			return "a host name is ASCII", "write the name as it is sent, in punycode (xn--...)"
		default:
			return fmt.Sprintf("a host name does not hold %q", rune(c)), ""
		}
	}
	if len(name) > 1 && name[0] == '*' && name[len(name)-1] == '*' {
		return `"*" may stand at one end only`, ""
	}
	if strings.Count(name, ":") > 1 && name[0] != '[' && name[0] != '*' {
		return "an IPv6 address stands in brackets", fmt.Sprintf("did you mean %q?", "["+name+"]")
	}
	return "", ""
}
