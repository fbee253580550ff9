package router

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// compile makes the regular expressions of a route.
func (b *builder) compile(r *Route) {
	m := &r.Match
	if m.Regex != "" {
		b.regex("match.regex", m.Regex, &m.regex)
		if m.IgnoreCase {
			b.warn("match.regex", "begin the pattern with (?i)", "ignoring case has no effect on a regular expression")
		}
	}
	b.values("match.headers.", m.Headers)
	b.values("match.query.", m.Query)
	b.values("match.cookies.", m.Cookies)
	if f := r.Forward; f != nil {
		if f.RegexRewrite != nil {
			b.substitution("rewrite.regex", f.RegexRewrite)
		}
		b.weights(f)
		b.resilience(f)
	}
	if r.Redirect != nil && r.Redirect.Regex != nil {
		b.substitution("redirect.regex", r.Redirect.Regex)
	}
}

// resilience compiles what retries and hashes match by.
func (b *builder) resilience(f *Forward) {
	if f.Retry != nil {
		b.values("retry.headers.", f.Retry.Headers)
		b.values("retry.request_headers.", f.Retry.RequestHeaders)
	}
	for i := range f.Hash {
		if r := f.Hash[i].Regex; r != nil {
			b.substitution(fmt.Sprintf("hash[%d].regex", i), r)
		}
	}
}

// weights holds what Pick relies on.
func (b *builder) weights(f *Forward) {
	if f.ClusterHeader != "" || len(f.Clusters) == 1 {
		return
	}
	var sum uint64
	for i := range f.Clusters {
		sum += uint64(f.Clusters[i].Weight)
	}
	if sum == 0 || sum != uint64(f.TotalWeight) {
		b.fail("to", "", "the weights sum to %d, and the total weight is %d", sum, f.TotalWeight)
	}
}

func (b *builder) values(field string, values []ValueMatch) {
	for i := range values {
		if v := &values[i]; v.Kind == Regex {
			b.regex(field+v.Name, v.Value, &v.regex)
		}
	}
}

// regex compiles a pattern that must match a whole value.
func (b *builder) regex(field, pattern string, into **regexp.Regexp) {
	if *into != nil { // by an earlier table, which may be serving from it
		return
	}
	if _, err := syntax.Parse(pattern, syntax.Perl); err != nil { // tells of the pattern as it was written
		b.badRegex(field, pattern, err)
		return
	}
	compiled, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		b.badRegex(field, pattern, err)
		return
	}
	*into = compiled
}

func (b *builder) badRegex(field, pattern string, err error) {
	b.fail(field, "", "%q: %s", pattern, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
}

// substitution compiles a rewriting of paths.
func (b *builder) substitution(field string, r *RegexRewrite) {
	if r.compiled != nil {
		return
	}
	compiled, err := regexp.Compile(r.Pattern)
	if err != nil {
		b.badRegex(field+".match", r.Pattern, err)
		return
	}
	template, err := expansion(r.Substitution, compiled.NumSubexp())
	if err != nil {
		b.fail(field+".to", "", "%q: %v", r.Substitution, err)
		return
	}
	if i := strings.IndexByte(r.Substitution, '$'); i >= 0 && i+1 < len(r.Substitution) && strings.IndexByte("{123456789", r.Substitution[i+1]) >= 0 {
		b.warn(field+".to", `groups are written \1`, "%q: $ stands for itself", r.Substitution)
	}
	r.compiled, r.template = compiled, template
}

// expansion turns RE2's substitution (\1) into Go's (${1}).
func expansion(substitution string, groups int) (string, error) {
	var out strings.Builder
	for i := 0; i < len(substitution); i++ {
		switch c := substitution[i]; {
		case c == '$':
			out.WriteString("$$")
		case c <= ' ' || c >= 0x7f || c == '#' || c == '?':
			return "", fmt.Errorf("%q cannot stand in a path", c)
		case c != '\\':
			out.WriteByte(c)
		case i+1 == len(substitution):
			return "", fmt.Errorf(`a single \ at the end; write \\ for a backslash`)
		default:
			i++
			switch c := substitution[i]; {
			case c == '\\':
				out.WriteString("%5C")
			case c < '0' || c > '9':
				return "", fmt.Errorf(`\%c is neither a group nor \\`, c)
			case int(c-'0') > groups:
				return "", fmt.Errorf(`\%c: the pattern has %d groups`, c, groups)
			default:
				fmt.Fprintf(&out, "${%c}", c)
			}
		}
	}
	return out.String(), nil
}

// A shape is a Match's condition on the path as the table files it.
type shape struct {
	kind    pathKind
	literal string // what every path that matches begins with
}

func shapeOf(m *Match) shape {
	s := shape{kind: anyPath}
	switch {
	case m.Connect:
		s.kind = connectPath
	case m.Path != "":
		s = shape{exactPath, m.Path}
	case m.Prefix != "" && m.Prefix != "/":
		s = shape{segmentPrefix, m.Prefix}
	case m.RawPrefix != "" && m.RawPrefix != "/":
		s = shape{rawPrefix, m.RawPrefix}
	case m.Regex != "":
		if literal := literalPrefix(m.Regex); literal != "" {
			s = shape{rawPrefix, literal}
		}
	}
	if m.folds() {
		s.literal = lowerString(s.literal)
	}
	return s
}

// folds reports whether the path is compared without regard to case. Envoy's
// case_sensitive says nothing about regular expressions either.
func (m *Match) folds() bool { return m.IgnoreCase && m.Regex == "" }

// literalPrefix is what every text that a pattern matches as a whole begins with.
func literalPrefix(pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "" // reported by compile
	}
	parts := []*syntax.Regexp{re}
	for len(parts) > 0 {
		switch first := parts[0]; first.Op {
		case syntax.OpBeginText, syntax.OpBeginLine, syntax.OpEmptyMatch:
			parts = parts[1:]
		case syntax.OpConcat, syntax.OpCapture:
			parts = append(append([]*syntax.Regexp(nil), first.Sub...), parts[1:]...)
		case syntax.OpLiteral:
			if first.Flags&syntax.FoldCase != 0 {
				return ""
			}
			return string(first.Rune)
		default:
			return ""
		}
	}
	return ""
}
