package command

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long a file must be left alone before it is read: an editor
	// writes it in several steps.
	settle = 100 * time.Millisecond
	// maxSettle bounds the wait for a file that never is.
	maxSettle = 2 * time.Second
	// maxConfig bounds the file in bytes.
	maxConfig = 64 << 20
)

// A watcher tells when a file's content has become another, or that of a file that
// it names (see use). It watches the
// directory, not the file: editors and Kubernetes replace files by renaming, and
// a watch of the file would stay with the old one. When the name is a symbolic
// link, the directory that it leads to is watched too: a ConfigMap is swapped
// where the link is, other links lead to files that are edited where they are.
type watcher struct {
	file   string
	target string // directory that the link leads to; "" when it is the same
	events *fsnotify.Watcher
	log    *slog.Logger
	last   [sha256.Size]byte // of the content that was given out last
	real   string            // name of the file that the link leads to
	change chan []byte

	mu      sync.Mutex           // of what use and run share:
	files   map[string]fileStamp // the files that the configuration names, as they were last
	names   map[string]bool      // without their folders
	folders map[string]bool      // that are watched for them
	again   chan struct{}        // asks run to look at them
}

// newWatcher watches file, whose content is known to be data.
func newWatcher(file string, data []byte, log *slog.Logger) (*watcher, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := events.Add(filepath.Dir(file)); err != nil {
		events.Close()
		return nil, err
	}
	w := &watcher{file: file, events: events, log: log, last: sha256.Sum256(data), change: make(chan []byte), again: make(chan struct{}, 1)}
	w.follow()
	return w, nil
}

// follow watches the directory that the file really is in.
func (w *watcher) follow() {
	real, err := filepath.EvalSymlinks(w.file)
	if err != nil {
		return // gone for the moment
	}
	w.real = filepath.Base(real)
	here, err := filepath.EvalSymlinks(filepath.Dir(w.file))
	target := filepath.Dir(real)
	if err != nil || target == here {
		target = ""
	}
	if target == w.target {
		return
	}
	if w.target != "" && !w.watchesFor(w.target) {
		_ = w.events.Remove(w.target) // an error means that it went by itself
	}
	w.target = target
	if target == "" {
		return
	}
	if err := w.events.Add(target); err != nil {
		w.log.Warn("watching the configuration", "directory", target, "error", err)
	}
}

// run gives the content to the channel change, whenever it or that of a file that
// it names is new, until ctx ends. Reading it
// again after an event is what decides: events themselves say too much and,
// when the queue overflows, too little.
func (w *watcher) run(ctx context.Context) {
	defer w.events.Close()
	quiet := time.NewTimer(settle) // the file may have changed before the watch began
	defer quiet.Stop()
	var first time.Time // of the events that are waited for
	for {
		select {
		case <-ctx.Done():
			return
		case event, ok := <-w.events.Events:
			if !ok {
				return
			}
			if w.foreign(event) {
				continue
			}
			now := time.Now()
			if first.IsZero() {
				first = now
			}
			quiet.Reset(min(settle, max(0, first.Add(maxSettle).Sub(now))))
		case <-w.again:
			quiet.Reset(settle)
		case err, ok := <-w.events.Errors:
			if !ok {
				return
			}
			w.log.Warn("watching the configuration", "file", w.file, "error", err)
			quiet.Reset(settle) // events may be lost
		case <-quiet.C:
			first = time.Time{}
			w.follow()
			data, changed := w.read()
			if filesChanged := w.filesChanged(); data == nil || !changed && !filesChanged {
				continue
			}
			select {
			case w.change <- data:
			case <-ctx.Done():
				return
			}
		}
	}
}

// foreign reports whether the event is none of the file's: a log that grows in
// the same directory must not hold up a change.
func (w *watcher) foreign(event fsnotify.Event) bool {
	if event.Op != fsnotify.Write {
		return event.Op == fsnotify.Chmod
	}
	name := filepath.Base(event.Name)
	return name != filepath.Base(w.file) && name != w.real && !w.ours(name)
}

// read reports the content, and whether it is new. A file that is gone or empty
// (nil) is waited for: whoever writes it anew has just begun.
func (w *watcher) read() ([]byte, bool) {
	data, err := readConfig(w.file, nil)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.log.Warn("configuration cannot be read", "file", w.file, "error", err)
		}
		return nil, false
	}
	sum := sha256.Sum256(data)
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, false
	}
	changed := sum != w.last
	w.last = sum
	return data, changed
}

// readConfig reads a file of at most maxConfig bytes; "-" is standard input.
func readConfig(name string, in io.Reader) ([]byte, error) {
	if name == "-" {
		return readBounded(in)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is a directory")}
	}
	return readBounded(f)
}

func readBounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		return nil, errors.New("the file is larger than 64 MiB")
	}
	return data, err
}
