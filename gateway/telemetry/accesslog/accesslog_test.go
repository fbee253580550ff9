package accesslog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// destination takes what a Writer writes; write, if set, does it in its place.
type destination struct {
	mu     sync.Mutex
	text   bytes.Buffer
	closed bool
	write  func(p []byte) (int, error)
}

func (d *destination) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.write != nil {
		n, err := d.write(p)
		d.text.Write(p[:n])
		return n, err
	}
	return d.text.Write(p)
}

func (d *destination) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return nil
}

func (d *destination) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

// logsTo makes a set whose logs all go to d.
func logsTo(d *destination) *Logs {
	l := New(slog.New(slog.DiscardHandler))
	l.open = func(string) (io.WriteCloser, error) { return d, nil }
	return l
}

func writer(t testing.TB, l *Logs, path string) *Writer {
	t.Helper()
	w, err := l.Writer(path)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func closeAll(t testing.TB, l *Logs) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
}

// line is what Append takes for a line.
func line(text string) func([]byte) []byte {
	return func(dst []byte) []byte { return append(dst, text...) }
}

func TestLinesOfWorkersAreWritten(t *testing.T) {
	d := new(destination)
	l := logsTo(d)
	w := writer(t, l, "a.log")
	first, again, other := w.Buffer(0), w.Buffer(0), w.Buffer(1)
	if writer(t, l, "a.log") != w || first != again || first == other {
		t.Fatal("a path has several writers, or a worker several buffers")
	}
	const lines = 5000
	var workers sync.WaitGroup
	for id := range 3 {
		workers.Go(func() {
			b := w.Buffer(id)
			for i := range lines {
				b.Append(int64(i), line("worker "+string(rune('0'+id))+" says something"))
			}
			b.FlushNow()
		})
	}
	workers.Wait()
	closeAll(t, l)
	counts := map[string]int{}
	for text := range strings.Lines(d.String()) {
		counts[text]++
	}
	for id := range 3 {
		if n := counts["worker "+string(rune('0'+id))+" says something\n"]; n != lines {
			t.Errorf("%d lines of worker %d, want %d", n, id, lines)
		}
	}
	want := metrics.AccessLog{Path: "a.log", Lines: 3 * lines, Bytes: uint64(len(d.String()))}
	if got := l.Stats()[0]; len(counts) != 3 || got != want || !d.closed {
		t.Errorf("stats %+v, want %+v; %d different lines; closed %v", got, want, len(counts), d.closed)
	}
}

func TestFlushWaitsASecond(t *testing.T) {
	d := new(destination)
	l := logsTo(d)
	b := writer(t, l, "a.log").Buffer(0)
	start := int64(7 * time.Second)
	if b.Deadline() != 0 {
		t.Error("an empty buffer has a deadline")
	}
	b.Append(start, line("first\n"))
	b.Append(start+int64(900*time.Millisecond), line("second"))
	b.Flush(start + int64(999*time.Millisecond))
	if b.Deadline() != start+int64(time.Second) {
		t.Errorf("deadline %v, want a second after the first line", time.Duration(b.Deadline()))
	}
	b.Flush(b.Deadline())
	if b.Deadline() != 0 {
		t.Error("lines were not handed over in time")
	}
	b.Flush(start * 2)
	b.FlushNow()
	closeAll(t, l)
	if d.String() != "first\nsecond\n" {
		t.Errorf("%q", d.String())
	}
}

// An idle loop hands its lines over, too.
func TestFlushOnAnIdleLoop(t *testing.T) {
	wrote := make(chan string, 2)
	l := logsTo(&destination{write: func(p []byte) (int, error) { wrote <- string(p); return len(p), nil }})
	b := writer(t, l, "a.log").Buffer(0)
	loop, err := worker.New(worker.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- loop.Run() }()
	loop.Do(func() {
		b.FlushOn(loop)
		b.Append(loop.Now(), line("one"))
		b.FlushNow()
		b.Append(loop.Now()+int64(maxAge/10), line("two")) // younger than the timer
	})
	if one, two := <-wrote, <-wrote; one != "one\n" || two != "two\n" {
		t.Errorf("%q, %q", one, two)
	}
	loop.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	loop.Close()
	closeAll(t, l)
}

