package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"longmen/bench/proc"
)

// stopWithin is how long a process may take to end after SIGTERM.
const stopWithin = 5 * time.Second

// process is a child in a process group of its own, so that a Ctrl-C reaches
// only the harness, which then ends its children in order.
type process struct {
	name string
	cmd  *exec.Cmd
	out  string // the file that standard output and error go to
	done chan struct{}
}

// pinned runs start with this thread on the given CPUs (any when there are
// none), so that the child it starts is pinned. The caller's goroutine must be
// locked to its thread.
func pinned(cpus []int, start func() error) error {
	if len(cpus) == 0 {
		return start()
	}
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("sched_setaffinity to %v: %w", cpus, err)
	}
	err := start()
	return errors.Join(err, unix.SchedSetaffinity(0, &before))
}

// guard makes the kernel end the child when the harness dies without having
// ended it. The kernel ties this to the thread that starts the child, another
// reason for the harness to stay on one thread.
func guard(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// start runs cmd in the background; its output goes to the file out.
func start(name string, cmd *exec.Cmd, cpus []int, out string) (*process, error) {
	f, err := os.Create(out)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	guard(cmd)
	if err := pinned(cpus, cmd.Start); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, out: out, done: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// used is the CPU time of the process and its children so far.
func (p *process) used() (time.Duration, error) {
	pids, err := proc.Tree(p.pid())
	if err != nil {
		return 0, err
	}
	return proc.CPU(pids)
}

// stop ends the process, politely if it lets itself be told.
func (p *process) stop() {
	if p.ended() {
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return
	case <-time.After(stopWithin):
	}
	syscall.Kill(-p.pid(), syscall.SIGKILL) // its group: children too
	<-p.done
}

// said is the end of what the process printed, for error messages.
func (p *process) said() string {
	b, _ := os.ReadFile(p.out)
	return strings.TrimSpace(string(b[max(0, len(b)-2000):]))
}

// output runs cmd to its end and returns what it prints.
func output(ctx context.Context, cmd *exec.Cmd, cpus []int) ([]byte, error) {
	c, err := begin(cmd, cpus)
	if err != nil {
		return nil, err
	}
	return c.wait(ctx)
}

// command is a child whose output is awaited.
type command struct {
	cmd       *exec.Cmd
	out, errs strings.Builder
	done      chan struct{}
	err       error // once it is done
}

func begin(cmd *exec.Cmd, cpus []int) (*command, error) {
	c := &command{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &c.out, &c.errs
	guard(cmd)
	if err := pinned(cpus, cmd.Start); err != nil {
		return nil, err
	}
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// wait returns what the child has printed when it ends by itself; when ctx
// ends first, so does the child.
func (c *command) wait(ctx context.Context) ([]byte, error) {
	select {
	case <-c.done:
		if c.err != nil {
			return nil, fmt.Errorf("%s: %w: %s", c.cmd.Path, c.err, strings.TrimSpace(c.errs.String()))
		}
		return []byte(c.out.String()), nil
	case <-ctx.Done():
		c.kill()
		return nil, context.Cause(ctx)
	}
}

// kill ends the child if it has not ended.
func (c *command) kill() {
	select {
	case <-c.done:
		return
	default:
	}
	syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.done
}

// freePorts asks the kernel for ports that nobody listens on. Another process
// may take one before it is used; whoever uses them must be ready for that.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // only after all are chosen, so that they differ
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// raiseFiles raises the limit of open files as far as it goes, for this
// process and its children, and returns it.
func raiseFiles() (int, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("getrlimit: %w", err)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("setrlimit: %w", err)
	}
	return int(min(l.Max, 1<<30)), nil
}
