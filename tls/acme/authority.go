package acme

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
)

const (
	turns        = 16               // names that are worked at together
	firstRetry   = time.Minute      // after an order that failed; doubled each time
	lastRetry    = 4 * time.Hour    // authorities allow five failures an hour for a name
	longestCheck = 10 * time.Minute // between two looks at whether certificates need renewal
	checks       = 60               // looks in the life of the shortest certificate
	gather       = 200 * time.Millisecond
)

// An authority keeps certificates of one authority with one account.
type authority struct {
	settings Settings
	log      *slog.Logger
	issuer   *issuer
	cache    *certmagic.Cache // what CertMagic renews
	config   atomic.Pointer[certmagic.Config]
	changed  func()
	ctx      context.Context // ends with close
	end      context.CancelFunc
	work     sync.WaitGroup
	turns    chan struct{}
	news     chan struct{} // something was issued: look

	mu    sync.Mutex
	names map[string]*name
	stats Stats // counts alone
}

// A name is a certificate that is kept.
type name struct {
	give     context.CancelFunc // it up
	ordering bool               // by order; else maintain has it
	stamp    stamp
	life     time.Duration // of the certificate; 0 while there is none
	err      error         // why the last try failed
}

// stamp tells whether a file is another one than before.
type stamp struct{ size, modified int64 }

func newAuthority(s Settings, c *Challenges, log *slog.Logger, changed func()) (*authority, error) {
	storage := &certmagic.FileStorage{Path: s.Storage}
	orders, err := newIssuer(s, storage, c, log)
	if err != nil {
		return nil, err
	}
	a := &authority{
		settings: s, log: log, issuer: orders, changed: changed,
		turns: make(chan struct{}, turns), news: make(chan struct{}, 1), names: map[string]*name{},
	}
	a.ctx, a.end = context.WithCancel(context.Background())
	a.cache = certmagic.NewCache(a.cacheOptions(longestCheck))
	a.config.Store(certmagic.New(a.cache, certmagic.Config{
		RenewalWindowRatio: certmagic.DefaultRenewalWindowRatio,
		KeySource:          certmagic.StandardKeyGenerator{KeyType: certmagic.KeyType(s.Key)},
		Issuers:            []certmagic.Issuer{orders},
		Storage:            storage,
		OCSP:               certmagic.OCSPConfig{DisableStapling: true}, // done for all certificates alike, elsewhere
		OnEvent:            a.event,
		Logger:             zapLog(log),
	}))
	a.issuer.solver.folder.sweep()
	a.work.Go(a.maintain)
	return a, nil
}

func (a *authority) cacheOptions(check time.Duration) certmagic.CacheOptions {
	return certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return a.config.Load(), nil },
		RenewCheckInterval: check,
		OCSPCheckInterval:  24 * time.Hour,
		Logger:             zapLog(a.log),
	}
}

// close gives every name up and waits until nothing runs any more.
func (a *authority) close() {
	a.end()
	a.work.Wait()
	a.cache.Stop()
	a.issuer.close()
}

// use makes hosts the names that are kept.
func (a *authority) use(hosts []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wanted := map[string]bool{}
	for _, host := range hosts {
		wanted[host] = true
		if a.names[host] != nil {
			continue
		}
		ctx, give := context.WithCancel(a.ctx)
		a.names[host] = &name{give: give, ordering: true}
		a.work.Go(func() { a.order(ctx, host) })
	}
	for host, n := range a.names {
		if !wanted[host] {
			n.give()
			delete(a.names, host)
			a.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: host}})
		}
	}
}

// order sees to it that there is a certificate for a name, from the storage or
// ordered; from then on maintain renews it.
func (a *authority) order(ctx context.Context, host string) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		select {
		case a.turns <- struct{}{}:
		case <-ctx.Done():
			return
		}
		err := a.config.Load().ManageSync(ctx, []string{host})
		<-a.turns
		if ctx.Err() != nil {
			a.forget(host)
			return
		}
		a.look()
		if err == nil {
			a.kept(host)
			return
		}
		pause := wait + rand.N(wait/4) // several gateways should not try together
		a.failed(host, err)
		a.log.Warn("no certificate could be ordered", "host", host, "directory", a.settings.Directory, "error", brief(err), "again_in", pause.Round(time.Second))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// forget takes a name that was given up meanwhile out of what is renewed.
