package eventlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func newLog(out *bytes.Buffer) *Log { return New(slog.New(slog.NewTextHandler(out, nil))) }

func lines(t *testing.T, path string) []string {
	t.Helper()
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(all), "\n"), "\n")
}

func TestLines(t *testing.T) {
	l := newLog(new(bytes.Buffer))
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	check, enforced := 0, false
	l.Write(a, &Event{Time: at, Type: "health", Cluster: "web", Endpoint: "10.0.0.1:80", From: "up", To: "down", Reason: "say \"no\"\n", Check: &check})
	l.Write("", &Event{Time: at})
	l.Write(b, &Event{Time: at, Type: "outlier", Cluster: "web", Endpoint: "10.0.0.1:80", From: "used", To: "ejected", Reason: strings.Repeat("x", 2*maxReason), Cause: "consecutive_5xx", Enforced: &enforced, Ejections: 2, Seconds: 30})
	l.Close()
	l.Write(a, &Event{Time: at})
	l.Close()
	want := `{"time":"2026-01-02T03:04:05.000006Z","type":"health","cluster":"web","endpoint":"10.0.0.1:80","from":"up","to":"down","reason":"say \"no\"\n","check":0}`
	if got := lines(t, a); len(got) != 1 || got[0] != want {
		t.Errorf("got %q\nwant %s", got, want)
	}
	want = `"from":"used","to":"ejected","reason":"` + strings.Repeat("x", maxReason) + `","cause":"consecutive_5xx","enforced":false,"ejections":2,"seconds":30}`
	if got := lines(t, b); len(got) != 1 || !strings.HasSuffix(got[0], want) {
		t.Errorf("got %q\nwant %s", got, want)
	}
}

// A file that was renamed is left, and one that can't be opened is spoken of once.
func TestRotation(t *testing.T) {
	var log bytes.Buffer
	f := &file{path: filepath.Join(t.TempDir(), "events"), log: slog.New(slog.NewTextHandler(&log, nil)), lines: make(chan []byte, 10), done: make(chan struct{})}
	now := time.Now()
	f.follow(now)
	first := f.out
	f.follow(now)
	if f.out != first {
		t.Error("the file was opened twice")
	}
	if err := os.Rename(f.path, f.path+".1"); err != nil {
		t.Fatal(err)
	}
	f.follow(now)
	f.lines <- []byte("line\n")
	close(f.lines)
	f.run()
	if got := lines(t, f.path); len(got) != 1 || got[0] != "line" {
		t.Errorf("%q", got)
	}
	if got := lines(t, f.path+".1"); len(got) != 1 || got[0] != "" {
		t.Errorf("%q", got)
	}

	bad := newFile(filepath.Join(t.TempDir(), "none", "events"), f.log)
	bad.add([]byte("line\n"))
	bad.add([]byte("line\n"))
	bad.close()
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d complaints: %s", n, log.String())
	}
}

func TestDropped(t *testing.T) {
	f := &file{path: filepath.Join(t.TempDir(), "events"), log: slog.Default(), lines: make(chan []byte, 2), done: make(chan struct{})}
	for range 5 {
		f.add([]byte("{}\n"))
	}
	close(f.lines)
	f.run()
	got := lines(t, f.path)
	var e Event
	if len(got) != 3 || json.Unmarshal([]byte(got[1]), &e) != nil || e.Type != "dropped" || !strings.HasPrefix(e.Reason, "3 lines") {
		t.Errorf("%q", got)
	}
}

func TestTheProcessLogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newLog(&out)
		count := func(events int) (lines int) {
			for range events {
				if l.Process() != nil {
					lines++
				}
			}
			return lines
		}
		if n := count(1000); n != burst {
			t.Errorf("%d lines at once", n)
		}
		time.Sleep(time.Second)
		if n := count(1000); n != eachSec {
			t.Errorf("%d lines a second later", n)
		}
		time.Sleep(time.Hour)
		if n := count(1000); n != burst {
			t.Errorf("%d lines after an hour", n)
		}
		for _, events := range []int{1000 - burst, 1000 - eachSec} {
			if line := fmt.Sprintf("events=%d\n", events); !strings.Contains(out.String(), line) {
				t.Errorf("no %q in %s", line, out.String())
			}
		}
	})
}
