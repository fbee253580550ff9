// Package supervisor starts the workers, hands every new snapshot to all of
// them, keeps what they share (clusters, logs, counters, the admin API), and
// ends it all in order.
package supervisor

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"longmen/gateway/admin"
	"longmen/gateway/cluster"
	"longmen/gateway/listener"
	"longmen/gateway/overload"
	"longmen/gateway/protocol/cdnloop"
	"longmen/gateway/snapshot"
	"longmen/gateway/telemetry/accesslog"
	"longmen/gateway/telemetry/exposition"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
	"longmen/tls/acme"
	"longmen/tls/ocsp"
	"longmen/tls/sign"
)

// Options are the settings of a gateway process.
type Options struct {
	Workers        int    // 0: one for each usable CPU
	Pin            bool   // bind each worker to a CPU
	AdminBind      string // see admin.Options; "off" for none
	DrainTimeout   time.Duration
	MaxConnections int // client connections at once; 0: no limit
	MaxFiles       int // file descriptors; 0: as many as the hard limit allows
	Overload       overload.Config
	Watchdog       time.Duration    // see worker.Watchdog; 0: off
	LoopGuard      cdnloop.Guard    // refuses requests that come round
	Locality       cluster.Locality // where the gateway is; zero: not known
	Gateways       string           // the cluster whose endpoints the gateways are; "": none
	Log            *slog.Logger
	Level          *slog.LevelVar // of Log, for the admin API
	Build          exposition.Build
	// Issued is called when certificates that ACME orders have become others: a
	// snapshot that is compiled from now on has them. It must not block.
	Issued func()
	// ConfigDump is what the admin API shows of the configuration.
	ConfigDump func(admin.DumpFormat) ([]byte, error)
}

// Supervisor runs a gateway.
type Supervisor struct {
	options  Options
	log      *slog.Logger
	workers  []*edgeWorker
	loops    sync.WaitGroup
	registry *metrics.Registry
	logs     *accesslog.Logs
	clusters *cluster.Runtime
	admin    *admin.Server
	global   listener.Gate
	security *listener.Security        // nil until a listener with TLS comes
	pool     atomic.Pointer[sign.Pool] // security's
	keyLogs  keyLogs
	stapler  *ocsp.Stapler // as security
	stapling sync.WaitGroup
	// endStapling ends stapler's goroutine.
	endStapling context.CancelFunc
	challenges  acme.Challenges
	orders      atomic.Pointer[acme.Manager] // nil until something is ordered
	stop        chan struct{}                // ends the watchdog
	failed      chan error                   // a loop that ended by itself

	logged   map[string]bool // paths of access logs that streams can have begun with
	sweeping bool            // some of them are to be closed; under mu
	mu       sync.Mutex      // held while a snapshot is applied
	gates    map[string]*listener.Gate
	bound    map[string]map[bind]bool // by listener name: the sockets that its workers have
	retired  sync.WaitGroup           // clusters that are being closed
	current  atomic.Pointer[snapshot.Snapshot]
	received atomic.Pointer[string] // version of the last snapshot that was to be applied
	desk     desk
	draining atomic.Pointer[drain]
	drained  chan struct{}
	once     sync.Once
	ballast  []byte
	overload *overload.Manager
	bounded  bool                         // Go's memory limit is ours
	requests map[string]*listener.Gate    // by listener: requests at once; of those that have a limit
	clients  map[string]*listener.Clients // likewise: connections of one client
}

// ballastSize is memory that is never touched, so that it is none but in Go's
// reckoning of when to collect garbage: with the few megabytes that a gateway has
// live, a storm of handshakes would have it collect a hundred times a second. It
// lets as much garbage gather before that. (docs/decisions.md has the figures.)
const ballastSize = 32 << 20

