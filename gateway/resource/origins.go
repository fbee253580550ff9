package resource

import (
	"fmt"
	"math"
	"strings"
)

// Origins knows for each Path the place where it was written: for a scalar its
// value, for a list or map its key, for an entry whose key is a name
// ("clusters.cart", "routes.public[0].rules[1].to.cart") that key. A file of
// 100,000 rules has some 400,000 places, so they are kept small. What was read is
// not changed any more; a nil Origins knows nothing.
type Origins struct {
	sources []source
	places  map[Path]spot
}

// source is what many places have in common.
type source struct{ file, resource string }

// spot is an Origin with the index of its source.
type spot struct{ source, line, column, width uint32 }

// Set notes the place of a path. A number beyond 31 bits counts as the
// largest.
func (o *Origins) Set(path Path, at Origin) {
	if o.places == nil {
		o.places = map[Path]spot{}
	}
	from := source{at.File, at.Resource}
	if n := len(o.sources); n == 0 || o.sources[n-1] != from {
		o.sources = append(o.sources, from)
	}
	small := func(n int) uint32 { return uint32(min(max(n, 0), math.MaxInt32)) }
	o.places[path] = spot{uint32(len(o.sources) - 1), small(at.Line), small(at.Column), small(at.Width)}
}

// At returns the place of exactly this path, if it is known.
func (o *Origins) At(path Path) (Origin, bool) {
	if o == nil {
		return Origin{}, false
	}
	at, ok := o.places[path]
	if !ok {
		return Origin{}, false
	}
	from := o.sources[at.source]
	return Origin{File: from.file, Line: int(at.line), Column: int(at.column), Width: int(at.width), Resource: from.resource}, true
}

// Find returns the origin of p, or of the nearest part that encloses it.
func (o *Origins) Find(p Path) Origin {
	for p != "" {
		if at, ok := o.At(p); ok {
			return at
		}
		p = p[:max(strings.LastIndexAny(string(p), ".["), 0)]
	}
	return Origin{}
}

// Problem makes a problem about path that points at the place of at, which is
// path itself or a part of it: an unknown cluster in a weighted "to" is about
// "...to" and points at "...to.cart".
func (o *Origins) Problem(path, at Path, format string, args ...any) Problem {
	origin := o.Find(at)
	return Problem{Path: path, Origin: origin, Width: origin.Width, Text: fmt.Sprintf(format, args...)}
}
