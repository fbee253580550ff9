package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// listen opens "host:port" or "unix:/path".
func listen(bind string) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(bind, "unix:")
	if !isUnix {
		return net.Listen("tcp", bind)
	}
	if path == "" {
		return nil, errors.New(`bind "unix:" lacks a path`)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// The socket's mode is set before it is bound, so that there is no moment
	// at which others could connect.
	config := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		var failed error
		err := conn.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, failed)
	}}
	return config.Listen(context.Background(), "unix", path)
}

// removeStale removes a socket that a process left behind when it was killed.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s is there already and is no socket", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%s is in use by another process", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}
