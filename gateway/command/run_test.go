package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"longmen/gateway/admin"
	"longmen/gateway/snapshot"
)

// fake is a gateway that only notes what it is told.
type fake struct {
	applied  chan *snapshot.Snapshot
	drained  chan struct{}
	refuse   error // of the next Apply
	reopened atomic.Int32
	refusals atomic.Int32
}

func (f *fake) Apply(s *snapshot.Snapshot) error {
	if err := f.refuse; err != nil {
		f.refuse = nil
		return err
	}
	f.applied <- s
	return nil
}

func (f *fake) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func (f *fake) Drain() { close(f.drained) }

func (f *fake) Refused() { f.refusals.Add(1) }

func (f *fake) ReopenLogs() error {
	f.reopened.Add(1)
	return nil
}

func (f *fake) next(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	select {
	case s := <-f.applied:
		return s
	case <-time.After(patience):
		t.Fatal("nothing was applied")
		return nil
	}
}

// journal is a log that a test can wait for.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newJournal() *journal { return &journal{more: make(chan struct{}, 1)} }

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text.Write(p)
	select {
	case j.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// wait returns when the log holds text.
func (j *journal) wait(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(patience)
	for !strings.Contains(j.String(), text) {
		select {
		case <-j.more:
		case <-deadline:
			t.Fatalf("the log has no %q:\n%s", text, j)
		}
	}
}

const plainConfig = `listeners: {http: {bind: ":8080", routes: all}}
routes: {all: [{hosts: ["*"], rules: [{to: web}]}]}
clusters: {web: {endpoints: ["127.0.0.1:9001"]}}
`

// running is "longmen run" with a fake gateway.
type running struct {
	*fake
	*runner
	log     *journal
	file    string
	signals chan os.Signal
	ended   chan error
}

func start(t *testing.T, content string) *running {
	t.Helper()
	r := &running{
		fake:    &fake{applied: make(chan *snapshot.Snapshot, 1), drained: make(chan struct{})},
		log:     newJournal(),
		file:    filepath.Join(t.TempDir(), "gateway.yaml"),
		signals: make(chan os.Signal),
		ended:   make(chan error, 1),
	}
	write(t, r.file, content)
	r.runner = &runner{file: r.file, errOut: r.log}
	first := load(r.file, []byte(content), r.from, nil)
	if first.snapshot == nil {
		t.Fatal(first.problems)
	}
	go func() {
		r.ended <- r.run(context.Background(), first, func(*runner) (gateway, error) { return r.fake, nil }, r.signals)
	}()
	r.next(t)
	t.Cleanup(func() {
		r.stop(t)
	})
	return r
}

// stop ends it as an operator does who has no patience.
func (r *running) stop(t *testing.T) {
	t.Helper()
	for {
		select {
		case r.signals <- syscall.SIGTERM:
		case err := <-r.ended:
			if err != nil {
				t.Error(err)
			}
			return
		case <-time.After(patience):
			t.Fatal("does not end")
		}
	}
}

func TestRunFollowsTheFile(t *testing.T) {
	r := start(t, plainConfig)
	before := r.current.Load().snapshot
	write(t, r.file, strings.ReplaceAll(plainConfig, "9001", "9002"))
	after := r.next(t)
	if after.Version == before.Version || after.Clusters[0] == before.Clusters[0] || after.Listeners[0] != before.Listeners[0] {
		t.Error("the cluster must be another one, the listener the same")
	}
	r.log.wait(t, "configuration applied")
}

func TestRunKeepsServingWhenTheFileIsBroken(t *testing.T) {
	r := start(t, plainConfig)
	version := r.current.Load().snapshot.Version
	write(t, r.file, strings.ReplaceAll(plainConfig, "to: web", "to: wab"))
	r.log.wait(t, `no cluster named "wab"`)
	r.log.wait(t, "1 problem; nothing was changed, version "+version+" is still serving")
	write(t, r.file, strings.ReplaceAll(plainConfig, "9001", "9003"))
	if s := r.next(t); s.Version == version {
		t.Error("the repaired file must be taken")
	}
}

func TestRunReloadsOnSignal(t *testing.T) {
	r := start(t, plainConfig)
	r.signals <- syscall.SIGHUP
	if s := r.next(t); s.Version != r.current.Load().snapshot.Version {
		t.Error("the same file must give the same version")
	}
	r.log.wait(t, "nothing has changed")
	if r.reopened.Load() != 1 {
		t.Error("the access logs must be opened anew")
	}
}

// After a rotation by rename and SIGHUP the process's log goes into a new file.
func TestRunOpensItsLogAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "longmen.log")
	r := start(t, plainConfig+"log: {path: "+path+"}\n")
	old := path + ".1"
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	r.signals <- syscall.SIGHUP
	r.next(t)
	r.signals <- syscall.SIGHUP // takes its turn after the first is done with
	before, err := os.ReadFile(old)
	if err != nil || !strings.Contains(string(before), "msg=serving") || strings.Contains(string(before), "read again") {
		t.Errorf("the old file: %v\n%s", err, before)
	}
	after, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(after), "read again") {
		t.Errorf("the new file: %v\n%s", err, after)
	}
}

