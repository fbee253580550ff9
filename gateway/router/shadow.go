package router

import (
	"net/netip"
	"slices"
	"strings"
)

// maxCovering bounds the rules on one literal that a later rule is compared
// with: a table of many rules that differ only in headers is still checked
// quickly, and only a warning is lost.
const maxCovering = 64

// shadows warns of rules that no request can reach, because an earlier rule
// answers every request that they would.
func (b *builder) shadows(vh *VirtualHost, shapes []shape) {
	earlier := map[string][]int{} // literal, in lower case → the rules on it, in their order
	var lengths []int             // of these literals, ascending
	for j, route := range vh.Routes {
		literal := lowerString(shapes[j].literal)
		if i := covering(vh, shapes, earlier, lengths, j, literal); i >= 0 {
			b.route = j
			where := ""
			if origin := vh.Routes[i].Origin; origin != "" {
				where = " (" + origin + ")"
			}
			b.warn("", "put the narrower rule first, or remove it", "no request reaches this rule: %s%s answers them all", vh.Routes[i].describe(), where)
			continue // what it covers, the other one covers too
		}
		if len(earlier[literal]) < maxCovering && (route.Match.Fraction == 0 || route.Match.Fraction >= everyRequest) {
			if at, found := slices.BinarySearch(lengths, len(literal)); !found {
				lengths = slices.Insert(lengths, at, len(literal))
			}
			earlier[literal] = append(earlier[literal], j)
		}
	}
}

// covering finds an earlier rule that leaves nothing to rule j, or -1.
func covering(vh *VirtualHost, shapes []shape, earlier map[string][]int, lengths []int, j int, literal string) int {
	for _, n := range lengths {
		if n > len(literal) {
			break
		}
		for _, i := range earlier[literal[:n]] {
			if covers(&vh.Routes[i].Match, &vh.Routes[j].Match, shapes[i], shapes[j]) {
				return i
			}
		}
	}
	return -1
}

// covers reports whether every request that matches b matches a. It may miss
// that it is so, never the other way about.
func covers(a, b *Match, shapeA, shapeB shape) bool {
	return coversPath(a, b, shapeA, shapeB) &&
		(!a.GRPC || b.GRPC) &&
		coversMethods(a.Methods, b.Methods) &&
		coversSources(a.Sources, b.Sources) &&
		coversValues(a.Headers, b.Headers) && coversValues(a.Query, b.Query) && coversValues(a.Cookies, b.Cookies)
}

func coversPath(a, b *Match, shapeA, shapeB shape) bool {
	if shapeA.kind == connectPath || shapeB.kind == connectPath {
		return shapeA.kind == shapeB.kind
	}
	if a.Regex != "" {
		return a.Regex == b.Regex
	}
	if shapeA.kind == anyPath {
		return true
	}
	if b.folds() && !a.folds() || shapeB.kind == anyPath {
		return false
	}
	literal := shapeB.literal
	if a.folds() {
		literal = lowerString(literal)
	}
	rest, found := strings.CutPrefix(literal, shapeA.literal)
	switch {
	case !found:
		return false
	case shapeA.kind == exactPath:
		return rest == "" && shapeB.kind == exactPath
	case shapeA.kind == segmentPrefix && rest == "":
		return shapeB.kind != rawPrefix
	case shapeA.kind == segmentPrefix:
		return rest[0] == '/'
	}
	return true
}

func coversMethods(a, b []string) bool {
	return len(a) == 0 || len(b) > 0 && !slices.ContainsFunc(b, func(method string) bool { return !slices.Contains(a, method) })
}

func coversSources(a, b []netip.Prefix) bool {
	inA := func(p netip.Prefix) bool {
		return slices.ContainsFunc(a, func(wider netip.Prefix) bool {
			return wider.Bits() <= p.Bits() && wider.Contains(p.Addr())
		})
	}
	return len(a) == 0 || len(b) > 0 && !slices.ContainsFunc(b, func(p netip.Prefix) bool { return !inA(p) })
}

// coversValues reports whether each condition of a is one of b's.
func coversValues(a, b []ValueMatch) bool {
	same := func(x ValueMatch) func(ValueMatch) bool {
		x.regex = nil
		return func(y ValueMatch) bool {
			y.regex = nil
			return x == y
		}
	}
	return !slices.ContainsFunc(a, func(x ValueMatch) bool { return !slices.ContainsFunc(b, same(x)) })
}
