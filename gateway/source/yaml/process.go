package yaml

import (
	"slices"
	"strings"
	"time"

	"longmen/gateway/protocol/cdnloop"
)

// process checks the settings of the process and returns them as they are
// written.
func (d *decoder) process(top fields) map[string]any {
	settings := map[string]any{}
	put := func(name string, value any, ok bool) {
		if ok {
			settings[name] = value
		}
	}
	for _, k := range processTable.keys {
		v, ok := top.get(k.name)
		if !ok {
			continue
		}
		switch k.name {
		case "mode":
			d.mode(v, put)
		case "node":
			s, ok := d.word(v)
			if ok && len(s) > maxNode {
				d.fail(v, "is longer than %d bytes", maxNode)
			}
			put("node", s, ok)
		case "locality":
			f := d.object(v, ownLocalityTable)
			where := map[string]any{}
			for _, key := range []string{"region", "zone", "sub_zone", "gateways"} {
				if name := d.placeName(f, key); name != "" {
					where[key] = name
				}
			}
			put("locality", where, true)
		case "admin":
			put("admin", d.admin(v), true)
		case "workers":
			d.workers(v, put)
		case "pin":
			on, ok := d.boolean(v)
			put("pin", on, ok)
		case "log":
			put("log", d.log(v), true)
		case "access_log":
			put("access_log", d.processAccessLog(v), true)
		case "drain":
			f := d.object(v, drainTable)
			put("drain", f.plain(nil, []string{"timeout"}), true)
		case "limits":
			put("limits", d.processLimits(v), true)
		case "loop_guard":
			put("loop_guard", d.loopGuard(v), true)
		case "overload":
			put("overload", d.overload(v), true)
		case "watchdog":
			put("watchdog", v.node.Value, d.ofProcess(v))
		}
	}
	return settings
}

// The bounds of the process's settings.
const (
	maxNode        = 255 // bytes
	maxConnections = 100_000_000
	maxWait        = 24 * time.Hour
)

// ofProcess checks a duration, which is longer than a day by mistake only.
func (d *decoder) ofProcess(v value) bool {
	t, ok := d.duration(v, 0)
	if ok && t > maxWait {
		d.fail(v, "%s is longer than a day", clip(v.node.Value))
		return false
	}
	return ok
}

func (d *decoder) mode(v value, put func(string, any, bool)) {
	if v.scalar() && v.node.Value == "sidecar" {
		d.fail(v, "mode sidecar is not supported by this version yet")
		return
	}
	s, ok := d.choice(v, "edge")
	put("mode", s, ok)
}

func (d *decoder) workers(v value, put func(string, any, bool)) {
	if v.scalar() && v.node.Value == "auto" {
		put("workers", "auto", true)
		return
	}
	if v.scalar() && v.node.ShortTag() == "!!str" {
		d.failHint(v, nearest(v.node.Value, []string{"auto"}), "%q: must be auto or a number from 1 to 1024", clip(v.node.Value))
		return
	}
	n, ok := d.integer(v, 1, 1024)
	put("workers", n, ok)
}

func (d *decoder) admin(v value) map[string]any {
	f := d.object(v, adminTable)
	out := map[string]any{}
	bind, ok := f.get("bind")
	if !ok {
		return out
	}
	s, ok := d.word(bind)
	switch file, unix := strings.CutPrefix(s, "unix:"); {
	case !ok || s == "off":
	case unix && file == "":
		d.failHint(bind, `write "unix:/run/longmen.sock"`, "%q names no file", s)
	case !unix:
		ok = d.bind(bind, 0) != nil
	}
	if ok {
		out["bind"] = s
	}
	return out
}

func (d *decoder) loopGuard(v value) map[string]any {
	f := d.object(v, loopGuardTable)
	out := map[string]any{}
	if id, ok := f.get("id"); ok {
		s, ok := d.word(id)
		if ok && !cdnloop.Valid(s) {
			d.fail(id, "%q: must be a name or host[:port] of at most %d bytes", clip(s), cdnloop.MaxID)
		}
		out["id"] = s
	}
	if n, ok := f.number("hops", 1, cdnloop.MostHops); ok {
		out["hops"] = n
	}
	return out
}

func (d *decoder) processLimits(v value) map[string]any {
	f := d.object(v, processLimitsTable)
	out := map[string]any{}
	if n, ok := f.number("connections", 0, maxConnections); ok {
		out["connections"] = n
	}
	if n, ok := f.number("files", 0, 10_000_000); ok {
		if n > 0 && n < 64 {
			d.fail(f.written("files"), "%d: must be from 64 to 10000000, or 0 for the hard limit", n)
		}
		out["files"] = n
	}
	return out
}

func (d *decoder) log(v value) map[string]any {
	f := d.object(v, logTable)
	f.choice("level", "debug", "info", "warn", "error")
	f.choice("format", "text", "json")
	return f.plain([]string{"level", "format", "path"}, nil)
}

// processAccessLog gives "off", or a list of logs with path, format and fields.
func (d *decoder) processAccessLog(v value) any {
	if v.scalar() {
		d.choice(v, "off")
		return "off"
	}
	d.accessLogs(v)
	var logs []any
	for _, entry := range d.oneOrMore(v) {
		if !entry.isMap() {
			continue // reported
		}
		log := map[string]any{}
		for _, field := range d.silently(entry) {
			switch {
			case field.scalar():
				log[field.key.Value] = field.node.Value
			case field.isMap():
				fields := map[string]any{}
				for _, one := range d.silently(field) {
					fields[one.key.Value] = one.node.Value
				}
				log[field.key.Value] = fields
			}
		}
		logs = append(logs, log)
	}
	return logs
}

// silently reads the entries of a map whose problems are reported already.
func (d *decoder) silently(v value) []value {
	before := len(d.problems)
	list := d.entries(v)
	d.problems = d.problems[:before]
	return list
}

// plain checks fields of the usual kinds and returns them as they are written.
func (f fields) plain(words, durations []string) map[string]any {
	out := map[string]any{}
	for _, v := range f.found {
		switch name := v.key.Value; {
		case slices.Contains(words, name):
			if s, ok := f.d.word(v); ok {
				out[name] = s
			}
		case slices.Contains(durations, name):
			if f.d.ofProcess(v) {
				out[name] = v.node.Value
			}
		}
	}
	return out
}
