package yaml

import (
	"slices"
	"strings"
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
			put("node", s, ok)
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
			put("drain", f.plain(nil, []string{"timeout"}, nil), true)
		case "limits":
			f := d.object(v, processLimitsTable)
			f.number("files", 64, 10_000_000)
			put("limits", f.plain(nil, nil, []string{"connections", "files"}), true)
		case "watchdog":
			_, ok := d.duration(v, 0)
			put("watchdog", v.node.Value, ok)
		}
	}
	return settings
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
	if ok && s != "off" {
		_, _, ok = d.hostPort(bind, s)
		if ok && d.bind(bind) == nil {
			ok = false
		}
	}
	if ok {
		out["bind"] = s
	}
	return out
}

func (d *decoder) log(v value) map[string]any {
	f := d.object(v, logTable)
	f.choice("level", "debug", "info", "warn", "error")
	f.choice("format", "text", "json")
	return f.plain([]string{"level", "format", "path"}, nil, nil)
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

// plain checks fields of the usual kinds and returns them as they are written:
// words and durations as strings, numbers as int64.
func (f fields) plain(words, durations, numbers []string) map[string]any {
	out := map[string]any{}
	for name, v := range f.found {
		switch {
		case slices.Contains(words, name):
			if s, ok := f.d.word(v); ok {
				out[name] = s
			}
		case slices.Contains(durations, name):
			if _, ok := f.d.duration(v, 0); ok {
				out[name] = strings.TrimSpace(v.node.Value)
			}
		case slices.Contains(numbers, name):
			if n, ok := f.d.integer(v, 0, most); ok {
				out[name] = n
			}
		}
	}
	return out
}
