package transcode

import (
	"fmt"
	"strings"
)

// template is a path template (google/api/http.proto):
//
//	Template = "/" Segments [ Verb ] ;
//	Segments = Segment { "/" Segment } ;
//	Segment  = "*" | "**" | LITERAL | Variable ;
//	Variable = "{" FieldPath [ "=" Segments ] "}" ;
//	Verb     = ":" LITERAL ;
//
// "*" matches one segment, "**" the rest of the path, which may be nothing.
type template struct {
	segments  []string // "*" and "**" are wildcards
	variables []variable
	verb      string
}

// variable is a field that is bound to segments [from, to), or to all from there on
// when the template ends with "**".
type variable struct {
	field    string // "shelf.name"
	from, to int
	rest     bool // takes "**"
}

// multi reports whether a variable can hold more than one segment; slashes in its
// value separate them.
func (v *variable) multi() bool { return v.rest || v.to-v.from > 1 }

const maxSegments = 64

// parseTemplate reads a template.
func parseTemplate(text string) (*template, error) {
	p := &templateParser{rest: text, t: &template{}}
	if err := p.parse(); err != nil {
		return nil, fmt.Errorf("path template %q: %w", text, err)
	}
	return p.t, nil
}

type templateParser struct {
	rest string
	t    *template
}

func (p *templateParser) parse() error {
	if !p.take("/") {
		return fmt.Errorf("must begin with /")
	}
	if p.rest == "" {
		return nil
	}
	if err := p.segments(false); err != nil {
		return err
	}
	if p.take(":") {
		if p.t.verb = p.rest; p.rest == "" || strings.ContainsAny(p.rest, "/{}*:") {
			return fmt.Errorf("%q is no verb", p.rest)
		}
		p.rest = ""
	}
	if p.rest != "" {
		return fmt.Errorf("%q is not expected", p.rest)
	}
	for i, s := range p.t.segments {
		if s == "**" && i != len(p.t.segments)-1 {
			return fmt.Errorf("** must be the last segment")
		}
	}
	return nil
}

func (p *templateParser) take(s string) bool {
	rest, ok := strings.CutPrefix(p.rest, s)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *templateParser) segments(inner bool) error {
	for {
		if err := p.segment(inner); err != nil {
			return err
		}
		if len(p.t.segments) > maxSegments {
			return fmt.Errorf("more than %d segments", maxSegments)
		}
		if !p.take("/") {
			return nil
		}
	}
}

func (p *templateParser) segment(inner bool) error {
	switch {
	case p.take("**"):
		p.t.segments = append(p.t.segments, "**")
	case p.take("*"):
		p.t.segments = append(p.t.segments, "*")
	case p.take("{"):
		if inner {
			return fmt.Errorf("a variable within a variable")
		}
		return p.variable()
	default:
		end := strings.IndexAny(p.rest, "/{}*:=")
		if end < 0 {
			end = len(p.rest)
		}
		if end == 0 {
			return fmt.Errorf("a segment is empty")
		}
		p.t.segments = append(p.t.segments, p.rest[:end])
		p.rest = p.rest[end:]
	}
	return nil
}

func (p *templateParser) variable() error {
	end := strings.IndexAny(p.rest, "=}")
	if end <= 0 {
		return fmt.Errorf("a variable has no name, or no end")
	}
	v := variable{field: p.rest[:end], from: len(p.t.segments)}
	p.rest = p.rest[end:]
	if p.take("=") {
		if err := p.segments(true); err != nil {
			return err
		}
	} else {
		p.t.segments = append(p.t.segments, "*")
	}
	if !p.take("}") {
		return fmt.Errorf("variable %q has no end", v.field)
	}
	v.to = len(p.t.segments)
	v.rest = p.t.segments[v.to-1] == "**"
	for _, other := range p.t.variables {
		if other.field == v.field {
			return fmt.Errorf("variable %q stands there twice", v.field)
		}
	}
	p.t.variables = append(p.t.variables, v)
	return nil
}
