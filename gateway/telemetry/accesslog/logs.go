package accesslog

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"longmen/gateway/telemetry/metrics"
)

// waitingChunks bounds the chunks that wait for one writer: 4 MiB of lines.
const waitingChunks = 64

// Logs are the access logs of a process: one Writer for each path, whatever
// listeners and workers write there.
type Logs struct {
	log  *slog.Logger
	open func(string) (io.WriteCloser, error)
	now  func() time.Time

	mu      sync.Mutex
	writers map[string]*Writer
	closed  bool
}

// ErrClosed is returned when a log is asked for after Close.
var ErrClosed = errors.New("access logs are closed")

// New makes an empty set. Trouble with a log is told to log.
func New(log *slog.Logger) *Logs {
	return &Logs{log: log, open: openFile, now: time.Now, writers: map[string]*Writer{}}
}

// Writer is the writer for path, opened at the first call.
func (l *Logs) Writer(path string) (*Writer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if w := l.writers[path]; w != nil {
		return w, nil
	}
	w, err := newWriter(path, waitingChunks, l.log, l.open, l.now)
	if err != nil {
		return nil, err
	}
	l.writers[path] = w
	return w, nil
}

// Reopen opens every log anew, after SIGHUP or a rotation by rename. It returns all errors.
func (l *Logs) Reopen(ctx context.Context) error {
	return each(l.snapshot(nil), func(w *Writer) error { return w.Reopen(ctx) })
}

// Retain closes the logs whose paths keep does not keep. Call it when no stream is left
// that began when they were in use: lines for a closed log are dropped.
func (l *Logs) Retain(ctx context.Context, keep func(path string) bool) error {
	gone := l.snapshot(func(w *Writer) bool { return !keep(w.path) })
	l.mu.Lock()
	for _, w := range gone {
		delete(l.writers, w.path)
	}
	l.mu.Unlock()
	return each(gone, func(w *Writer) error { return w.Close(ctx) })
}

// Close writes and closes everything, until ctx ends. The workers must have
// flushed their buffers before (Buffer.FlushNow).
func (l *Logs) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	return each(l.snapshot(nil), func(w *Writer) error { return w.Close(ctx) })
}

// Stats are the numbers of every log, by path.
func (l *Logs) Stats() []metrics.AccessLog {
	var stats []metrics.AccessLog
	for _, w := range l.snapshot(nil) {
		stats = append(stats, w.Stats())
	}
	return stats
}

// snapshot lists the writers that want wants (nil: all), by path.
func (l *Logs) snapshot(want func(*Writer) bool) []*Writer {
	l.mu.Lock()
	defer l.mu.Unlock()
	var writers []*Writer
	for _, path := range slices.Sorted(maps.Keys(l.writers)) {
		if w := l.writers[path]; want == nil || want(w) {
			writers = append(writers, w)
		}
	}
	return writers
}

// each runs f for all writers at once, since each may take its time, and joins the errors.
func each(writers []*Writer, f func(*Writer) error) error {
	problems := make([]error, len(writers))
	var all sync.WaitGroup
	for i, w := range writers {
		all.Go(func() { problems[i] = f(w) })
	}
	all.Wait()
	return errors.Join(problems...)
}