// New starts the workers and the admin API. They serve nothing until Apply.
func New(o Options) (*Supervisor, error) {
	cpus := usableCPUs()
	if o.Workers <= 0 {
		o.Workers = autoWorkers()
	}
	// The loops take a processor each; what else there is must not wait for
	// one of them to sleep.
	runtime.GOMAXPROCS(o.Workers + 2)
	files, err := raiseFiles(o.MaxFiles)
	if err != nil {
		o.Log.Warn("the limit of file descriptors stays", "limit", files, "error", err)
	}
	s := &Supervisor{
		options: o, log: o.Log,
		registry: metrics.NewRegistry(),
		logs:     accesslog.New(o.Log),
		stop:     make(chan struct{}),
		failed:   make(chan error, o.Workers),
		gates:    map[string]*listener.Gate{},
		requests: map[string]*listener.Gate{},
		clients:  map[string]*listener.Clients{},
		logged:   map[string]bool{},
		bound:    map[string]map[bind]bool{},
		drained:  make(chan struct{}),
		ballast:  make([]byte, ballastSize),
	}
	s.global.SetLimits(o.MaxConnections, 0)
	s.clusters = cluster.NewRuntime(o.Log, s.hostsChanged)
	s.clusters.Locate(o.Locality, o.Gateways)
	loops := make([]*worker.Loop, 0, o.Workers)
	for i := range o.Workers {
		l, err := worker.New(worker.Options{ID: i, Pin: o.Pin, CPU: cpus[i%len(cpus)], Log: o.Log})
		if err != nil {
			s.close()
			return nil, err
		}
		loops = append(loops, l)
		var seed [32]byte
		rand.Read(seed[:])
		w := newEdgeWorker(l, s.registry.NewWorker(l.Stats()), seed)
		w.proxy.Challenges = &s.challenges
		w.proxy.GuardLoops(o.LoopGuard)
		w.upstream.Starved = func(c *cluster.Cluster) { s.others(l.ID, func(w *edgeWorker) { w.upstream.Spare(c) }) }
		w.upstream.Freed = func(c *cluster.Cluster) { s.others(l.ID, func(w *edgeWorker) { w.upstream.Look(c) }) }
		w.upstream.Vacated = func(at netip.AddrPort) { go s.desk.vacated(at) } // the loop takes no lock
		s.workers = append(s.workers, w)
		s.loops.Go(func() {
			if err := l.Run(); err != nil {
				s.failed <- fmt.Errorf("worker %d: %w", l.ID, err)
			}
		})
	}
	if o.Watchdog > 0 {
		go worker.Watchdog{Loops: loops, Limit: o.Watchdog, Log: o.Log}.Run(s.stop)
	}
	go s.watchExpiry()
	go newCollector().run(s.stop)
	s.startOverload(files)
	if err := s.startAdmin(); err != nil {
		s.close()
		return nil, err
	}
	o.Log.Info("started", "workers", o.Workers, "files", files)
	return s, nil
}

// Run serves until draining is done, or at once when ctx ends.
func (s *Supervisor) Run(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case <-s.drained:
	case err = <-s.failed:
	}
	s.close()
	return err
}

// close ends everything, in the order in which it depends on each other.
func (s *Supervisor) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	close(s.stop)
	s.endOverload()
	s.mu.Lock() // a snapshot that is being applied is applied to the end
	defer s.mu.Unlock()
	for _, w := range s.workers {
		w.loop.Do(w.end)
	}
	for _, w := range s.workers {
		w.settle(ctx)
		w.loop.Do(w.flushLogs) // the lines of streams that end cut off too
	}
	s.stopLoops()
	s.closeOrders()
	s.closeSecurity()
	if err := s.logs.Close(ctx); err != nil {
		s.log.Warn("access logs", "error", err)
	}
	s.eachCluster((*cluster.Cluster).Close)
	s.retired.Wait()
	s.clusters.Close()
	if s.admin != nil {
		if err := s.admin.Close(ctx); err != nil {
			s.log.Warn("admin", "error", err)
		}
	}
}

func (s *Supervisor) stopLoops() {
	for _, w := range s.workers {
		w.loop.Stop()
	}
	s.loops.Wait()
	for _, w := range s.workers {
		w.loop.Close()
	}
}

// hostsChanged lets every worker follow the cluster at once, also those without
// requests to it: they close their connections to endpoints that are gone.
func (s *Supervisor) hostsChanged(c *cluster.Cluster) {
	for _, w := range s.workers {
		w.loop.Post(func() { w.upstream.Changed(c) })
	}
	s.desk.changed(c)
}

// others has the workers but i do something.
func (s *Supervisor) others(i int, do func(*edgeWorker)) {
	for _, w := range s.workers {
		if w.loop.ID != i {
			w.loop.Post(func() { do(w) })
		}
	}
}

// ReopenLogs opens the access logs anew, after they were rotated.
func (s *Supervisor) ReopenLogs() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.logs.Reopen(ctx)
}
