package supervisor

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"longmen/gateway/admin"
	"longmen/gateway/snapshot"
	"longmen/gateway/telemetry/metrics"
)

// Warnings of certificates that expire: those of the configuration are given
// when it is loaded, these once a day while it serves.
const (
	warnEvery  = 24 * time.Hour
	warnBefore = 14 * 24 * time.Hour
	// warnShare is for certificates of short lives, which are renewed late: what
	// is left of the life when a warning is due.
	warnShare = 6
	// mostWarnings bounds what is said at once.
	mostWarnings = 50
)

// certificates are those in use.
func (s *Supervisor) certificates(now time.Time) []snapshot.CertificateInfo {
	if current := s.current.Load(); current != nil {
		return current.Certificates(now)
	}
	return nil
}

// certificateExpiries is what the metrics tell of certificates. Of several under one
// name, the one that expires first counts.
func (s *Supervisor) certificateExpiries() []metrics.Certificate {
	type use struct{ name, listener, cluster string }
	index := map[use]int{}
	var all []metrics.Certificate
	for _, c := range s.certificates(time.Now()) {
		as := use{c.Name, c.Listener, c.Cluster}
		i, seen := index[as]
		if !seen {
			index[as] = len(all)
			all = append(all, metrics.Certificate{Name: c.Name, Listener: c.Listener, Cluster: c.Cluster, NotAfter: c.Expires()})
		} else if c.Expires().Before(all[i].NotAfter) {
			all[i].NotAfter = c.Expires()
		}
	}
	return all
}

// tlsPool is what the metrics tell of the threads for signatures.
func (s *Supervisor) tlsPool() (pool metrics.TLSPool, there bool) {
	p := s.pool.Load()
	if p == nil {
		return pool, false
	}
	n := p.Stats()
	return metrics.TLSPool{
		Queued: n.Queued, Running: n.Running, Done: n.Done, Refused: n.Shed, Expired: n.Expired, Canceled: n.Canceled,
		Panics: n.Panics, Busy: n.Busy, Waited: n.Wait,
	}, true
}

// describeCertificates is what the admin API tells of certificates.
func (s *Supervisor) describeCertificates() []admin.Certificate {
	now := time.Now()
	var all []admin.Certificate
	for _, c := range s.certificates(now) {
		one := admin.Certificate{Name: c.Name, Listener: c.Listener, Cluster: c.Cluster, Kind: c.Kind, Chain: []admin.CertificateDetails{certificateDetails(&c, now)}}
		if c.Encryption != nil {
			one.Chain = append(one.Chain, certificateDetails(c.Encryption, now))
		}
		all = append(all, one)
	}
	return all
}

func certificateDetails(c *snapshot.CertificateInfo, now time.Time) admin.CertificateDetails {
	d := admin.CertificateDetails{
		Path: c.From, Serial: c.Serial, Subject: c.Subject, Issuer: c.Issuer, Fingerprint: c.Fingerprint, Names: []admin.AltName{},
		Days: daysUntil(c.NotAfter, now), ValidFrom: c.NotBefore.UTC(), Expires: c.NotAfter.UTC(), MustStaple: c.MustStaple,
	}
	for _, name := range c.Names {
		if _, err := netip.ParseAddr(name); err == nil {
			d.Names = append(d.Names, admin.AltName{IP: name})
		} else {
			d.Names = append(d.Names, admin.AltName{DNS: name})
		}
	}
	for _, uri := range c.URIs() {
		d.Names = append(d.Names, admin.AltName{URI: uri})
	}
	if !c.StapledUntil.IsZero() {
		d.OCSP = &admin.OCSPDetails{Expires: c.StapledUntil.UTC()}
	}
	return d
}

// daysUntil is how many whole days are left, negative when none is.
func daysUntil(end, now time.Time) int { return int(math.Floor(end.Sub(now).Hours() / 24)) }

// watchExpiry warns of certificates that expire, day by day.
func (s *Supervisor) watchExpiry() {
	ticker := time.NewTicker(warnEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.warnExpiring(time.Now())
		case <-s.stop:
			return
		}
	}
}

// warnExpiring warns of the certificates that expire soon or have expired, each
// once, the first to expire first.
func (s *Supervisor) warnExpiring(now time.Time) {
	type warning struct {
		snapshot.CertificateInfo
		users []string
	}
	var due []*warning
	known := map[string]*warning{} // by fingerprint and name
	for _, c := range s.certificates(now) {
		if left := c.Expires().Sub(now); left > min(warnBefore, c.NotAfter.Sub(c.NotBefore)/warnShare) {
			continue
		}
		user := "listener " + c.Listener
		if c.Listener == "" {
			user = "cluster " + c.Cluster
		}
		w := known[c.Fingerprint+c.Name]
		if w == nil {
			w = &warning{CertificateInfo: c}
			known[c.Fingerprint+c.Name] = w
			due = append(due, w)
		}
		w.users = append(w.users, user)
	}
	slices.SortStableFunc(due, func(a, b *warning) int { return a.Expires().Compare(b.Expires()) })
	for i, w := range due {
		if i == mostWarnings {
			s.log.Warn("more certificates expire soon", "count", len(due)-i)
			return
		}
		text := "a certificate expires soon: renew it"
		if now.After(w.Expires()) {
			text = "a certificate has expired: its peers refuse it; renew it"
		}
		s.log.Warn(text, "certificate", w.Name, "from", w.From, "days", daysUntil(w.Expires(), now),
			"expires", w.Expires().UTC().Format(time.RFC3339), "used_by", fewUsers(w.users))
	}
}

func fewUsers(users []string) string {
	const most = 5
	if len(users) <= most {
		return strings.Join(users, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(users[:most], ", "), len(users)-most)
}