// A destination that takes nothing must cost lines, not time or memory.
func TestSlowDestinationDropsAndCounts(t *testing.T) {
	release := make(chan struct{})
	d := &destination{write: func(p []byte) (int, error) { <-release; return len(p), nil }}
	l := logsTo(d)
	w := writer(t, l, "a.log")
	b := w.Buffer(0)
	text := strings.Repeat("x", 1023) + "\n"
	const lines = 1000
	for i := range lines { // 1 MB: more than the chunks hold
		b.Append(int64(i), line(text))
		b.Flush(int64(i))
	}
	dropped := w.Stats().Dropped
	if kept := lines - dropped; kept < 3*handOver/1024 || kept > chunksEach*(handOver+1024)/1024 {
		t.Errorf("%d of %d lines kept", kept, lines)
	}
	if b.made != chunksEach {
		t.Errorf("%d chunks made", b.made)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.Close(ctx); err == nil {
		t.Error("a log was closed that could not be written")
	}
	close(release)
	closeAll(t, l)
	b.FlushNow()
	stats := w.Stats()
	if stats.Lines+stats.Dropped != lines || uint64(strings.Count(d.String(), "\n")) != stats.Lines {
		t.Errorf("%+v of %d lines; %d are there", stats, lines, strings.Count(d.String(), "\n"))
	}
}

func TestLinesAfterCloseAreDropped(t *testing.T) {
	d := new(destination)
	l := logsTo(d)
	w := writer(t, l, "a.log")
	b := w.Buffer(0)
	b.Append(1, line("too late"))
	closeAll(t, l)
	b.FlushNow()
	b.Append(2, line("later still"))
	b.Flush(int64(time.Hour))
	if stats := w.Stats(); stats.Dropped != 2 || d.String() != "" {
		t.Errorf("%+v, %q", stats, d.String())
	}
	if _, err := l.Writer("b.log"); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestLongLinesAreWhole(t *testing.T) {
	d := new(destination)
	l := logsTo(d)
	b := writer(t, l, "a.log").Buffer(0)
	long := strings.Repeat("y", 3*handOver)
	for i := range 3 {
		b.Append(1, line("before"))
		b.Append(1, line(long))
		b.Append(int64(i), line("after"))
	}
	b.FlushNow()
	closeAll(t, l)
	if want := strings.Repeat("before\n"+long+"\nafter\n", 3); d.String() != want {
		t.Errorf("%d bytes written, want %d", len(d.String()), len(want))
	}
	for c := b.take(); c != nil; c = b.take() {
		if cap(c.text) > handOver+slack {
			t.Errorf("a chunk of %d bytes stays", cap(c.text))
		}
	}
}

// A write that fails within a line must not glue the next line to the rest of it.
func TestFailedWrites(t *testing.T) {
	room := 14 // of 27
	d := &destination{write: func(p []byte) (int, error) {
		if room < 0 || len(p) <= room {
			return len(p), nil
		}
		n := room
		room = 0
		return n, syscall.ENOSPC
	}}
	var said strings.Builder
	clock := time.Unix(1000, 0)
	l := logsTo(d)
	l.log = slog.New(slog.NewTextHandler(&said, nil))
	l.now = func() time.Time { return clock }
	w := writer(t, l, "a.log")
	c := &chunk{text: []byte("line one\nline two\nline 3 X\n"), lines: 3, owner: w.Buffer(0)}
	send := func() {
		w.full <- c
		c = <-c.owner.free
	}
	send() // writes 14 bytes
	send() // none
	clock = clock.Add(complainEvery - 1)
	send()
	clock = clock.Add(1)
	send()
	d.mu.Lock()
	room = -1
	d.mu.Unlock()
	send() // all
	closeAll(t, l)
	if want := "line one\nline \nline one\nline two\nline 3 X\n"; d.String() != want {
		t.Errorf("%q, want %q", d.String(), want)
	}
	if got := w.Stats(); got.Lines != 4 || got.Dropped != 11 || got.Errors != 4 {
		t.Errorf("%+v", got)
	}
	if n := strings.Count(said.String(), "access log fails"); n != 2 || !strings.Contains(said.String(), "failures=3") {
		t.Errorf("said %d times:\n%s", n, said.String())
	}
}

func TestReopenAfterRename(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "access.log"), filepath.Join(dir, "access.log.1")
	l := New(slog.New(slog.DiscardHandler))
	w := writer(t, l, path)
	b := w.Buffer(0)
	b.Append(1, line("one"))
	b.FlushNow()
	waitFor(w, 1)
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	b.Append(2, line("two, after the rename and before the signal"))
	b.FlushNow()
	waitFor(w, 2)
	if err := l.Reopen(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.Append(3, line("three"))
	b.FlushNow()
	closeAll(t, l)
	for file, want := range map[string]string{old: "one\ntwo, after the rename and before the signal\n", path: "three\n"} {
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o137 != 0 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := w.Reopen(context.Background()); err != nil {
		t.Errorf("reopening a closed log: %v", err)
	}
}

// waitFor waits until so many lines are written.
func waitFor(w *Writer, lines uint64) {
	for w.Stats().Lines < lines {
		runtime.Gosched() // nothing tells
	}
}

func TestFailedReopenKeepsTheOldFile(t *testing.T) {
	d := new(destination)
	var full atomic.Bool
	l := New(slog.New(slog.DiscardHandler))
	l.open = func(string) (io.WriteCloser, error) {
		if full.Load() {
			return nil, syscall.EMFILE
		}
		return d, nil
	}
	w := writer(t, l, "a.log")
	full.Store(true)
	if err := l.Reopen(context.Background()); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("reopen: %v", err)
	}
	b := w.Buffer(0)
	b.Append(1, line("goes on"))
	b.FlushNow()
	closeAll(t, l)
	if d.String() != "goes on\n" || w.Stats().Errors != 1 {
		t.Errorf("%q, %+v", d.String(), w.Stats())
	}
}

func TestRetain(t *testing.T) {
	d := new(destination)
	l := logsTo(d)
	kept, gone := writer(t, l, "kept"), writer(t, l, "gone")
	if err := l.Retain(context.Background(), func(path string) bool { return path == "kept" }); err != nil {
		t.Fatal(err)
	}
	if stats := l.Stats(); len(stats) != 1 || stats[0].Path != "kept" || !gone.closed.Load() || kept.closed.Load() {
		t.Errorf("%+v", stats)
	}
	if writer(t, l, "gone") == gone {
		t.Error("a closed log is given out again")
	}
	closeAll(t, l)
}

func TestDestinationsThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	l := New(slog.New(slog.DiscardHandler))
	for path, want := range map[string]string{fifo: "nobody reads", dir: "directory", filepath.Join(dir, "no", "such"): "no such"} {
		if _, err := l.Writer(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{"/dev/stdout", "/dev/stderr"} {
		if w := writer(t, l, path); w.Path() != path {
			t.Errorf("path %s", w.Path())
		}
	}
	closeAll(t, l)
	if _, err := os.Stdout.Stat(); err != nil {
		t.Errorf("standard output is closed: %v", err)
	}
}

func TestLoggingDoesNotAllocate(t *testing.T) {
	d := &destination{write: func(p []byte) (int, error) { return 0, nil }}
	l := logsTo(d)
	b := writer(t, l, "a.log").Buffer(0)
	format, s := jsonFormat(t), failed()
	now := int64(1)
	turn := func() {
		now += int64(time.Millisecond)
		b.Log(now, format, s, nil)
		b.Flush(now)
	}
	for range 10_000 { // until the chunks are made
		turn()
	}
	if allocs := testing.AllocsPerRun(5000, turn); allocs != 0 {
		t.Errorf("%v allocations a line", allocs)
	}
	closeAll(t, l)
}

func BenchmarkLog(b *testing.B) {
	l := logsTo(&destination{write: func(p []byte) (int, error) { return 0, nil }})
	buffer := writer(b, l, "a.log").Buffer(0)
	format, s := text(b), served()
	b.ReportAllocs()
	for i := range b.N {
		buffer.Log(int64(i), format, s, nil)
		if c := buffer.current; c != nil && len(c.text) > handOver/2 {
			c.text, c.lines = c.text[:0], 0 // else most lines would be dropped, which is cheap
		}
	}
	closeAll(b, l)
}
