package metrics

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"longmen/gateway/protocol/grpc"
)

func TestGRPCMethods(t *testing.T) {
	r := NewRegistry()
	one, two := r.NewWorker(nil).GRPC(), r.NewWorker(nil).GRPC()
	if got := r.GRPC(); len(got) != 0 {
		t.Errorf("%v before any call", got)
	}
	for range 3 {
		one.Done([]byte("/a.B/C"), grpc.OK, true, 1000)
		one.Done([]byte("/a.B/D"), grpc.Unavailable, true, 1000)
	}
	two.Done([]byte("/a.B/C"), 4711, true, 1000)
	two.Done([]byte("/a.B/C"), grpc.Unimplemented, false, 1000) // known already
	two.Done([]byte("/guess/1"), grpc.Unimplemented, false, 1000)
	for _, path := range []string{"/guess/First", "/no name/X", "/a.B/", "*", "", "/a/b/c", "/a.B/" + strings.Repeat("x", maxGRPCPath)} {
		two.Done([]byte(path), grpc.OK, !strings.HasPrefix(path, "/guess"), 1000)
	}
	var got strings.Builder
	for _, of := range r.GRPC() {
		sum := [grpc.CodeCount + 1]uint64{}
		d := &Distribution{}
		for _, m := range of.Workers {
			for c := range sum {
				sum[c] += m.Codes[c].Load()
			}
			m.Duration.AddTo(d)
		}
		fmt.Fprintf(&got, "%s/%s %v %d\n", of.Name, of.Workers[0].Method, sum, d.Count)
	}
	const want = `a.B/C [3 0 0 0 0 0 0 0 0 0 0 0 1 0 0 0 0 1] 5
a.B/D [0 0 0 0 0 0 0 0 0 0 0 0 0 0 3 0 0 0] 3
other/other [7 0 0 0 0 0 0 0 0 0 0 0 1 0 0 0 0 0] 8
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

// The number of methods is bounded, and those that have a place keep it.
func TestGRPCMethodsAreBounded(t *testing.T) {
	r := NewRegistry()
	g := r.NewWorker(nil).GRPC()
	for i := range 2 * MaxGRPCMethods {
		g.Done(fmt.Appendf(nil, "/a.B/M%d", i), grpc.OK, true, 1)
	}
	g.Done([]byte("/a.B/M0"), grpc.OK, true, 1)
	all := r.GRPC()
	if len(all) != MaxGRPCMethods+1 {
		t.Errorf("%d methods", len(all))
	}
	if last := all[len(all)-1]; last.Name != OtherGRPC || last.Workers[0].Codes[0].Load() != MaxGRPCMethods {
		t.Errorf("%s: %d", last.Name, last.Workers[0].Codes[0].Load())
	}
	if n := g.methods["/a.B/M0"].Codes[0].Load(); n != 2 {
		t.Errorf("the first method was counted %d times", n)
	}
	paths := [][]byte{[]byte("/a.B/M1"), []byte("/a.B/M2"), []byte("/a.B/none")}
	if n := testing.AllocsPerRun(100, func() {
		for _, path := range paths {
			g.Done(path, grpc.OK, true, 1)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// One loop counts while others read.
func TestGRPCReaders(t *testing.T) {
	r := NewRegistry()
	g := r.NewWorker(nil).GRPC()
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for range 100 {
				r.GRPC()
			}
		})
	}
	for i := range 1000 {
		g.Done(fmt.Appendf(nil, "/a.B/M%d", i%300), grpc.OK, true, 1)
	}
	readers.Wait()
}
