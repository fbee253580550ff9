package yaml

import (
	"strconv"

	"longmen/gateway/overload"
)

// The settings of the overload manager are listed by package overload; the tables
// of the reference are made of that list.

// aTrigger is an overload.Trigger.
var aTrigger = kind{"percent, range or off", `{"type":"string","pattern":"^(off|[0-9.]+%(-[0-9.]+%)?)$"}`}

// overloadTable is the key "overload".
func overloadTable() object {
	out := object{"overload", "What is done when memory, CPU, connections or file descriptors run short: [overload.md](overload.md).\nAn action's value is a percentage of the resource's limit from which it is taken (`95%`), a range in which it is\ntaken the harder the fuller the resource is (`85%-95%`), or `off`.", nil}
	for _, s := range overload.Settings() {
		if s.Group == "" {
			out.keys = append(out.keys, overloadKey(s))
		}
	}
	for r := range overload.ResourceCount {
		out.keys = append(out.keys, key{r.String(), ref(overloadGroup(r)), "", "When to act on the pressure on it.", "", "{refuse_requests: 95%}", false})
	}
	return out
}

func overloadGroup(r overload.Resource) string { return "overload " + r.String() }

// overloadTables are the tables of the resources.
func overloadTables() []object {
	var all []object
	for r := range overload.ResourceCount {
		out := object{overloadGroup(r), overload.GroupMeaning(r), nil}
		for _, s := range overload.Settings() {
			if s.Group == r.String() {
				out.keys = append(out.keys, overloadKey(s))
			}
		}
		all = append(all, out)
	}
	return all
}

func overloadKey(s overload.Setting) key {
	k := aTrigger
	switch s.Kind {
	case overload.MemorySetting:
		k = either(one("auto", "off"), aSize)
	case overload.DurationSetting:
		k = aDuration
	}
	return key{s.Key, k, s.Default, s.Meaning, "", s.Example, false}
}

// overload reads the settings as they are written.
func (d *decoder) overload(v value) map[string]any {
	f := d.object(v, overloadTable())
	written := d.overloadGroup(f, "")
	for r, table := range overloadTables() {
		name := overload.Resource(r).String()
		if group, ok := f.get(name); ok {
			written[name] = d.overloadGroup(d.object(group, table), name)
		}
	}
	return written
}

// overloadGroup reads the settings of one group.
func (d *decoder) overloadGroup(f fields, group string) map[string]any {
	written := map[string]any{}
	for _, s := range overload.Settings() {
		v, ok := f.get(s.Key)
		if s.Group != group || !ok {
			continue
		}
		text, ok := d.word(v)
		if ok && s.IsSize(text) {
			var n int64
			n, ok = d.bytes(v, 1, maxBytes)
			text = strconv.FormatInt(n, 10)
		}
		switch {
		case !ok: // reported
		case !s.Check(text):
			d.fail(v, "%q: must be %s", clip(text), s.Allowed)
		default:
			written[s.Key] = text
		}
	}
	return written
}