// An empty file is a file that is being written, not a wish to serve nothing.
func TestRunKeepsServingWhenTheFileIsEmpty(t *testing.T) {
	r := start(t, plainConfig)
	write(t, r.file, "\n")
	r.signals <- syscall.SIGHUP
	r.log.wait(t, "the configuration is empty; nothing was changed")
	if n := r.refusals.Load(); n == 0 {
		t.Error("the gateway was not told of a refused configuration")
	}
}

func TestRunSaysWhatWaitsForARestart(t *testing.T) {
	r := start(t, plainConfig)
	write(t, r.file, plainConfig+"workers: 3\n")
	r.next(t)
	r.log.wait(t, "key=workers")
}

func TestRunKeepsTheOldWhenTheNewCannotBeApplied(t *testing.T) {
	r := start(t, plainConfig)
	before := r.current.Load()
	r.refuse = errors.New("port is taken")
	r.signals <- syscall.SIGHUP
	r.log.wait(t, "port is taken")
	r.signals <- syscall.SIGHUP // takes its turn after the first is done with
	r.next(t)
	if r.current.Load().snapshot.Version != before.snapshot.Version {
		t.Error("the version must stay")
	}
}

func TestRunDrainsThenStops(t *testing.T) {
	r := start(t, plainConfig)
	r.signals <- syscall.SIGTERM
	select {
	case <-r.drained:
	case <-time.After(patience):
		t.Fatal("not drained")
	}
	r.signals <- syscall.SIGHUP // is too late
	r.log.wait(t, "not read again")
	r.stop(t)
	r.ended <- nil // for the clean-up
	if !strings.Contains(r.log.String(), "stopping at once") {
		t.Errorf("the second signal must stop:\n%s", r.log)
	}
}

func TestRunRefusesABrokenFile(t *testing.T) {
	t.Chdir("testdata/broken")
	if got := longmen(t, "run", "-c", "undefined-cluster.yaml"); !strings.Contains(got, "did you mean") || !strings.HasSuffix(got, "1 problem\nexit 1\n") {
		t.Error(got)
	}
	if got := longmen(t, "run", "-c", "unused-and-shadowed.yaml", "--mode", "sidecar"); !strings.Contains(got, "mode: sidecar is not supported by this version yet (flag --mode)") {
		t.Error(got)
	}
}

func TestRunToNeedsNoFile(t *testing.T) {
	t.Chdir(t.TempDir())
	for to, want := range map[string]string{
		"http://localhost:3000":   "localhost:3000",
		"http://127.0.0.1":        "127.0.0.1:80",
		"http://[::1]:3000/":      "::1:3000",
		"http://web.example.com":  "web.example.com:80",
		"https://web.example.com": "web.example.com:443",
	} {
		text, err := quickConfig(to, ":8080")
		must(t, err)
		l := load(quickFile, text, sources{}, nil)
		if l.snapshot == nil || len(l.problems) != 0 {
			t.Fatalf("%s: %v", to, l.problems)
		}
		e := l.snapshot.Clusters[0].Config().Endpoints[0]
		if got := fmt.Sprintf("%s:%d", e.Host, e.Port); got != want {
			t.Errorf("%s leads to %s, want %s", to, got, want)
		}
		if tls := l.snapshot.Clusters[0].Config().TLS; (tls != nil) != strings.HasPrefix(to, "https:") {
			t.Errorf("%s: TLS %v", to, tls)
		}
	}
}

func TestDumpConfig(t *testing.T) {
	l := load("gateway.yaml", []byte(plainConfig), sources{}, nil)
	text, err := dumpConfig(l.set, admin.DumpYAML)
	must(t, err)
	if again := load("gateway.yaml", text, sources{}, nil); again.snapshot == nil || again.snapshot.Version != l.snapshot.Version {
		t.Errorf("the dump says something else:\n%s", text)
	}
	for format, want := range map[admin.DumpFormat]string{
		admin.DumpJSON: `"endpoints": [`,
		admin.DumpXDS:  `"clusters": [`,
	} {
		text, err := dumpConfig(l.set, format)
		must(t, err)
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s has no %s:\n%s", format, want, text)
		}
	}
	if _, err := dumpConfig(l.set, "toml"); err == nil {
		t.Error("toml is no format")
	}
}
