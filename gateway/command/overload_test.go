package command

import (
	"strings"
	"testing"
	"time"

	"longmen/gateway/overload"
)

func TestOverloadSettings(t *testing.T) {
	if s := good(t, from(t, "")); s.Overload != overload.Defaults() {
		t.Errorf("%+v", s.Overload)
	}
	file := `overload:
  interval: 50ms
  memory: {limit: 64MB, refuse_requests: 50%-60%, release: "off"}
  lag: {limit: 20ms, refuse_requests: 90%}
`
	want := overload.Defaults()
	want.Interval, want.MemoryLimit, want.LagLimit = 50*time.Millisecond, 64_000_000, 20*time.Millisecond
	want.Triggers[overload.Memory][overload.RefuseRequests] = overload.Trigger{From: 0.5, To: 0.6}
	want.Triggers[overload.Memory][overload.Release] = overload.Trigger{}
	want.Triggers[overload.Lag][overload.RefuseRequests] = overload.Trigger{From: 0.9, To: 0.9}
	if s := good(t, from(t, file)); s.Overload != want {
		t.Errorf("%+v", s.Overload)
	}
	t.Setenv("LONGMEN_OVERLOAD_MEMORY_LIMIT", "2GiB")
	t.Setenv("LONGMEN_OVERLOAD_FILES_PAUSE_ACCEPTING", "off")
	want.MemoryLimit = 2 << 30
	want.Triggers[overload.Files][overload.PauseAccepting] = overload.Trigger{}
	if s := good(t, from(t, file)); s.Overload != want {
		t.Errorf("the environment must beat the file: %+v", s.Overload)
	}
	t.Setenv("LONGMEN_OVERLOAD_CPU_REFUSE_REQUESTS", "99")
	_, problems := from(t, file).settings()
	const problem = `overload.cpu.refuse_requests: "99": must be a percentage such as 95%, a range such as 85%-95%, or off (environment variable LONGMEN_OVERLOAD_CPU_REFUSE_REQUESTS)`
	if len(problems) != 1 || !strings.HasPrefix(problems[0].String(), problem) {
		t.Errorf("%v", problems)
	}
}
