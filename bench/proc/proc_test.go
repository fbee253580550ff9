package proc

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestParseParent(t *testing.T) {
	for stat, want := range map[string]int{
		"7 (nginx) S 1 7 7 0":                     1,
		"8 (odd ) name (x)) R 4321 8 8 0 -1 4194": 4321,
	} {
		if got, err := parseParent([]byte(stat)); got != want || err != nil {
			t.Errorf("%q: %d, %v, want %d", stat, got, err, want)
		}
	}
	for _, stat := range []string{"", "7 nginx S 1", "7 (nginx) S", "7 (nginx) S x 7"} {
		if got, err := parseParent([]byte(stat)); err == nil {
			t.Errorf("%q: %d, want an error", stat, got)
		}
	}
}

func TestDescendants(t *testing.T) {
	parents := map[int]int{1: 0, 10: 1, 5: 10, 12: 10, 13: 12, 20: 1, 21: 20}
	if got := descendants(10, parents); !slices.Equal(got, []int{5, 10, 12, 13}) {
		t.Errorf("%v", got)
	}
}

func TestParseKilobytes(t *testing.T) {
	const status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 12 kB\nThreads:\t3\nVmOdd:\t1 MB\nVmBad:\tx kB\n"
	if n, err := parseKilobytes([]byte(status), "VmHWM"); n != 2048<<10 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, key := range []string{"Pss", "Threads", "VmOdd", "VmBad", "Vm"} {
		if n, err := parseKilobytes([]byte(status), key); err == nil {
			t.Errorf("%s: %d, want an error", key, n)
		}
	}
}

// TestChild is not a test: it is the process that TestLiveTree looks at.
func TestChild(t *testing.T) {
	if os.Getenv("PROC_TEST_CHILD") == "" {
		t.Skip("run by TestLiveTree")
	}
	for begin := time.Now(); time.Since(begin) < 20*time.Millisecond; {
	}
	os.Stdout.WriteString("spun\n")
	bufio.NewReader(os.Stdin).ReadString('\n')
}

func TestLiveTree(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), "PROC_TEST_CHILD=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "spun\n" {
		t.Fatalf("%q, %v", line, err)
	}
	child := cmd.Process.Pid
	tree, err := Tree(os.Getpid())
	if err != nil || !slices.Contains(tree, child) || !slices.Contains(tree, os.Getpid()) {
		t.Fatalf("tree %v has not %d and %d: %v", tree, os.Getpid(), child, err)
	}
	alone, err := CPU([]int{child})
	if err != nil || alone <= 0 {
		t.Errorf("CPU of the child %v, %v", alone, err)
	}
	if all, err := CPU([]int{child, os.Getpid()}); err != nil || all <= alone {
		t.Errorf("CPU of both %v, of the child %v, %v", all, alone, err)
	}
	one, err := ReadMemory([]int{child})
	if err != nil || one.RSS <= 0 || one.Peak < one.RSS || one.PSS <= 0 || one.PSS > one.RSS {
		t.Errorf("memory %+v, %v", one, err)
	}
	two, err := ReadMemory([]int{child, os.Getpid()})
	if err != nil || two.Peak <= one.Peak {
		t.Errorf("memory of both %+v, of one %+v, %v", two, one, err)
	}
}

func TestNoSuchProcess(t *testing.T) {
	const none = 1 << 22 // above the largest pid the kernel gives
	if _, err := Tree(none); err == nil {
		t.Error("a tree of no process")
	}
	if _, err := CPU([]int{none}); err == nil {
		t.Error("the CPU time of no process")
	}
	if _, err := ReadMemory([]int{none}); err == nil {
		t.Error("the memory of no process")
	}
}
