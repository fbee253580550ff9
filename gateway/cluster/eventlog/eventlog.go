// Package eventlog writes what becomes of endpoints: to files, one line of JSON an
// event, and within bounds to the process log. Nobody waits for a disk: when a file
// is slow, lines are dropped and counted.
package eventlog

import (
	"encoding/json"
	"log/slog"
	"sync"
	"time"
)

// Event is one line. What is empty is left out of it.
type Event struct {
	Time     time.Time `json:"time"`
	Type     string    `json:"type"` // "health": a check's state has changed; "check": one was made; "outlier"
	Cluster  string    `json:"cluster"`
	Endpoint string    `json:"endpoint"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Reason   string    `json:"reason"`
	Check    *int      `json:"check,omitempty"` // which of the cluster's

	// Of ejections:
	Cause     string  `json:"cause,omitempty"`
	Enforced  *bool   `json:"enforced,omitempty"`  // false: found, and used all the same
	Ejections int     `json:"ejections,omitempty"` // of the endpoint so far
	Seconds   float64 `json:"seconds,omitempty"`   // how long the ejection lasts, or has lasted
}

// maxReason bounds Event.Reason, in bytes.
const maxReason = 512

// Of the process log: so many lines at once, and a second.
const (
	burst   = 200
	eachSec = 50
)

// Log is all event logs of a process.
type Log struct {
	log *slog.Logger

	mu     sync.Mutex
	files  map[string]*file
	closed bool

	room    float64 // for lines in the process log
	since   time.Time
	omitted int
}

// New makes a Log whose process log is log.
func New(log *slog.Logger) *Log {
	return &Log{log: log, files: map[string]*file{}, room: burst, since: time.Now()}
}

// Process is the process log, or nil when it has had too many lines of late.
func (l *Log) Process() *slog.Logger {
	now := time.Now()
	l.mu.Lock()
	l.room = min(l.room+now.Sub(l.since).Seconds()*eachSec, burst)
	l.since = now
	if l.room < 1 {
		l.omitted++
		l.mu.Unlock()
		return nil
	}
	l.room--
	omitted := l.omitted
	l.omitted = 0
	l.mu.Unlock()
	if omitted > 0 {
		l.log.Warn("events of endpoints were left out here: there were too many", "events", omitted)
	}
	return l.log
}

// Write adds a line to a file, which is made if need be; "" is none.
func (l *Log) Write(path string, e *Event) {
	if path == "" {
		return
	}
	if len(e.Reason) > maxReason {
		e.Reason = e.Reason[:maxReason]
	}
	line, err := json.Marshal(e)
	if err != nil {
		return // a time out of the range of RFC 3339
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	f := l.files[path]
	if f == nil {
		f = newFile(path, l.log)
		l.files[path] = f
	}
	f.add(append(line, '\n'))
}

// Close writes what waits and closes the files.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, f := range l.files {
		f.close()
	}
	clear(l.files)
}
