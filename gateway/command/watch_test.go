package command

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// patience bounds how long a test waits for what must happen.
const patience = 10 * time.Second

// watch starts a watcher of a file in a new directory.
func watch(t *testing.T, file, content string) *watcher {
	t.Helper()
	w, err := newWatcher(file, []byte(content), slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return w
}

func (w *watcher) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-w.change:
		if string(got) != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("no change seen; want %q", want)
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWatchWriteInPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	write(t, file, "one")
	w := watch(t, file, "one")
	write(t, file, "two")
	w.expect(t, "two")
	write(t, file, "three")
	w.expect(t, "three")
}

func TestWatchRename(t *testing.T) {
	dir := t.TempDir()
	file, draft := filepath.Join(dir, "gateway.yaml"), filepath.Join(dir, ".gateway.yaml.swp")
	write(t, file, "one")
	w := watch(t, file, "one")
	for _, content := range []string{"two", "three"} { // the second one shows that the watch has not stayed with the old file
		write(t, draft, content)
		must(t, os.Rename(draft, file))
		w.expect(t, content)
	}
}

func TestWatchDeleteAndRecreate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	write(t, file, "one")
	w := watch(t, file, "one")
	must(t, os.Remove(file))
	write(t, file, "two")
	w.expect(t, "two")
	must(t, os.Remove(file))
	write(t, file, "three")
	w.expect(t, "three")
}

// A ConfigMap is mounted as links: gateway.yaml -> ..data/gateway.yaml, ..data -> a
// directory of that version. An update swaps ..data by renaming another link over it.
func TestWatchConfigMap(t *testing.T) {
	dir := t.TempDir()
	version := func(name, content string) {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		write(t, filepath.Join(dir, name, "gateway.yaml"), content)
		must(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	version("..1", "one")
	file := filepath.Join(dir, "gateway.yaml")
	must(t, os.Symlink(filepath.Join("..data", "gateway.yaml"), file))
	w := watch(t, file, "one")
	version("..2", "two")
	w.expect(t, "two")
	must(t, os.RemoveAll(filepath.Join(dir, "..1")))
	version("..3", "three")
	w.expect(t, "three")
}

// A link may lead to a file that is edited where it is, and later to another one.
func TestWatchLink(t *testing.T) {
	dir, elsewhere, third := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(elsewhere, "real"), "one")
	file := filepath.Join(dir, "gateway.yaml")
	must(t, os.Symlink(filepath.Join(elsewhere, "real"), file))
	w := watch(t, file, "one")
	write(t, filepath.Join(elsewhere, "real"), "two")
	w.expect(t, "two")
	write(t, filepath.Join(third, "real"), "three")
	must(t, os.Symlink(filepath.Join(third, "real"), filepath.Join(dir, "new")))
	must(t, os.Rename(filepath.Join(dir, "new"), file))
	w.expect(t, "three")
	write(t, filepath.Join(third, "real"), "four")
	w.expect(t, "four")
}

// What was written between the first reading and the watch is not lost.
// A log that grows beside the file must not hold up a change, nor cause reading.
func TestWatchForeignEvents(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "gateway.yaml")
	write(t, filepath.Join(dir, "real.yaml"), "one")
	must(t, os.Symlink("real.yaml", file))
	w, err := newWatcher(file, []byte("one"), slog.New(slog.DiscardHandler))
	must(t, err)
	defer w.events.Close()
	for _, c := range []struct {
		name    string
		op      fsnotify.Op
		foreign bool
	}{
		{"gateway.yaml", fsnotify.Write, false},
		{"real.yaml", fsnotify.Write, false},
		{"..data", fsnotify.Create, false},
		{"access.log", fsnotify.Write, true},
		{"gateway.yaml", fsnotify.Chmod, true},
	} {
		if got := w.foreign(fsnotify.Event{Name: filepath.Join(dir, c.name), Op: c.op}); got != c.foreign {
			t.Errorf("%v of %s: foreign is %v", c.op, c.name, got)
		}
	}
}

func TestWatchSeesWhatCameBefore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	write(t, file, "two")
	w := watch(t, file, "one")
	w.expect(t, "two")
}

// The same content again is no change, whatever the events say.
func TestWatchIgnoresTheSameContent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	write(t, file, "one")
	w := watch(t, file, "one")
	write(t, file, "one")
	write(t, filepath.Join(filepath.Dir(file), "other"), "x")
	write(t, file, "two")
	w.expect(t, "two")
}

func TestReadConfigIsBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "big")
	write(t, file, "")
	must(t, os.Truncate(file, maxConfig+1)) // sparse
	if _, err := readConfig(file, nil); err == nil {
		t.Error("a file larger than the bound was read")
	}
	if _, err := readConfig(filepath.Dir(file), nil); err == nil {
		t.Error("a directory was read")
	}
}

// A certificate that changes counts as a change of the file that names it, be it
// written in place or swapped as Kubernetes swaps the links of a Secret.
func TestWatchNamedFiles(t *testing.T) {
	dir, secrets := t.TempDir(), t.TempDir()
	file, cert, key := filepath.Join(dir, "gateway.yaml"), filepath.Join(dir, "a.crt"), filepath.Join(secrets, "tls.key")
	write(t, file, "one")
	write(t, cert, "first")
	version := func(name, content string) {
		must(t, os.Mkdir(filepath.Join(secrets, name), 0o755))
		write(t, filepath.Join(secrets, name, "tls.key"), content)
		must(t, os.Symlink(name, filepath.Join(secrets, "..data_tmp")))
		must(t, os.Rename(filepath.Join(secrets, "..data_tmp"), filepath.Join(secrets, "..data")))
	}
	version("..1", "one")
	must(t, os.Symlink(filepath.Join("..data", "tls.key"), key))
	w := watch(t, file, "one")
	w.use(stampFiles([]string{cert, key}))
	write(t, cert, "second one")
	w.expect(t, "one")
	version("..2", "another")
	w.expect(t, "one")
	must(t, os.Remove(cert))
	w.expect(t, "one")
	write(t, cert, "third")
	w.expect(t, "one")
	write(t, file, "two")
	w.expect(t, "two")
}

// What changes between the reading of a file and the beginning of its watch is seen.
func TestWatchFileChangedBefore(t *testing.T) {
	dir := t.TempDir()
	file, cert := filepath.Join(dir, "gateway.yaml"), filepath.Join(t.TempDir(), "a.crt")
	write(t, file, "one")
	write(t, cert, "first")
	w := watch(t, file, "one")
	stamps := stampFiles([]string{cert})
	write(t, cert, "second one")
	w.use(stamps)
	w.expect(t, "one")
}

// Files that are named no more are not watched.
func TestWatchForgetsFiles(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	file, cert := filepath.Join(dir, "gateway.yaml"), filepath.Join(other, "a.crt")
	write(t, file, "one")
	write(t, cert, "first")
	w := watch(t, file, "one")
	w.use(stampFiles([]string{cert}))
	w.use(nil)
	if list := w.events.WatchList(); len(list) != 1 || list[0] != dir {
		t.Errorf("still watched: %q", list)
	}
}
