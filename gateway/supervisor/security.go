package supervisor

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"longmen/gateway/listener"
	"longmen/gateway/snapshot"
	"longmen/tls/sign"
	"longmen/tls/tlcp"
)

// Sessions of TLCP, which are kept by the server.
const (
	tlcpSessions = 20_000
	tlcpLifetime = 4 * time.Hour
)

// secure makes what handshakes share, when the first listener with TLS comes.
func (s *Supervisor) secure(next *snapshot.Snapshot) error {
	if s.security != nil {
		return s.openKeyLogs(next)
	}
	wanted := false
	for _, l := range next.Listeners {
		wanted = wanted || l.TLS != nil
	}
	if !wanted {
		return nil
	}
	pool, err := sign.NewPool(sign.Options{Threads: len(s.workers)})
	if err != nil {
		return fmt.Errorf("threads for signatures: %w", err)
	}
	s.security = &listener.Security{Pool: pool, KeyLog: s.keyLogs.writer, TLCP: tlcp.NewCache(tlcpSessions, tlcpLifetime)}
	return s.openKeyLogs(next)
}

// openKeyLogs opens the key logs that listeners ask for.
func (s *Supervisor) openKeyLogs(next *snapshot.Snapshot) error {
	for _, l := range next.Listeners {
		if l.TLS == nil || l.TLS.KeyLog == "" {
			continue
		}
		if err := s.keyLogs.open(l.TLS.KeyLog); err != nil {
			return fmt.Errorf("%s: listener %s: key log: %w", l.Origin, l.Name, err)
		}
		s.log.Warn("the TLS secrets of a listener are written to a file: whoever reads it can read all traffic", "listener", l.Name, "path", l.TLS.KeyLog)
	}
	return nil
}

// keyLogs are the files that TLS secrets are written to, until the process ends.
type keyLogs struct {
	mu    sync.Mutex
	files map[string]*os.File
}

func (k *keyLogs) open(path string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.files[path] != nil {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if k.files == nil {
		k.files = map[string]*os.File{}
	}
	k.files[path] = f
	return nil
}

// writer is the file of an open key log.
func (k *keyLogs) writer(path string) io.Writer {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f := k.files[path]; f != nil {
		return f
	}
	return nil
}

func (k *keyLogs) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for path, f := range k.files {
		f.Close()
		delete(k.files, path)
	}
}
