package eventlog

import (
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

const (
	waiting       = 4096        // lines that wait for the disk
	lookEvery     = time.Second // how often it is looked whether the file was renamed
	complainEvery = time.Minute
)

// file is one event log. Its goroutine alone touches the file.
type file struct {
	path    string
	log     *slog.Logger
	lines   chan []byte
	done    chan struct{}
	dropped atomic.Int64

	out        *os.File // nil: it could not be opened
	looked     time.Time
	complained time.Time
}

func newFile(path string, log *slog.Logger) *file {
	f := &file{path: path, log: log, lines: make(chan []byte, waiting), done: make(chan struct{})}
	go f.run()
	return f
}

func (f *file) add(line []byte) {
	select {
	case f.lines <- line:
	default:
		f.dropped.Add(1)
	}
}

func (f *file) close() {
	close(f.lines)
	<-f.done
}

func (f *file) run() {
	defer close(f.done)
	for line := range f.lines {
		now := time.Now()
		if now.Sub(f.looked) >= lookEvery {
			f.looked = now
			f.follow(now)
		}
		if n := f.dropped.Swap(0); n > 0 {
			line = append(line, fmt.Sprintf(`{"time":%q,"type":"dropped","reason":"%d lines were left out: the disk is slow"}`+"\n", now.Format(time.RFC3339Nano), n)...)
		}
		if f.out == nil {
			continue
		}
		if _, err := f.out.Write(line); err != nil {
			f.complain(now, err)
		}
	}
	if f.out != nil {
		f.out.Close()
	}
}

// follow opens the file, or opens it again when the path is another file's or none's: it
// was rotated.
func (f *file) follow(now time.Time) {
	if f.out != nil {
		mine, err := f.out.Stat()
		if err == nil {
			there, err := os.Stat(f.path)
			if err == nil && os.SameFile(mine, there) {
				return
			}
		}
	}
	out, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		f.complain(now, err) // the one before goes on, if there is one
		return
	}
	if f.out != nil {
		f.out.Close()
	}
	f.out = out
}

func (f *file) complain(now time.Time, err error) {
	if now.Sub(f.complained) >= complainEvery {
		f.complained = now
		f.log.Error("event log", "path", f.path, "error", err)
	}
}
