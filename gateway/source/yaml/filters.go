package yaml

import (
	"fmt"
	"strings"
	"time"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"longmen/gateway/filter"
	"longmen/plugins"
)

// filterEntry is an entry of a list of filters.
type filterEntry struct {
	kind   *filter.Kind
	values filter.Values
	off    bool
	at     value
}

// filters reads the key "filters". A filter's path is "filters.<name>", wherever in
// the list it stands.
func (d *decoder) filters(f fields) []filterEntry {
	v, ok := f.get("filters")
	if !ok {
		return nil
	}
	var out []filterEntry
	seen := map[string]bool{}
	for _, entry := range d.items(v) {
		if entry.isMap() && len(entry.node.Content) != 2 {
			d.fail(entry, "must be one filter such as {%s: ...}", filterTable.keys[0].name)
			continue
		}
		for _, one := range d.entries(value{node: entry.node, path: v.path}) {
			kind := plugins.Find(one.key.Value)
			switch {
			case kind == nil:
				d.at(one.key, one.path, meant(one.key.Value, filterTable.names()), "there is no filter %q", clip(one.key.Value))
				continue
			case one.isNull():
				d.failHint(one, "write {} for a filter without settings", "has no value")
				continue
			}
			if seen[kind.Name] {
				d.at(one.key, one.path, "", "filter %s stands in this list twice", kind.Name)
				continue
			}
			seen[kind.Name] = true
			read := filterEntry{kind: kind, values: filter.Values{}, at: one}
			if one.scalar() && one.node.Value == "off" {
				read.off = true
			} else {
				read.values = d.filterValues(one, filterObject(kind.Name, kind.Meaning, kind.Keys), kind.Keys)
			}
			out = append(out, read)
		}
	}
	return out
}

// listenerFilters reads the filters of a listener, which stand before the router.
func (d *decoder) listenerFilters(f fields) []*hcm.HttpFilter {
	var out []*hcm.HttpFilter
	for _, entry := range d.filters(f) {
		out = append(out, &hcm.HttpFilter{
			Name: entry.kind.XDS, Disabled: entry.off,
			ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: d.pack(entry.at, entry.kind.Message(entry.values))},
		})
	}
	return out
}

// routeFilters reads the filters of a table, host or rule.
func (d *decoder) routeFilters(f fields) map[string]*anypb.Any {
	var out map[string]*anypb.Any
	for _, entry := range d.filters(f) {
		if out == nil {
			out = map[string]*anypb.Any{}
		}
		if entry.off {
			out[entry.kind.XDS] = d.pack(entry.at, &route.FilterConfig{Disabled: true})
		} else {
			out[entry.kind.XDS] = d.pack(entry.at, entry.kind.Message(entry.values))
		}
	}
	return out
}

// filterValues reads a map of settings.
func (d *decoder) filterValues(v value, table object, keys []filter.Key) filter.Values {
	out := filter.Values{}
	f := d.object(v, table)
	for _, key := range keys {
		if entry, ok := f.get(key.Name); ok {
			if read, ok := d.filterValue(entry, key.Type); ok {
				out[key.Name] = read
			}
		} else if strings.HasSuffix(key.Meaning, "Required.") {
			f.missing(key.Name, firstWords(key.Meaning))
		}
	}
	return out
}

// firstWords is a meaning as part of a message.
func firstWords(meaning string) string {
	first, _, _ := strings.Cut(meaning, ".")
	return strings.ToLower(first[:1]) + first[1:]
}

