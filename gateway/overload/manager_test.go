package overload

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// bench is a manager over a machine that the test makes up.
type bench struct {
	*Manager
	root     fstest.MapFS
	open     int
	busy     time.Duration
	lag      time.Duration
	now      time.Time
	log      bytes.Buffer
	notified []*State
	frees    int
}

func newBench(c Config) *bench {
	b := &bench{root: fstest.MapFS{
		"proc/self/cgroup":         {Data: []byte("0::/\n")},
		"proc/self/mountinfo":      {Data: []byte("30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")},
		"sys/fs/cgroup/memory.max": {Data: []byte("1000\n")},
	}, now: time.Unix(1000, 0)}
	b.memory(100)
	log := slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	b.Manager = New(c, Sources{
		Root:        b.root,
		Connections: func() (int, int) { return b.open, 100 },
		Files:       math.MaxInt32,
		CPUs:        2, CPUTime: func() time.Duration { return b.busy },
		Lag: func() time.Duration { return b.lag },
	}, log, func(s *State) { b.notified = append(b.notified, s) })
	b.free = func() { b.frees++ }
	return b
}

func (b *bench) memory(used int) {
	b.root["sys/fs/cgroup/memory.current"] = &fstest.MapFile{Data: fmt.Appendln(nil, used)}
}

func (b *bench) tick() *State {
	b.now = b.now.Add(b.config.Interval)
	b.Tick(b.now)
	return b.State()
}

// lines takes what was logged since the last call.
func (b *bench) lines() string {
	text := strings.TrimSuffix(b.log.String(), "\n")
	b.log.Reset()
	return text
}

func TestRequestsAreRefusedWhileMemoryIsShort(t *testing.T) {
	var c Config
	c.Interval = time.Second
	c.Triggers[Memory][RefuseRequests] = Trigger{0.9, 0.95}
	b := newBench(c)
	for _, step := range []struct {
		used  int
		level float64
		log   string
	}{
		{100, 0, ""},
		{899, 0, ""},
		{925, 0.5, `level=WARN msg="overload: refusing requests begins" action=refuse_requests because="memory 93 %"`},
		{924, 0.5, ""}, // a little less changes nothing
		{951, 1, `level=WARN msg="overload: refusing requests is in full" action=refuse_requests because="memory 95 %"`},
		{931, 1, ""},
		{905, 0.5, ""},
		{881, 0.02, ""},
		{879, 0, `level=INFO msg="overload: refusing requests ends" action=refuse_requests because=calm was="memory 88 %" lasted=6s`},
		{885, 0, ""}, // what ended begins at the trigger only
		{100, 0, ""},
		{970, 1, `level=WARN msg="overload: refusing requests begins" action=refuse_requests because="memory 97 %"`},
	} {
		b.memory(step.used)
		s := b.tick()
		taken := s.Actions[RefuseRequests]
		if math.Abs(taken.Level-step.level) > 1e-9 {
			t.Errorf("%d: level %v, want %v", step.used, taken.Level, step.level)
		}
		if got := b.lines(); got != step.log {
			t.Errorf("%d: logged\n%s\nwant\n%s", step.used, got, step.log)
		}
		if p := s.Pressures[Memory]; !p.Watched || p.Used != float64(step.used) || p.Limit != 1000 {
			t.Errorf("%d: %+v", step.used, p)
		}
		if s.Pressures[CPU].Watched || s.Pressures[Connections].Watched {
			t.Error("what nothing asks about is measured")
		}
	}
	// Seven measurements at which something was done, and the one that ended it; one more.
	if n := len(b.notified); n != 8 || !b.notified[6].Calm() || b.notified[7].Calm() {
		t.Errorf("notified %d times", n)
	}
	if b.Starts(RefuseRequests) != 2 || b.Starts(ShortenIdle) != 0 {
		t.Errorf("%d starts", b.Starts(RefuseRequests))
	}
}

// The resource that asks for the most is why.
func TestTheWorstResourceCounts(t *testing.T) {
	var c Config
	c.Interval = time.Second
	c.Triggers[Memory][ShortenIdle] = Trigger{0.5, 1}
	c.Triggers[Connections][ShortenIdle] = Trigger{0.8, 1}
	b := newBench(c)
	b.memory(600)
	b.open = 90
	if got := b.tick().Actions[ShortenIdle]; got.Why != Connections || got.String() != "connections 90 %" || math.Abs(got.Level-0.5) > 1e-9 {
		t.Errorf("%+v", got)
	}
	b.memory(950)
	if got := b.tick().Actions[ShortenIdle]; got.Why != Memory || got.String() != "memory 95 %" {
		t.Errorf("%+v", got)
	}
	b.memory(100)
	b.open = 0
	if s := b.tick(); !s.Calm() || s.Actions[ShortenIdle].String() != "calm" {
		t.Errorf("%+v", s.Actions)
	}
}

