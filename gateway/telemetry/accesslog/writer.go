// Package accesslog writes access logs beside the loops: each worker formats its
// lines into memory of its own (Buffer) and hands it, full or a second old, to
// the one goroutine that writes the file (Writer). A loop never waits for a
// disk: when the goroutine is behind, lines are dropped and counted.
package accesslog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"longmen/gateway/telemetry/metrics"
)

// complainEvery bounds how often a failing log is spoken of.
const complainEvery = time.Minute

// Writer is one destination: a file, or the process's standard output or error.
type Writer struct {
	path string
	log  *slog.Logger
	open func(path string) (io.WriteCloser, error)
	now  func() time.Time

	full   chan *chunk
	reopen chan chan error
	quit   chan struct{} // closed to end the goroutine
	done   chan struct{} // closed by it
	closed atomic.Bool

	mu      sync.Mutex
	buffers map[int]*Buffer // by worker

	bytes, errors atomic.Uint64

	// The goroutine's own.
	file       io.WriteCloser
	torn       bool // the last write ended within a line
	failures   uint64
	complained time.Time
}

// newWriter opens path and starts its goroutine. Waiting bounds the chunks that may wait.
func newWriter(path string, waiting int, log *slog.Logger, open func(string) (io.WriteCloser, error), now func() time.Time) (*Writer, error) {
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	w := &Writer{
		path: path, log: log, open: open, now: now, file: file,
		full: make(chan *chunk, waiting), reopen: make(chan chan error),
		quit: make(chan struct{}), done: make(chan struct{}),
		buffers: map[int]*Buffer{},
	}
	go w.run()
	return w, nil
}

// Path is where the lines go.
func (w *Writer) Path() string { return w.path }

// Buffer is the buffer of the worker with that number, made at the first call.
func (w *Writer) Buffer(worker int) *Buffer {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.buffers[worker]
	if b == nil {
		b = &Buffer{writer: w, free: make(chan *chunk, chunksEach)}
		w.buffers[worker] = b
	}
	return b
}

// Stats adds up over the workers.
func (w *Writer) Stats() metrics.AccessLog {
	stats := metrics.AccessLog{Path: w.path, Bytes: w.bytes.Load(), Errors: w.errors.Load()}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.buffers {
		stats.Lines += b.written.Load()
		stats.Dropped += b.dropped.Load() + b.lost.Load()
	}
	return stats
}

// Reopen opens the path anew, so that a file that was renamed is let go. When
// that fails the old file stays in use. Standard output and error stay as they are.
func (w *Writer) Reopen(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case w.reopen <- answer:
	case <-w.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: the writer is busy: %w", w.path, ctx.Err())
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s: not reopened yet: %w", w.path, ctx.Err())
	}
}

// Close writes what was handed over and closes the file. Lines that come later
// are dropped. When ctx ends first (a pipe that nobody reads), the goroutine is left behind.
func (w *Writer) Close(ctx context.Context) error {
	if !w.closed.Swap(true) {
		close(w.quit)
	}
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: lines are left unwritten: %w", w.path, ctx.Err())
	}
}

func (w *Writer) run() {
	defer close(w.done)
	for {
		select {
		case c := <-w.full:
			w.write(c)
		case answer := <-w.reopen:
			answer <- w.openAnew()
		case <-w.quit:
			for {
				select {
				case c := <-w.full:
					w.write(c)
				default:
					if err := w.file.Close(); err != nil {
						w.failed(err)
					}
					return
				}
			}
		}
	}
}

func (w *Writer) write(c *chunk) {
	if w.torn {
		// Ends the line of which only a part could be written.
		if _, err := w.file.Write([]byte{'\n'}); err == nil {
			w.torn = false
		}
	}
	n, err := w.file.Write(c.text)
	w.bytes.Add(uint64(n))
	if err != nil {
		var whole uint64
		for _, char := range c.text[:n] {
			if char == '\n' {
				whole++
			}
		}
		w.torn = w.torn || n > 0 && c.text[n-1] != '\n'
		c.owner.written.Add(min(whole, c.lines))
		c.owner.lost.Add(c.lines - min(whole, c.lines))
		w.failed(err)
	} else {
		c.owner.written.Add(c.lines)
	}
	c.owner.free <- c // has room for every chunk of its owner
}

func (w *Writer) openAnew() error {
	file, err := w.open(w.path)
	if err != nil {
		w.failed(err)
		return err
	}
	if err := w.file.Close(); err != nil {
		w.failed(err)
	}
	w.file, w.torn = file, false
	return nil
}

// failed counts an error, and speaks of it at most once a minute.
func (w *Writer) failed(err error) {
	w.errors.Add(1)
	w.failures++
	if now := w.now(); w.complained.IsZero() || now.Sub(w.complained) >= complainEvery {
		w.log.Error("access log fails", "path", w.path, "error", err, "failures", w.failures)
		w.complained, w.failures = now, 0
	}
}

// openFile opens a destination for appending; a file is made with mode 0640. Standard output and
// error are taken as they are: their paths cannot be opened when they are sockets.
func openFile(path string) (io.WriteCloser, error) {
	switch path {
	case "/dev/stdout":
		return unclosed{os.Stdout}, nil
	case "/dev/stderr":
		return unclosed{os.Stderr}, nil
	}
	// Without O_NONBLOCK, opening a FIFO that nobody reads would wait for ever.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o640)
	if errors.Is(err, syscall.ENXIO) {
		return nil, fmt.Errorf("%w (nobody reads this FIFO)", err)
	}
	return file, err
}

// unclosed keeps standard output open for others.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }
