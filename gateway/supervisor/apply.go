package supervisor

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"longmen/gateway/cluster"
	"longmen/gateway/listener"
	"longmen/gateway/snapshot"
	"longmen/gateway/telemetry/accesslog"
)

// bind is one listening socket of a worker: an address and the options that
// cannot be changed while it is open.
type bind struct {
	at     netip.AddrPort
	socket snapshot.Socket
}

func binds(l *snapshot.Listener) map[bind]bool {
	all := make(map[bind]bool, len(l.Binds))
	for _, at := range l.Binds {
		all[bind{at, l.Socket}] = true
	}
	return all
}

var (
	errDraining = errors.New("the gateway is draining")
	errStopped  = errors.New("the gateway has stopped")
)

// Apply makes next the snapshot that serves. When it returns nil, every worker
// uses it. On an error nothing has changed. It must not be called by two
// goroutines at once with snapshots of different chains.
func (s *Supervisor) Apply(next *snapshot.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() != nil {
		return errDraining
	}
	select {
	case <-s.stop:
		return errStopped
	default:
	}
	s.received.Store(&next.Version)
	previous := s.current.Load()
	if previous == nil {
		previous = &snapshot.Snapshot{}
	}
	writers, err := s.openLogs(next)
	if err != nil {
		s.failedApply()
		return err
	}
	if err := s.secure(next); err != nil {
		s.failedApply()
		return err
	}
	sockets, err := s.openSockets(next)
	if err != nil {
		s.failedApply()
		return err
	}
	for path := range writers {
		s.logged[path] = true
	}
	started := s.startClusters(previous, next)
	if s.current.Load() == nil {
		s.warm(started)
	}
	s.setGates(next)
	problems := s.adoptAll(next, sockets, writers)
	s.current.Store(next)
	s.order(next)
	s.retire(previous, next)
	s.desk.applied()
	s.forget(next)
	s.sweepLogs()
	s.registry.Reloads.Succeeded(next.Version, time.Now())
	return problems
}

// Refused notes that a configuration was refused before it came to Apply.
func (s *Supervisor) Refused() { s.failedReload() }

// failedApply closes the logs that were opened for nothing. Those of earlier
// snapshots stay open: streams that began with them may still write a line.
func (s *Supervisor) failedApply() {
	s.retainLogs()
	s.failedReload()
}

func (s *Supervisor) failedReload() { s.registry.Reloads.Failed(time.Now()) }

// openLogs opens the files that listeners log to.
func (s *Supervisor) openLogs(next *snapshot.Snapshot) (map[string]*accesslog.Writer, error) {
	writers := map[string]*accesslog.Writer{}
	for _, l := range next.Listeners {
		for _, log := range l.HTTP.AccessLog {
			w, err := s.logs.Writer(log.Path)
			if err != nil {
				return nil, fmt.Errorf("%s: listener %s: access log: %w", l.Origin, l.Name, err)
			}
			writers[log.Path] = w
		}
	}
	return writers, nil
}

// openSockets opens what is not open yet: for each new address one socket a
// worker. If one fails, none stays.
func (s *Supervisor) openSockets(next *snapshot.Snapshot) ([]map[string]map[bind]int, error) {
	perWorker := make([]map[string]map[bind]int, len(s.workers))
	for i := range perWorker {
		perWorker[i] = map[string]map[bind]int{}
	}
	for _, l := range next.Listeners {
		for b := range binds(l) {
			if s.bound[l.Name][b] {
				continue
			}
			if err := s.openSocket(l, b, perWorker); err != nil {
				closeAll(perWorker)
				return nil, fmt.Errorf("%s: listener %s: %w", l.Origin, l.Name, err)
			}
		}
	}
	return perWorker, nil
}

// openSocket opens one socket for each worker. When the kernel chooses the port
// of the first, the others share it.
func (s *Supervisor) openSocket(l *snapshot.Listener, b bind, perWorker []map[string]map[bind]int) error {
	at := b.at
	for i := range s.workers {
		fd, err := listener.Listen(at, &b.socket)
		if err != nil {
			return err
		}
		if perWorker[i][l.Name] == nil {
			perWorker[i][l.Name] = map[bind]int{}
		}
		perWorker[i][l.Name][b] = fd
		if at.Port() == 0 {
			if at, err = listener.LocalAddr(fd); err != nil {
				return err
			}
			s.log.Info("the kernel chose a port", "listener", l.Name, "address", at)
		}
	}
	return nil
}