func TestMemoryIsReleasedNowAndThen(t *testing.T) {
	var c Config
	c.Interval = time.Second
	c.Triggers[Memory][Release] = Trigger{0.8, 0.8}
	b := newBench(c)
	b.memory(900)
	asked := 0
	for range 25 {
		if b.tick().ReleaseNow {
			asked++
		}
	}
	// Asked at once, after ten seconds and after twenty; each time freed at the next measurement.
	if asked != 3 || b.frees != 3 {
		t.Errorf("asked %d times, freed %d times", asked, b.frees)
	}
	b.memory(100)
	for range 20 {
		if b.tick().ReleaseNow {
			t.Error("memory is released without need")
		}
	}
	if b.frees != 3 {
		t.Errorf("freed %d times", b.frees)
	}
}

func TestCPUAndLag(t *testing.T) {
	c := Config{Interval: 100 * time.Millisecond, LagLimit: 50 * time.Millisecond}
	c.Triggers[CPU][RefuseRequests] = Trigger{0.9, 0.9}
	c.Triggers[Lag][RefuseConnections] = Trigger{1, 1}
	b := newBench(c)
	run := func(n int, share float64, lag time.Duration) *State {
		b.lag = lag
		for range n {
			b.busy += time.Duration(share * 2 * float64(c.Interval))
			b.tick()
		}
		return b.State()
	}
	if s := run(3, 0.5, time.Millisecond); !s.Calm() {
		t.Errorf("%+v", s.Actions)
	}
	if s := run(1, 1, time.Second); s.Actions[RefuseRequests].Level != 0 || s.Pressures[CPU].Value >= 0.9 {
		t.Errorf("one busy moment: %+v", s)
	}
	if s := run(100, 1, time.Second); s.Actions[RefuseRequests].Level != 1 || s.Actions[RefuseConnections].Level != 1 || math.Abs(s.Pressures[CPU].Value-1) > 0.01 || math.Abs(s.Pressures[Lag].Used-1) > 0.01 {
		t.Errorf("busy for long: %+v", s)
	}
	if s := run(100, 0.5, 0); !s.Calm() || math.Abs(s.Pressures[CPU].Value-0.5) > 0.01 {
		t.Errorf("quiet again: %+v", s)
	}
	// Time that the quota takes away counts as time that is used.
	stat := func(periods, throttled int) {
		b.root["sys/fs/cgroup/cpu.stat"] = &fstest.MapFile{Data: fmt.Appendf(nil, "nr_periods %d\nnr_throttled %d\n", periods, throttled)}
	}
	for i := range 100 {
		stat(1000+10*i, 10*i)
		run(1, 0.1, 0)
	}
	if s := b.State(); s.Actions[RefuseRequests].Level != 1 {
		t.Errorf("throttled: %+v", s.Pressures[CPU])
	}
}

func TestWhatIsNotThereIsNotWatched(t *testing.T) {
	b := newBench(Defaults())
	delete(b.root, "sys/fs/cgroup/memory.max")
	b.Manager = New(Defaults(), Sources{Root: b.root}, slog.New(slog.DiscardHandler), nil)
	s := b.tick()
	for r := range ResourceCount {
		if s.Pressures[r].Watched {
			t.Errorf("%v is watched", r)
		}
	}
	if !s.Calm() || !b.Active() || New(Config{}, Sources{Root: b.root}, nil, nil).Active() {
		t.Error("not calm, or active for nothing")
	}
}

// The process's own memory and descriptors, as they are.
func TestOwnUse(t *testing.T) {
	c := Defaults()
	c.MemoryLimit = 1000 * 4096
	b := newBench(c)
	b.root["proc/self/statm"] = &fstest.MapFile{Data: []byte("9000 1200 250 1 0 1 0\n")}
	if p := b.tick().Pressures[Memory]; p.Used/p.Limit != p.Value || math.Abs(p.Value-0.95) > 1e-9 && p.Limit == 4096000 {
		t.Errorf("%+v", p)
	}
	if p := b.State().Pressures[Files]; !p.Watched || p.Used < 3 || p.Used > 100_000 {
		t.Errorf("%+v", p)
	}
	if ProcessTime() <= 0 {
		t.Error("no time")
	}
}

func TestChance(t *testing.T) {
	for level, want := range map[float64]uint64{0: 0, 0.5: 1 << 31, 1: 1 << 32} {
		if got := (Taken{Level: level}).Chance(); got != want {
			t.Errorf("%v: %d", level, got)
		}
	}
}
