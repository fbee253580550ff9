package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"longmen/gateway/listener"
	"longmen/gateway/snapshot"
	"longmen/tls/certificate"
	"longmen/tls/ocsp"
	"longmen/tls/openssl"
	"longmen/tls/replay"
	"longmen/tls/server"
	"longmen/tls/sign"
	"longmen/tls/std"
	"longmen/tls/tlcp"
	"longmen/tls/tls13"
)

// leastKeys is for how many keys there is secure memory at least.
const leastKeys = 1024

// Sessions of TLCP, which are kept by the server.
const (
	tlcpSessions = 20_000
	tlcpLifetime = 4 * time.Hour
)

// signQueue is how many signatures may wait. Each handshake waits for one, and
// listeners bound theirs (max_handshakes, 1024 unless set): it is for several.
const signQueue = 8192

// secure makes what handshakes share, when the first listener with TLS comes,
// and what they need of the snapshot.
func (s *Supervisor) secure(next *snapshot.Snapshot) error {
	targets := stapled(next)
	if s.security == nil {
		if !slices.ContainsFunc(next.Listeners, func(l *snapshot.Listener) bool { return l.TLS != nil }) {
			return nil
		}
		if err := s.openSecurity(keys(next)); err != nil {
			return err
		}
	}
	if err := s.openKeyLogs(next); err != nil {
		return err
	}
	s.stapler.Watch(targets)
	return nil
}

// keys is how many private keys there are at most.
func keys(next *snapshot.Snapshot) int {
	n := 0
	for _, l := range next.Listeners {
		if l.TLS != nil {
			n += len(l.TLS.Certificates.All())
		}
	}
	for _, c := range next.Clusters {
		if c != nil && c.Config().TLS != nil && c.Config().TLS.Certificate != nil {
			n++
		}
	}
	return n
}

// openSecurity begins what handshakes share. keys is how many private keys there
// are now.
func (s *Supervisor) openSecurity(keys int) error {
	// What holds private keys leaves no core dump, and no other process of the
	// user may look into it.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		s.log.Warn("a core dump of this process would hold its private keys", "error", err)
	}
	if openssl.Available() {
		heap, err := openssl.InitSecureHeap(max(leastKeys, 2*keys))
		switch {
		case err != nil:
			s.log.Warn("private keys stand in ordinary memory", "error", err)
		case !heap.Locked:
			s.log.Warn("private keys may be swapped out: the limit of locked memory is too low", "bytes", heap.Size)
		}
		s.log.Info("TLS", "keys", openssl.Version())
	} else {
		s.log.Info("TLS: this build has no OpenSSL; private keys are held in Go, and RSA takes some three times as long", "keys", runtime.Version())
	}
	if err := std.SelfTest(); err != nil {
		return fmt.Errorf("TLS cannot be served by this build: %w", err)
	}
	pool, err := sign.NewPool(sign.Options{Threads: len(s.workers), Queue: signQueue})
	if err != nil {
		return fmt.Errorf("threads for signatures: %w", err)
	}
	s.pool.Store(pool)
	s.security = &listener.Security{Challenges: &s.challenges, Pool: pool, KeyLog: s.keyLogs.writer, TLCP: tlcp.NewCache(tlcpSessions, tlcpLifetime),
		Replays: replay.New(2 * tls13.EarlyWindow)}
	s.stapler = ocsp.NewStapler(&http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}, s.staplingDone)
	ctx, cancel := context.WithCancel(context.Background())
	s.endStapling = cancel
	s.stapling.Go(func() { _ = s.stapler.Run(ctx) }) // it returns why ctx ended
	return nil
}

// closeSecurity ends it. The loops have ended before.
func (s *Supervisor) closeSecurity() {
	if s.security == nil {
		return
	}
	s.endStapling()
	s.stapling.Wait()
	s.security.Pool.Close()
	s.keyLogs.close()
}

// stapled are the certificates for which OCSP responses are to be had: those that name a
// responder.
func stapled(next *snapshot.Snapshot) []ocsp.Target {
	var targets []ocsp.Target
	seen := map[*certificate.Certificate]bool{}
	for _, l := range next.Listeners {
		if l.TLS == nil || l.TLS.Default.OCSP == server.OCSPOff {
			continue
		}
		for _, c := range l.TLS.Certificates.All() {
			if len(c.OCSPServers) > 0 && !seen[c] {
				seen[c] = true
				targets = append(targets, ocsp.Target{Certificate: c})
			}
		}
	}
	return targets
}

// staplingDone tells what came of a fetch.
func (s *Supervisor) staplingDone(e ocsp.Event) {
	count := &s.registry.OCSP
	if e.Err != nil {
		if _, revoked := errors.AsType[*ocsp.RevokedError](e.Err); revoked {
			count.Revoked.Add(1)
		} else {
			count.Failed.Add(1)
		}
		s.log.Warn("no OCSP response", "certificate", e.Certificate.Name, "error", e.Err, "stapled", e.Response != nil, "next", e.Next)
		return
	}
	count.Good.Add(1)
	s.log.Debug("OCSP response", "certificate", e.Certificate.Name, "until", e.Response.NextUpdate)
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
