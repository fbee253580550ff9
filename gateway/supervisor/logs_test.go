package supervisor

import (
	"os"
	"strings"
	"testing"
	"time"

	"longmen/gateway/cluster"
)

// isOpen reports whether this process has the file open.
func isOpen(t testing.TB, path string) bool {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range list {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && target == path {
			return true
		}
	}
	return false
}

// untilClosed waits until the process has let go of the file.
func untilClosed(t testing.TB, path string) {
	t.Helper()
	for end := time.Now().Add(patience); isOpen(t, path); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s stays open", path)
		}
	}
}

// The log of a listener that is removed, or that logs elsewhere, is written to
// its end and closed; one that another listener has stays.
func TestUnusedLogsAreClosed(t *testing.T) {
	h := newHouse(t, Options{})
	kept, removed, moved := listens(t, "kept", "kept"), listens(t, "removed", "removed"), listens(t, "moved", "moved")
	readKept, readRemoved, readMoved := logsTo(t, kept), logsTo(t, removed), logsTo(t, moved)
	pathKept, pathRemoved, pathMoved := kept.HTTP.AccessLog[0].Path, removed.HTTP.AccessLog[0].Path, moved.HTTP.AccessLog[0].Path
	h.applied(snap("1", kept, removed, moved))
	for _, name := range []string{"kept", "removed", "moved"} {
		c := dial(t, h.address(name)) // it stays open
		c.get("/" + name)
		c.get("/" + name)
	}
	next := *moved
	next.HTTP.AccessLog = kept.HTTP.AccessLog
	h.applied(snap("2", kept, &next))
	// Nothing is under way: it is done when Apply returns, and no line is lost.
	if isOpen(t, pathRemoved) || isOpen(t, pathMoved) || !isOpen(t, pathKept) {
		t.Errorf("open: removed %v, moved %v, kept %v", isOpen(t, pathRemoved), isOpen(t, pathMoved), isOpen(t, pathKept))
	}
	if got := readRemoved() + readMoved(); got != strings.Repeat("/removed 200 -\n", 2)+strings.Repeat("/moved 200 -\n", 2) {
		t.Errorf("%q", got)
	}
	// A log that is wanted again is opened again.
	h.applied(snap("3", kept, moved))
	dial(t, h.address("moved")).get("/again")
	h.stopped()
	if got := readMoved(); !strings.HasSuffix(got, "/again 200 -\n") || strings.Count(got, "\n") != 3 {
		t.Errorf("%q", got)
	}
	if got := readKept(); got != strings.Repeat("/kept 200 -\n", 2) {
		t.Errorf("%q", got)
	}
}

// A log stays open for the streams that began with it.
func TestLogsOutliveTheirListener(t *testing.T) {
	for _, back := range []bool{false, true} {
		h := newHouse(t, Options{})
		o := newGated(t)
		other, l := listens(t, "other", "other"), forwards(t, "a", "c")
		read := logsTo(t, l)
		path := l.HTTP.AccessLog[0].Path
		c1 := cluster.New(clusterOf("c", o.Addr()))
		h.applied(having(snap("1", other, l), c1))
		c := dial(t, h.address("a"))
		c.ask("/slow")
		<-o.asked
		h.applied(having(snap("2", other), c1))
		if !isOpen(t, path) {
			t.Error("the log was closed although a stream writes there")
		}
		if back {
			h.applied(having(snap("3", other, l), c1))
		}
		o.more <- true
		if resp, body := c.answer(); resp.StatusCode != 200 || body != "done" {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		if back {
			for read() != "/slow 200 -\n" {
				time.Sleep(time.Millisecond)
			}
			h.applied(having(snap("4", other), c1))
		}
		untilClosed(t, path)
		if got := read(); got != "/slow 200 -\n" {
			t.Errorf("%q", got)
		}
	}
}
