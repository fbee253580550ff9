package server

import (
	"sort"
	"strings"
)

// Names finds what a server name (SNI, RFC 6066 section 3) stands for: by the
// name itself, else by the wildcard of its longest suffix, else by "*". A
// wildcard stands for one label or more: "*.example.com" covers
// a.b.example.com, but not example.com. The zero value is empty.
type Names[T any] struct {
	exact    map[string]T
	wildcard map[string]T // by what follows "*."
	any      T
	hasAny   bool
}

// Set notes what a name, a wildcard or "*" stands for. Case and a final dot do
// not count. Names are set before they are shared, never after.
func (n *Names[T]) Set(name string, value T) {
	name = fold(name)
	switch suffix, wild := strings.CutPrefix(name, "*."); {
	case name == "*":
		n.any, n.hasAny = value, true
	case wild:
		if n.wildcard == nil {
			n.wildcard = map[string]T{}
		}
		n.wildcard[suffix] = value
	default:
		if n.exact == nil {
			n.exact = map[string]T{}
		}
		n.exact[name] = value
	}
}

// Find gives what a server name stands for; "" is a client that sent none, for
// which only "*" stands.
func (n *Names[T]) Find(name string) (T, bool) {
	name = fold(name)
	if value, ok := n.exact[name]; ok && name != "" {
		return value, true
	}
	for rest := name; len(n.wildcard) > 0; {
		_, suffix, more := strings.Cut(rest, ".")
		if !more {
			break
		}
		if value, ok := n.wildcard[suffix]; ok {
			return value, true
		}
		rest = suffix
	}
	return n.any, n.hasAny
}

// Len counts the names.
func (n *Names[T]) Len() int {
	count := len(n.exact) + len(n.wildcard)
	if n.hasAny {
		count++
	}
	return count
}

// All lists the names in order, as they were set but in lower case.
func (n *Names[T]) All() []string {
	all := make([]string, 0, n.Len())
	for name := range n.exact {
		all = append(all, name)
	}
	for suffix := range n.wildcard {
		all = append(all, "*."+suffix)
	}
	if n.hasAny {
		all = append(all, "*")
	}
	sort.Strings(all)
	return all
}

// fold makes names comparable. A name that is in lower case already is not
// copied.
func fold(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }
