//go:build !race

package record

import (
	"runtime"
	"testing"
)

func TestNoAllocationPerRecord(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite) {
		client, server := sessionsOf(t, s)
		data := make([]byte, 40000)
		buf := make([]byte, 0, client.SealedSize(len(data))+1000)
		allocations := testing.AllocsPerRun(20, func() {
			buf = client.Seal(buf[:0], data)
			if plain, _, err := server.Open(buf); err != nil || len(plain) != len(data) {
				t.Fatal(len(plain), err)
			}
		})
		if allocations != 0 {
			t.Errorf("%v allocations", allocations)
		}
	})
}

// What an idle connection keeps when its session was released.
func TestIdleMemory(t *testing.T) {
	client, _ := sessionsOf(t, suiteFor(t, VersionTLS13))
	state, err := client.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	sessions := make([]*Session, 4096)
	before := heap()
	for i := range sessions {
		if sessions[i], err = RestoreSession(state); err != nil {
			t.Fatal(err)
		}
	}
	ready := heap()
	for _, s := range sessions {
		s.Release()
	}
	idle := heap()
	n := uint64(len(sessions))
	t.Logf("%d bytes ready, %d idle", (ready-before)/n, (idle-before)/n)
	if (ready-before)/n > 2200 || (idle-before)/n > 550 {
		t.Errorf("a session takes %d bytes, %d when idle", (ready-before)/n, (idle-before)/n)
	}
	runtime.KeepAlive(sessions)
}
