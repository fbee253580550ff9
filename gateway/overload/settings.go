package overload

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Setting is one key of the settings, as gateway.yaml, the environment and the
// reference have it.
type Setting struct {
	Group   string // "memory"; "" stands for the settings that are of no resource
	Key     string // "release"
	Kind    SettingKind
	Default string
	Meaning string
	Example string
	// Allowed says what a value may be, for people; check reports whether it is.
	Allowed string
	set     func(c *Config, text string) error
}

// SettingKind is what a setting's value is.
type SettingKind uint8

// The kinds.
const (
	TriggerSetting  SettingKind = iota // see ParseTrigger
	DurationSetting                    // "250ms"
	MemorySetting                      // "auto", "off", or bytes: "2GiB"
)

// IsSize reports whether text is meant as a count of bytes.
func (s *Setting) IsSize(text string) bool {
	return s.Kind == MemorySetting && text != "auto" && text != "off"
}

// Name is the key with its group: "memory.release".
func (s *Setting) Name() string {
	if s.Group == "" {
		return s.Key
	}
	return s.Group + "." + s.Key
}

// Check reports whether text is a value of the setting.
func (s *Setting) Check(text string) bool { return s.set(&Config{}, text) == nil }

// GroupMeaning says what a group of settings is about.
func GroupMeaning(r Resource) string {
	return [...]string{
		"Memory: what the cgroup uses of its limit, without what the kernel can take back; with a size as `limit`, what the process uses of that.",
		"CPU: the process's time of what its cgroup and its affinity let it have, and the share of the quota's periods in which it was throttled; the greater of both, smoothed.",
		"Client connections, of `limits.connections`; not watched without that limit.",
		"File descriptors, of those that the process may have.",
		"Time that the slowest worker keeps a task waiting, of `limit`.",
		"Share of the last seconds in which something of the cgroup waited for a CPU (PSI, `cpu.pressure`).",
	}[r]
}

const (
	triggerAllowed = "a percentage such as 95%, a range such as 85%-95%, or off"
	maxMemory      = 1 << 50 // bytes
)

// Settings are all settings, in the order of the reference.
func Settings() []Setting {
	all := []Setting{
		durationSetting("", "interval", "Time between two measurements (10ms to 1m).", 10*time.Millisecond, time.Minute, func(c *Config) *time.Duration { return &c.Interval }),
		durationSetting("", "retry_after", "What refused requests are told to wait, in whole seconds (at most 1h); 0s: nothing.", 0, time.Hour, func(c *Config) *time.Duration { return &c.RetryAfter }),
		durationSetting("", "least_idle", "What `shorten_idle` shortens idle timeouts to, in full (10ms to 1h).", 10*time.Millisecond, time.Hour, func(c *Config) *time.Duration { return &c.LeastIdle }),
	}
	for r := range ResourceCount {
		switch r {
		case Memory:
			all = append(all, Setting{
				Group: r.String(), Key: "limit", Kind: MemorySetting, Default: "auto", Example: "2GiB",
				Meaning: "`auto` is the limit of the cgroup, or of one above it; a size is measured against what the process itself uses; `off` watches nothing.",
				Allowed: "auto, off or a size such as 512MiB", set: func(c *Config, text string) (err error) {
					c.MemoryLimit, err = parseMemory(text)
					return err
				},
			})
		case Lag:
			all = append(all, durationSetting(r.String(), "limit", "What counts as 100% (1ms to 1m).", time.Millisecond, time.Minute, func(c *Config) *time.Duration { return &c.LagLimit }))
		}
		for a := range ActionCount {
			all = append(all, triggerSetting(r, a))
		}
	}
	return all
}

func durationSetting(group, key, meaning string, low, high time.Duration, field func(*Config) *time.Duration) Setting {
	defaults := Defaults()
	return Setting{
		Group: group, Key: key, Kind: DurationSetting, Default: shortDuration(*field(&defaults)), Meaning: meaning, Example: "500ms",
		Allowed: fmt.Sprintf("a duration from %s to %s", shortDuration(low), shortDuration(high)),
		set: func(c *Config, text string) error {
			d, err := time.ParseDuration(text)
			if err == nil && (d < low || d > high) {
				err = errors.New("out of bounds")
			}
			*field(c) = d
			return err
		},
	}
}

func triggerSetting(r Resource, a Action) Setting {
	meaning := [...]string{
		"Give back what is kept for later: buffers in pools, idle connections to endpoints, and what Go holds of freed memory, at most every 10 seconds; while memory is short, windows of HTTP/2 do not grow.",
		"Idle client connections end earlier: the nearer to the end of the range, the nearer their idle timeout to `least_idle`.",
		"Client connections end after their answers (`Connection: close`, GOAWAY); in a range, at its end.",
		"New connections wait in the kernel's backlog; in a range, at its end.",
		"New connections are reset; in a range, the more of them the nearer to its end.",
		"Requests are answered with 503; in a range, the more of them the nearer to its end.",
	}[a]
	defaults := Defaults()
	return Setting{
		Group: r.String(), Key: a.String(), Default: defaults.Triggers[r][a].String(), Meaning: meaning, Example: "85%-95%",
		Allowed: triggerAllowed, set: func(c *Config, text string) (err error) {
			c.Triggers[r][a], err = ParseTrigger(text)
			return err
		},
	}
}

// shortDuration is d without the zeros that String ends with: "1m", not "1m0s".
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// parseMemory reads Config.MemoryLimit.
func parseMemory(text string) (int64, error) {
	switch text {
	case "auto":
		return 0, nil
	case "off":
		return -1, nil
	}
	number, unit := text, int64(1)
	for suffix, size := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40} {
		if n, ok := strings.CutSuffix(text, suffix); ok {
			number, unit = n, size
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > maxMemory/unit {
		return 0, fmt.Errorf("%q is no size", text)
	}
	return n * unit, nil
}

// Read makes a Config of settings as they are written: texts by key, and maps of
// them by group. What is not written is as in Defaults.
func Read(written map[string]any) (Config, error) {
	c := Defaults()
	for _, s := range Settings() {
		from := written
		if s.Group != "" {
			from, _ = written[s.Group].(map[string]any)
		}
		if value, ok := from[s.Key]; ok {
			if err := s.set(&c, fmt.Sprint(value)); err != nil {
				return Config{}, fmt.Errorf("overload.%s: %q: must be %s", s.Name(), value, s.Allowed)
			}
		}
	}
	return c, nil
}
