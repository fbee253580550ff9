package acme

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// An Order is for certificates that are to be there: one for each host.
type Order struct {
	Settings Settings
	Hosts    []string // in lower case; see CheckHost
}

// A Manager orders certificates and renews them, until it is closed.
type Manager struct {
	log        *slog.Logger
	challenges *Challenges
	changed    func()

	mu          sync.Mutex
	authorities map[Settings]*authority
	closing     sync.WaitGroup
}

// NewManager makes a manager that does nothing before Use. changed is called
// when certificates in a storage have become others, from any goroutine; it must
// not block, nor call the manager.
func NewManager(log *slog.Logger, challenges *Challenges, changed func()) *Manager {
	return &Manager{log: log, challenges: challenges, changed: changed, authorities: map[Settings]*authority{}}
}

// Use makes orders the ones that are kept, and gives all others up. It does not
// wait for any certificate. An error is about an order that is not kept.
func (m *Manager) Use(orders []Order) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	wanted := map[Settings][]string{}
	for _, o := range orders {
		if len(o.Hosts) > 0 {
			wanted[o.Settings] = append(wanted[o.Settings], o.Hosts...)
		}
	}
	for settings, a := range m.authorities {
		if _, ok := wanted[settings]; !ok {
			delete(m.authorities, settings)
			m.closing.Go(a.close)
		}
	}
	var folders []folder
	var problem error
	for settings, hosts := range wanted {
		a := m.authorities[settings]
		if a == nil {
			var err error
			if a, err = newAuthority(settings, m.challenges, m.log, m.changed); err != nil {
				problem = err
				continue
			}
			m.authorities[settings] = a
		}
		a.use(hosts)
		folders = append(folders, a.issuer.solver.folder)
	}
	m.challenges.share(folders)
	return problem
}

// Close gives everything up: what is under way is cut off, and waited for.
func (m *Manager) Close() {
	_ = m.Use(nil) // there is nothing to go wrong
	m.closing.Wait()
}

// Name is how it stands with one certificate.
type Name struct {
	Host      string
	Directory string
	Key       Key
	Issued    bool
	Err       error // why the last try to order or to renew it failed; nil after success
}

// Stats is how it stands with all certificates.
type Stats struct {
	Names                    []Name // in order
	Ordered, Renewed, Failed uint64 // tries of the authorities that are used, by outcome
}

// Stats reads how it stands.
func (m *Manager) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all Stats
	for _, a := range m.authorities {
		a.add(&all)
	}
	slices.SortFunc(all.Names, func(a, b Name) int {
		if a.Host != b.Host {
			return strings.Compare(a.Host, b.Host)
		}
		return strings.Compare(a.Directory+string(a.Key), b.Directory+string(b.Key))
	})
	return all
}
