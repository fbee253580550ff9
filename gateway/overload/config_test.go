package overload

import (
	"strings"
	"testing"
	"time"
)

func TestParseTrigger(t *testing.T) {
	for text, want := range map[string]Trigger{
		"off": {}, "95%": {0.95, 0.95}, "1%": {0.01, 0.01}, "100%": {1, 1}, "85%-95%": {0.85, 0.95}, "2.5%-50%": {0.025, 0.5},
	} {
		got, err := ParseTrigger(text)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		if got.String() != text {
			t.Errorf("%s is written %s", text, got)
		}
	}
	for _, text := range []string{"", "95", "0%", "101%", "-5%", "95%-85%", "90%-90%", "90%-", "NaN%", "+Inf%", "a%", "80%-90%-95%", "on"} {
		if got, err := ParseTrigger(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestLevel(t *testing.T) {
	scaled, threshold := Trigger{0.8, 0.9}, Trigger{0.9, 0.9}
	for _, test := range []struct {
		trigger        Trigger
		pressure, want float64
	}{
		{Trigger{}, 2, 0}, {threshold, 0.89, 0}, {threshold, 0.9, 1}, {threshold, 1.5, 1},
		{scaled, 0.79, 0}, {scaled, 0.8, 0}, {scaled, 0.825, 0.25}, {scaled, 0.9, 1}, {scaled, 1, 1},
	} {
		if got := test.trigger.Level(test.pressure); got < test.want-1e-9 || got > test.want+1e-9 {
			t.Errorf("%v at %v: %v, want %v", test.trigger, test.pressure, got, test.want)
		}
	}
}

// Every setting's default is a value of it, and all of them together are Defaults.
func TestSettings(t *testing.T) {
	written := map[string]any{}
	for _, s := range Settings() {
		if !s.Check(s.Default) || s.Meaning == "" || s.Example == "" || s.Check("nonsense") || s.Check("") {
			t.Errorf("%s: default %q", s.Name(), s.Default)
		}
		to := written
		if s.Group != "" {
			if written[s.Group] == nil {
				written[s.Group] = map[string]any{}
			}
			to = written[s.Group].(map[string]any)
		}
		to[s.Key] = s.Default
	}
	for _, w := range []map[string]any{nil, {}, written} {
		if c, err := Read(w); err != nil || c != Defaults() {
			t.Errorf("%+v, %v", c, err)
		}
	}
}

func TestRead(t *testing.T) {
	c, err := Read(map[string]any{
		"interval": "50ms", "retry_after": "0s",
		"memory": map[string]any{"limit": "64MiB", "refuse_requests": "50%-60%"},
		"cpu":    map[string]any{"refuse_requests": "98%"},
		"lag":    map[string]any{"limit": "20ms"},
	})
	want := Defaults()
	want.Interval, want.RetryAfter, want.MemoryLimit, want.LagLimit = 50*time.Millisecond, 0, 64<<20, 20*time.Millisecond
	want.Triggers[Memory][RefuseRequests] = Trigger{0.5, 0.6}
	want.Triggers[CPU][RefuseRequests] = Trigger{0.98, 0.98}
	if err != nil || c != want {
		t.Errorf("%+v, %v", c, err)
	}
	_, err = Read(map[string]any{"memory": map[string]any{"limit": "1PB"}})
	if err == nil || !strings.Contains(err.Error(), `overload.memory.limit: "1PB": must be auto, off or a size`) {
		t.Error(err)
	}
	for text, want := range map[string]int64{"auto": 0, "off": -1, "1": 1, "2KiB": 2048, "3GiB": 3 << 30, "1TiB": 1 << 40} {
		if got, err := parseMemory(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"0", "-1", "-1MiB", "9999999TiB", "KiB", "1 GiB"} {
		if got, err := parseMemory(text); err == nil {
			t.Errorf("%s: %d", text, got)
		}
	}
}
