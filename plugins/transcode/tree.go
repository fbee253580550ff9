package transcode

import (
	"fmt"
	"strings"
)

// tree finds the binding for a method and a path. Its nodes are segments; a literal
// is preferred to "*", and that to "**". A path visits each node at most once.
type tree struct {
	root  node
	verbs map[string]bool
	// anyVerb takes ":x" at a path's end for a verb even when no template has it.
	anyVerb bool
}

type node struct {
	literals map[string]*node
	star     *node
	rest     *node // "**"
	ends     map[end]*binding
}

// end is what completes a path: HTTP method ("*" is any) and verb.
type end struct{ method, verb string }

// add files a binding under its template.
func (t *tree) add(method string, b *binding) error {
	n := &t.root
	for _, s := range b.template.segments {
		var next **node
		switch s {
		case "*":
			next = &n.star
		case "**":
			next = &n.rest
		default:
			if n.literals == nil {
				n.literals = map[string]*node{}
			}
			if n.literals[s] == nil {
				n.literals[s] = &node{}
			}
			n = n.literals[s]
			continue
		}
		if *next == nil {
			*next = &node{}
		}
		n = *next
	}
	key := end{method, b.template.verb}
	if before := n.ends[key]; before != nil {
		return fmt.Errorf("%s and %s both answer %s with the same path", before.method.FullName(), b.method.FullName(), method)
	}
	if n.ends == nil {
		n.ends = map[end]*binding{}
	}
	n.ends[key] = b
	if key.verb != "" {
		t.verbs[key.verb] = true
	}
	return nil
}

// find gives the binding for a request, and the segments of its path without the
// verb; nil when there is none.
func (t *tree) find(method, path string) (*binding, []string) {
	if path == "" || path[0] != '/' || strings.Count(path, "/") > maxSegments {
		return nil, nil
	}
	var segments []string
	if path != "/" {
		segments = strings.Split(path[1:], "/")
	}
	if n := len(segments); n > 0 {
		last := segments[n-1]
		if colon := strings.LastIndexByte(last, ':'); colon >= 0 && (t.anyVerb || t.verbs[last[colon+1:]]) {
			segments[n-1] = last[:colon]
			if b := t.root.find(segments, end{method, last[colon+1:]}); b != nil || t.anyVerb {
				return b, segments
			}
			segments[n-1] = last
		}
	}
	return t.root.find(segments, end{method: method}), segments
}

func (n *node) find(segments []string, e end) *binding {
	if len(segments) == 0 {
		if b := n.end(e); b != nil {
			return b
		}
	} else {
		if next := n.literals[unescape(segments[0], allCharacters)]; next != nil {
			if b := next.find(segments[1:], e); b != nil {
				return b
			}
		}
		if n.star != nil && segments[0] != "" {
			if b := n.star.find(segments[1:], e); b != nil {
				return b
			}
		}
	}
	if n.rest != nil {
		return n.rest.end(e)
	}
	return nil
}

func (n *node) end(e end) *binding {
	if b := n.ends[e]; b != nil {
		return b
	}
	return n.ends[end{"*", e.verb}]
}

// unescaping says which percent-encoded characters of a variable are decoded.
type unescaping uint8

const (
	exceptReserved unescaping = iota // those of RFC 6570 section 1.5 stay encoded
	exceptSlash
	allCharacters
)

// unescape decodes a part of a path once. What is no percent-encoding stays.
func unescape(s string, how unescaping) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if c := byte(high<<4 | low); high >= 0 && low >= 0 && how.decodes(c) {
				out = append(out, c)
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

func (u unescaping) decodes(c byte) bool {
	switch u {
	case exceptReserved:
		return strings.IndexByte("!#$&'()*+,/:;=?@[]", c) < 0
	case exceptSlash:
		return c != '/'
	}
	return true
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