func closeAll(perWorker []map[string]map[bind]int) {
	for _, listeners := range perWorker {
		for _, sockets := range listeners {
			for _, fd := range sockets {
				unix.Close(fd)
			}
		}
	}
}

// startClusters starts the clusters that are new or take the place of another,
// whose endpoints' state they inherit.
func (s *Supervisor) startClusters(previous, next *snapshot.Snapshot) []*cluster.Cluster {
	var started []*cluster.Cluster
	for slot, c := range next.Clusters {
		var before *cluster.Cluster
		if slot < len(previous.Clusters) {
			before = previous.Clusters[slot]
		}
		if c == nil || c == before {
			continue
		}
		if before != nil {
			c.Inherit(before)
		}
		c.Start(s.clusters)
		started = append(started, c)
	}
	return started
}

// warm waits until names are resolved and endpoints checked for the first time,
// which is bounded, so that the first requests find them.
func (s *Supervisor) warm(clusters []*cluster.Cluster) {
	for _, c := range clusters {
		select {
		case <-c.Ready():
		case <-s.stop:
			return
		}
	}
}

// retire closes the clusters that nothing points to any more.
func (s *Supervisor) retire(previous, next *snapshot.Snapshot) {
	for slot, c := range previous.Clusters {
		if c == nil || slot < len(next.Clusters) && next.Clusters[slot] != nil {
			continue
		}
		s.retired.Go(c.Close)
	}
}

// forget drops the figures and gates of listeners and clusters that are gone.
func (s *Supervisor) forget(next *snapshot.Snapshot) {
	listeners := make(map[string]bool, len(next.Listeners))
	for _, l := range next.Listeners {
		listeners[l.Name] = true
	}
	s.registry.Retain(
		func(name string) bool { return listeners[name] },
		func(name string) bool {
			slot, seen := next.ClusterSlots[name]
			return seen && next.Clusters[slot] != nil
		})
	for name, gate := range s.gates {
		// One that comes back counts the connections that are still open.
		if !listeners[name] && gate.Open() == 0 {
			delete(s.gates, name)
		}
	}
	maps.DeleteFunc(s.requests, func(name string, _ *listener.Gate) bool { return !listeners[name] })
	maps.DeleteFunc(s.clients, func(name string, _ *listener.Clients) bool { return !listeners[name] })
}

// setGates gives every listener its gate and its limits.
func (s *Supervisor) setGates(next *snapshot.Snapshot) {
	for _, l := range next.Listeners {
		g := s.gates[l.Name]
		if g == nil {
			g = &listener.Gate{}
			s.gates[l.Name] = g
		}
		g.SetLimits(l.HTTP.MaxConnections, l.HTTP.AcceptRate)
		setOrDrop(s.requests, l.Name, l.HTTP.MaxActiveRequests, func(max int) *listener.Gate { return &listener.Gate{} },
			func(g *listener.Gate, max int) { g.SetLimits(max, 0) })
		setOrDrop(s.clients, l.Name, l.HTTP.MaxClientConnections, listener.NewClients, (*listener.Clients).SetLimit)
	}
}

// setOrDrop gives a listener what counts for a limit, or takes it away without one.
func setOrDrop[T any](all map[string]*T, name string, max int, make func(max int) *T, set func(of *T, max int)) {
	switch of := all[name]; {
	case max <= 0:
		delete(all, name)
	case of == nil:
		of = make(max)
		all[name] = of
		fallthrough
	default:
		set(all[name], max)
	}
}

// adoptAll lets every worker take the snapshot and waits until all have.
func (s *Supervisor) adoptAll(next *snapshot.Snapshot, sockets []map[string]map[bind]int, writers map[string]*accesslog.Writer) error {
	errs := make([]error, len(s.workers))
	var all sync.WaitGroup
	for i, w := range s.workers {
		a := &adoption{snapshot: next, sockets: sockets[i], writers: writers, gates: s.gates, global: &s.global, requests: s.requests, clients: s.clients,
			security: s.security, workers: len(s.workers)}
		all.Go(func() {
			if !w.loop.Do(func() { errs[i] = w.adopt(a) }) {
				errs[i] = errStopped
				closeAll(sockets[i : i+1])
			}
		})
	}
	all.Wait()
	s.bound = map[string]map[bind]bool{}
	for _, l := range next.Listeners {
		s.bound[l.Name] = binds(l)
	}
	return errors.Join(errs...)
}
