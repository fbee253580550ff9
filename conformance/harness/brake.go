package harness

import (
	"testing"
	"time"
)

// A Brake stops a suite whose proxy hangs in case after case: what they all
// wait for would take hours and tell nothing more.
type Brake struct{ hangs int }

const (
	worthTelling = time.Second
	hanging      = 5 * time.Second
	enoughHangs  = 8
)

// Took notes how long a case took, and ends the test when too many hung. Peers
// are measured to their end, however long it takes.
func (b *Brake) Took(t *testing.T, kind, name string, began time.Time) {
	t.Helper()
	d := time.Since(began)
	if d > worthTelling {
		t.Logf("%s took %v", name, d.Round(time.Millisecond))
	}
	if d > hanging {
		b.hangs++
	}
	if b.hangs >= enoughHangs && kind == Longmen {
		t.Fatalf("%d cases hung; the rest is not run", b.hangs)
	}
}