func (a *authority) forget(host string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.names[host] == nil {
		a.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: host}})
	}
}

// maintain renews certificates, and looks at those that others renewed.
func (a *authority) maintain() {
	for {
		interval := a.interval()
		select {
		case <-a.ctx.Done():
			return
		case <-a.news:
			select { // more may come, and each change is a new configuration
			case <-a.ctx.Done():
				return
			case <-time.After(gather):
			}
		case <-time.After(interval):
			if err := a.cache.RenewManagedCertificates(a.ctx); err != nil && a.ctx.Err() == nil {
				a.log.Warn("certificates could not be looked at for renewal", "directory", a.settings.Directory, "error", err)
			}
		}
		a.look()
	}
}

// interval is how long to wait before the next look: a small part of the shortest
// certificate's life.
func (a *authority) interval() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	interval := longestCheck
	for _, n := range a.names {
		if n.life > 0 {
			interval = min(interval, max(time.Second, n.life/checks))
		}
	}
	a.cache.SetOptions(a.cacheOptions(interval)) // CertMagic's own bounds follow from it
	return interval
}

// look finds certificates that have become others.
func (a *authority) look() {
	a.mu.Lock()
	changed := false
	for host, n := range a.names {
		file, _ := a.settings.Files(host)
		now := stampOf(file)
		if now == n.stamp {
			continue
		}
		changed, n.stamp, n.life = true, now, 0
		if text, err := os.ReadFile(file); err == nil {
			if leaf, err := leafOf(text); err == nil {
				n.life = leaf.NotAfter.Sub(leaf.NotBefore)
			}
		}
	}
	a.mu.Unlock()
	if changed {
		a.changed()
	}
}

func stampOf(file string) stamp {
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}
	}
	return stamp{info.Size(), info.ModTime().UnixNano()}
}

// event is told by CertMagic of what it does.
func (a *authority) event(_ context.Context, event string, data map[string]any) error {
	host, _ := data["identifier"].(string)
	renewal, _ := data["renewal"].(bool)
	switch event {
	case "cert_obtained":
		a.obtained(host, renewal)
		select {
		case a.news <- struct{}{}:
		default:
		}
	case "cert_failed":
		if err, ok := data["error"].(error); ok && a.ctx.Err() == nil && !a.ordering(host) {
			a.failed(host, err)
			a.log.Warn("a certificate could not be renewed", "host", host, "directory", a.settings.Directory, "error", brief(err), "remaining", data["remaining"])
		}
	}
	return nil
}

// brief bounds what an authority can put into the log.
func brief(err error) string {
	const most = 1000
	text := err.Error()
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

func (a *authority) obtained(host string, renewal bool) {
	text := "certificate issued"
	a.mu.Lock()
	if renewal {
		text = "certificate renewed"
		a.stats.Renewed++
	} else {
		a.stats.Ordered++
	}
	if n := a.names[host]; n != nil {
		n.err = nil
	}
	a.mu.Unlock()
	a.log.Info(text, "host", host, "directory", a.settings.Directory)
}

// kept notes that maintain has a name from now on.
func (a *authority) kept(host string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := a.names[host]; n != nil {
		n.ordering, n.err = false, nil
	}
}

// ordering reports whether what fails with a name is told of by order.
func (a *authority) ordering(host string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.names[host]
	return n == nil || n.ordering
}

func (a *authority) failed(host string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.Failed++
	if n := a.names[host]; n != nil {
		n.err = err
	}
}

// add adds how it stands with this authority's certificates.
func (a *authority) add(all *Stats) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all.Ordered += a.stats.Ordered
	all.Renewed += a.stats.Renewed
	all.Failed += a.stats.Failed
	for host, n := range a.names {
		all.Names = append(all.Names, Name{Host: host, Directory: a.settings.Directory, Key: a.settings.Key, Issued: n.life > 0, Err: n.err})
	}
}