// filterValue reads a value of the type.
func (d *decoder) filterValue(v value, t filter.Type) (any, bool) {
	switch t.Form {
	case filter.Text:
		return some(d.word(v))
	case filter.Flag:
		return some(d.boolean(v))
	case filter.Number:
		return some(d.integer(v, t.Low, t.High))
	case filter.Bytes:
		return some(d.bytes(v, t.Low, t.High))
	case filter.Duration:
		wait, ok := d.duration(v, time.Duration(t.Low))
		if ok && wait > time.Duration(t.High) {
			d.fail(v, "%s: must be at most %v", clip(v.node.Value), time.Duration(t.High))
			return nil, false
		}
		return wait, ok
	case filter.Choice:
		return some(d.choice(v, t.Words...))
	case filter.Pattern:
		return some(d.pattern(v))
	case filter.File:
		name, ok := d.word(v)
		return d.fileName(name), ok
	case filter.List, filter.OneOrMore:
		return d.filterList(v, t)
	case filter.Object:
		return d.filterValues(v, filterObject(t.Name, "", t.Keys), t.Keys), v.isMap()
	}
	for _, one := range t.Of { // of an Either
		if v.isMap() == (one.Form == filter.Object) && v.isList() == (one.Form == filter.List) {
			return d.filterValue(v, one)
		}
	}
	var shapes []string
	for _, one := range t.Of {
		switch one.Form {
		case filter.Object:
			shapes = append(shapes, "a map")
		case filter.List:
			shapes = append(shapes, "a list")
		default:
			shapes = append(shapes, "a "+filterKind(one).text)
		}
	}
	d.fail(v, "must be %s, not %s", alternatives(shapes), shape(v.node))
	return nil, false
}

func some[T any](v T, ok bool) (any, bool) { return v, ok }

func (d *decoder) filterList(v value, t filter.Type) (any, bool) {
	entries := d.items
	if t.Form == filter.OneOrMore {
		entries = d.oneOrMore
	}
	list := []any{}
	for _, entry := range entries(v) {
		if read, ok := d.filterValue(entry, t.Of[0]); ok {
			list = append(list, read)
		}
	}
	if v.isList() && len(v.node.Content) == 0 {
		d.fail(v, "must name at least one")
	}
	return list, len(list) > 0
}

// The tables of filters are made from what the filters say of themselves.

var filterTable = filterNames()

// filterNames is the table of an entry of "filters".
func filterNames() object {
	out := object{name: "filter", meaning: "One filter and its settings: a map with one of these keys. `off` in place of the settings switches the filter off: on a table, host or rule the one that a wider\n" +
		"level has; on a listener until a host or rule has settings for it. The most specific settings count, as a whole: those of a rule, its host, its table, the listener. Requests pass the\n" +
		"listener's filters in their order, then those that only hosts and rules have, in the order of this table; responses the other way round."}
	for _, k := range plugins.All() {
		out.keys = append(out.keys, key{name: k.Name, kind: either(ref(k.Name), one("off")), meaning: k.Meaning, twin: "`" + k.XDS + "`", example: k.Example})
	}
	return out
}

// filterObjects are the tables of all filters.
func filterObjects() []object {
	out := []object{filterTable}
	var add func(o object, keys []filter.Key)
	nested := func(t filter.Type) {
		for _, one := range append([]filter.Type{t}, t.Of...) {
			for _, inner := range append([]filter.Type{one}, one.Of...) {
				if inner.Form == filter.Object {
					add(filterObject(inner.Name, "", inner.Keys), inner.Keys)
				}
			}
		}
	}
	seen := map[string]bool{}
	add = func(o object, keys []filter.Key) {
		if seen[o.name] {
			return
		}
		seen[o.name] = true
		out = append(out, o)
		for _, k := range keys {
			nested(k.Type)
		}
	}
	for _, k := range plugins.All() {
		add(filterObject(k.Name, k.Meaning, k.Keys), k.Keys)
	}
	return out
}

// filterObject is the table of a filter's settings, or of a map within.
func filterObject(name, meaning string, keys []filter.Key) object {
	out := object{name: name, meaning: meaning}
	if meaning == "" {
		out.meaning = fmt.Sprintf("Part of a filter's settings (`%s`).", name)
	}
	for _, k := range keys {
		out.keys = append(out.keys, key{k.Name, filterKind(k.Type), k.Default, k.Meaning, k.Twin, k.Example, false})
	}
	return out
}

func filterKind(t filter.Type) kind {
	switch t.Form {
	case filter.Flag:
		return aBool
	case filter.Number:
		return aWhole
	case filter.Bytes:
		return aSize
	case filter.Duration:
		return aDuration
	case filter.Choice:
		return one(t.Words...)
	case filter.Pattern:
		return aRegex
	case filter.List:
		return listOf(filterKind(t.Of[0]))
	case filter.OneOrMore:
		return oneOrMore(filterKind(t.Of[0]))
	case filter.Object:
		return ref(t.Name)
	case filter.Either:
		var kinds []kind
		for _, one := range t.Of {
			kinds = append(kinds, filterKind(one))
		}
		return either(kinds...)
	}
	return aString
}
