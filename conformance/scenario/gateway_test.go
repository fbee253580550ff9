// Package scenario runs the built gateway as a person would: a configuration, a
// client, origins, and what each of them must see. One file is one scenario.
package scenario

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"longmen/conformance/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// patience bounds every wait; only what hangs meets it.
const patience = 20 * time.Second

// A gateway is one process of the built binary, with a configuration of its own.
type gateway struct {
	*harness.Proxy // what it holds and logs
	t              testing.TB
	dir, file      string
	names          map[string]string // what @name@ stands for in configurations
	cmd            *exec.Cmd
	out            *output
	exited         chan struct{}
	mayEnd         bool // the test ends it
}

// A setup is how a gateway is started, when it is not the usual way.
type setup struct {
	dir        string // instead of one of the test's
	binary     string
	env        []string
	credential *syscall.Credential
	arguments  []string // instead of run -c FILE
}

// serve starts a gateway and returns when it is ready. In the configuration
// @name@ stands for an origin's address in names, or for a free address that it
// gets; @dir@ is the gateway's directory and @log@ its access log.
func serve(t testing.TB, names map[string]string, config string, more ...setup) *gateway {
	t.Helper()
	s := setup{}
	if len(more) > 0 {
		s = more[0]
	}
	dir := s.dir
	if dir == "" {
		dir = t.TempDir()
	}
	g := &gateway{t: t, dir: dir, file: filepath.Join(dir, "gateway.yaml"), names: map[string]string{"dir": dir, "log": filepath.Join(dir, "access.log")}, out: &output{}, exited: make(chan struct{})}
	for k, v := range names {
		g.names[k] = v
	}
	text := g.config(config)
	g.Proxy = &harness.Proxy{Kind: harness.Longmen, Addr: g.names["http"], Admin: g.names["admin"], Log: g.names["log"]}
	if err := os.WriteFile(g.file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	arguments := []string{"run", "-c", g.file}
	if s.arguments != nil {
		arguments = nil
		for _, a := range s.arguments {
			arguments = append(arguments, g.expand(a))
		}
	}
	if s.binary == "" {
		s.binary = binary()
	}
	g.cmd = exec.Command(s.binary, arguments...)
	g.cmd.Dir = dir
	g.cmd.Env = append(os.Environ(), s.env...)
	for i, e := range s.env {
		g.cmd.Env[len(g.cmd.Env)-len(s.env)+i] = g.expand(e)
	}
	g.cmd.Stdout, g.cmd.Stderr = g.out, g.out
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: s.credential}
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.PID = g.cmd.Process.Pid
	go func() {
		g.cmd.Wait()
		close(g.exited)
	}()
	t.Cleanup(g.stop)
	eventually(t, "ready", func() bool {
		select {
		case <-g.exited:
			g.mayEnd = true
			t.Fatalf("it ended: %v\n%s\n%s", g.cmd.ProcessState, g.out, text)
		default:
		}
		status, _, err := g.adminGet("/ready")
		return err == nil && status == 200
	})
	return g
}

func binary() string { return os.Getenv("LONGMEN_BIN") }

// config completes a configuration with what all have.
func (g *gateway) config(text string) string {
	for _, line := range []string{"workers: 2", `admin: {bind: "@admin@"}`, `access_log: {path: "@log@", format: json}`} {
		if key, _, _ := strings.Cut(line, " "); !strings.Contains("\n"+text, "\n"+key) {
			text += line + "\n"
		}
	}
	return g.expand(text)
}

var placeholder = regexp.MustCompile(`@[a-z0-9-]+@`)

func (g *gateway) expand(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		name := p[1 : len(p)-1]
		if g.names[name] == "" {
			g.names[name] = reserve(g.t)
		}
		return g.names[name]
	})
}

// reserve returns an address on which the gateway can listen. A socket that is
// bound and never listens keeps it from everyone else, and not from the
// gateway: both allow the address to be used again.
func reserve(t testing.TB) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", sa.(*unix.SockaddrInet4).Port)
}

// stop ends the gateway, unless the test did.
func (g *gateway) stop() {
	defer func() {
		if out := g.out.String(); strings.Contains(out, "panic") || strings.Contains(out, "DATA RACE") {
			g.t.Errorf("the gateway: %s", out)
		}
		if g.t.Failed() {
			g.t.Logf("the gateway wrote:\n%s", tail(g.out.String(), 4<<10))
		}
	}()
	select {
	case <-g.exited:
		if !g.mayEnd {
			g.t.Errorf("the gateway died: %v", g.cmd.ProcessState)
		}
		return
	default:
	}
	for range 2 { // a second signal ends a drain that clients hold up
		g.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-g.exited:
			return
		case <-time.After(patience / 2):
		}
	}
	g.cmd.Process.Kill()
	<-g.exited
	g.t.Error("the gateway does not stop")
}

// exit waits for the process to end and returns its exit code.
func (g *gateway) exit() int {
	g.t.Helper()
	g.mayEnd = true
	select {
	case <-g.exited:
	case <-time.After(patience):
		g.t.Fatal("the gateway does not end")
	}
	return g.cmd.ProcessState.ExitCode()
}

func (g *gateway) signal(s syscall.Signal) {
	g.t.Helper()
	if err := g.cmd.Process.Signal(s); err != nil {
		g.t.Fatal(err)
	}
}

// noLeak checks, when the test has ended and closed its connections, that the
// gateway holds what it holds now. What upstreams keeps alive is closed first.
func (g *gateway) noLeak(upstreams ...closer) {
	g.t.Helper()
	// It watches its file a moment after it is ready.
	eventually(g.t, "the file is watched", func() bool { return strings.Contains(g.files(), "inotify") })
	before, err := g.State()
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		for _, u := range upstreams {
			u.CloseConns()
		}
		if left := g.Quiet(); left != "" {
			g.t.Error(left)
		}
		if left := g.SettlesTo(before, 4); left != "" {
			g.t.Errorf("%s\n%s\n%s", left, g.files(), g.show("/pprof/goroutine?debug=1"))
		}
	})
}

// files lists the open file descriptors, sockets with their line of
// /proc/net/tcp: addresses and state.
func (g *gateway) files() string {
	var list strings.Builder
	dir := fmt.Sprintf("/proc/%d/fd", g.PID)
	entries, _ := os.ReadDir(dir)
	tcp, _ := os.ReadFile("/proc/net/tcp")
	for _, e := range entries {
		target, _ := os.Readlink(filepath.Join(dir, e.Name()))
		inode := strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")
		for line := range strings.Lines(string(tcp)) {
			if f := strings.Fields(line); len(f) > 9 && f[9] == inode {
				target += " " + strings.Join(f[1:4], " ")
			}
		}
		fmt.Fprintf(&list, "%s %s\n", e.Name(), target)
	}
	return list.String()
}

// A closer closes the connections that the gateway keeps.
type closer interface{ CloseConns() }

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// output takes what the process writes while the test may read it.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// count is how often text was written.
func (o *output) count(text string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Count(o.b.Bytes(), []byte(text))
}

// refused says that nothing listens on the address.
func refused(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return true
	}
	c.Close()
	return false
}
