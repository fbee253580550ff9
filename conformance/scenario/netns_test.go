package scenario

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A netns is a network of its own. What is made by do stays in it: sockets, and
// processes with theirs.
type netns struct {
	path string
	work chan func()
}

// newNetns makes a network namespace, with its loopback up. Without the right to make
// one the test is skipped.
func newNetns(t *testing.T) *netns {
	t.Helper()
	n := &netns{work: make(chan func())}
	made, ended := make(chan error), make(chan bool)
	go n.serve(made, ended)
	if err := <-made; err != nil {
		t.Skipf("no network namespaces here: %v", err)
	}
	t.Cleanup(func() {
		close(n.work)
		<-ended
	})
	n.ip(t, "link", "set", "lo", "up")
	return n
}

// serve takes a thread into a namespace of its own, and back at the end. The thread must
// not end: processes that were started on it are killed with it (Pdeathsig). Nor may it be the first
// one, whose network is what /proc shows of the process.
func (n *netns) serve(made chan<- error, ended chan<- bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.Gettid() == os.Getpid() {
		n.serveElsewhere(made, ended)
		return
	}
	defer close(ended)
	n.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
	home, err := unix.Open(n.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		made <- err
		return
	}
	defer unix.Close(home)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		made <- fmt.Errorf("unshare: %w", err)
		return
	}
	made <- nil
	for f := range n.work {
		f()
	}
	if err := unix.Setns(home, unix.CLONE_NEWNET); err != nil {
		panic(err) // what runs on this thread next would be in the wrong network
	}
}

// serveElsewhere is serve on another thread: this one is held until that has begun.
func (n *netns) serveElsewhere(made chan<- error, ended chan<- bool) {
	begun := make(chan error)
	go n.serve(begun, ended)
	made <- <-begun
}

// do runs f on a thread that is in the namespace.
func (n *netns) do(f func()) {
	done := make(chan bool)
	n.work <- func() {
		defer close(done)
		f()
	}
	<-done
}

// ip runs ip(8). Without it, or without what it is asked for, the test is skipped.
func (n *netns) ip(t *testing.T, arguments ...string) {
	t.Helper()
	var out []byte
	var err error
	n.do(func() { out, err = exec.Command("ip", arguments...).CombinedOutput() })
	if err != nil {
		t.Skipf("no network namespaces here: ip %v: %v: %s", arguments, err, out)
	}
}

// dial connects from the namespace.
func (n *netns) dial(addr string) (c net.Conn, err error) {
	n.do(func() { c, err = net.DialTimeout("tcp", addr, patience) })
	return c, err
}

// networks are namespaces, each with the address 10.77.0.i, from 1, that are joined by another
// one, the wide area, with 10.77.0.254.
func networks(t *testing.T, count int) (all []*netns, wide *netns) {
	t.Helper()
	wide = newNetns(t)
	wide.ip(t, "link", "add", "wide", "type", "bridge")
	wide.ip(t, "addr", "add", "10.77.0.254/24", "dev", "wide")
	wide.ip(t, "link", "set", "wide", "up")
	for i := range count {
		n := newNetns(t)
		here, there := fmt.Sprintf("dc%d", i+1), "out"
		wide.ip(t, "link", "add", here, "type", "veth", "peer", "name", there, "netns", n.path)
		wide.ip(t, "link", "set", here, "master", "wide", "up")
		n.ip(t, "addr", "add", fmt.Sprintf("10.77.0.%d/24", i+1), "dev", there)
		n.ip(t, "link", "set", there, "up")
		all = append(all, n)
	}
	return all, wide
}
