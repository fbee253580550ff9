package acme

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"encoding/asn1"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

const patience = 20 * time.Second

var errNotSolved = errors.New("not solved")

// A node is a manager as a gateway has it.
type node struct {
	*Manager
	t          testing.TB
	challenges *Challenges
	news       chan struct{}
	log        *lockedBuffer
	storage    string // removed after its end
}

func newNode(t testing.TB) *node {
	n := &node{t: t, challenges: &Challenges{}, news: make(chan struct{}, 1), log: &lockedBuffer{}, storage: t.TempDir()}
	n.Manager = NewManager(slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug})), n.challenges, func() {
		select {
		case n.news <- struct{}{}:
		default:
		}
	})
	t.Cleanup(n.Close)
	return n
}

// lockedBuffer takes a log while a test may read it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// until waits, from one piece of news to the next, until cond holds.
func (n *node) until(what string, cond func() bool) {
	n.t.Helper()
	deadline := time.After(patience)
	for !cond() {
		select {
		case <-n.news:
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			n.t.Fatalf("it never happened: %s\n%s", what, n.log)
		}
	}
}

// issued reads a stored certificate, nil while there is none.
func issued(s Settings, host string) *tls.Certificate {
	certFile, keyFile := s.Files(host)
	c, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil
	}
	return &c
}

// byOwn solves challenges as a node's listeners do.
func byOwn(c *Challenges) func(kind, host, token string) error {
	return func(kind, host, token string) error {
		if kind == "http-01" {
			return checkAnswer(c.Token([]byte(token)), token)
		}
		return checkCertificate(c.Name(host), host)
	}
}

// byStored solves them as those of a node do that only shares the storage.
func byStored(c *Challenges) func(kind, host, token string) error {
	return func(kind, host, token string) error {
		if c.Token([]byte(token)) != nil || c.Name(host) != nil {
			return errors.New("pending at who did not order it")
		}
		if kind == "http-01" {
			return checkAnswer(c.StoredToken(token), token)
		}
		return checkCertificate(c.StoredName(host), host)
	}
}

func checkAnswer(answer []byte, token string) error {
	if !strings.HasPrefix(string(answer), token+".") {
		return fmt.Errorf("%w: %q", errNotSolved, answer)
	}
	return nil
}

// checkCertificate looks for the critical extension of RFC 8737.
func checkCertificate(c *tls.Certificate, host string) error {
	if c == nil {
		return errNotSolved
	}
	if c.Leaf.VerifyHostname(host) != nil {
		return fmt.Errorf("%w: for %v", errNotSolved, c.Leaf.DNSNames)
	}
	for _, e := range c.Leaf.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) && e.Critical {
			return nil
		}
	}
	return errNotSolved
}

func TestOrder(t *testing.T) {
	for _, kind := range []Challenge{HTTP01, TLSALPN01} {
		for _, key := range []Key{P256, RSA2048} {
			t.Run(string(kind)+" "+string(key), func(t *testing.T) {
				f, n := newFake(t), newNode(t)
				f.try = byOwn(n.challenges)
				s := f.settings(n.storage)
				s.Challenge, s.Key = kind, key
				if n.challenges.Active() {
					t.Error("active before there is anything")
				}
				if err := n.Use([]Order{{s, []string{"a.example.com", "b.example.com"}}}); err != nil {
					t.Fatal(err)
				}
				n.until("both are issued", func() bool {
					return n.Stats().Ordered == 2 && issued(s, "a.example.com") != nil && issued(s, "b.example.com") != nil
				})
				made := issued(s, "a.example.com")
				_, isECDSA := made.PrivateKey.(*ecdsa.PrivateKey)
				_, isRSA := made.PrivateKey.(*rsa.PrivateKey)
				if isECDSA != (key == P256) || isRSA != (key == RSA2048) {
					t.Errorf("a key of type %T", made.PrivateKey)
				}
				n.until("nothing is pending", func() bool {
					left, err := filepath.Glob(filepath.Join(s.Storage, "acme", "*", "challenges", "*"))
					return err == nil && len(left) == 0 && n.challenges.Token([]byte(f.orders[0].token)) == nil && n.challenges.Name("a.example.com") == nil
				})
				if len(f.accounts) != 1 || fmt.Sprint(f.accounts[0]["contact"]) != "[mailto:me@example.com]" || f.accounts[0]["termsOfServiceAgreed"] != true {
					t.Errorf("accounts: %v", f.accounts)
				}
				n.until("all is well", func() bool {
					names := n.Stats().Names
					return len(names) == 2 && names[0].Host == "a.example.com" && names[0].Issued && names[1].Issued
				})
				if stats := n.Stats(); stats.Failed != 0 || stats.Renewed != 0 || stats.Names[0].Err != nil {
					t.Errorf("%+v", stats)
				}
			})
		}
	}
}

// Another node with the storage answers, and does not order again.
func TestSharedStorage(t *testing.T) {
	f, one, two := newFake(t), newNode(t), newNode(t)
	s := f.settings(one.storage)
	order := []Order{{s, []string{"a.example.com"}}}
	f.try = byStored(two.challenges)
	if err := two.Use([]Order{{s, []string{"z.example.com"}}}); err != nil { // of its own it has another name
		t.Fatal(err)
	}
	two.until("its own is refused: it asks the storage alone", func() bool { return two.Stats().Failed == 1 })
	if err := one.Use(order); err != nil {
		t.Fatal(err)
	}
	one.until("it is issued", func() bool { return issued(s, "a.example.com") != nil })
	count := len(f.orders)
	if err := two.Use(order); err != nil {
		t.Fatal(err)
	}
	two.until("it is there", func() bool { names := two.Stats().Names; return len(names) == 1 && names[0].Issued })
	if len(f.orders) != count || two.Stats().Ordered != 0 || len(f.accounts) != 1 {
		t.Errorf("%d orders, %d accounts; before %d", len(f.orders), len(f.accounts), count)
	}
}

// The authority's window decides, and it is told what is replaced.
func TestRenewal(t *testing.T) {
	f, n := newFake(t), newNode(t)
	f.try = byOwn(n.challenges)
	begin := time.Now().AddDate(0, 0, 60)
	f.window = func() (time.Time, time.Time) { return begin, begin.Add(time.Hour) }
	s := f.settings(n.storage)
	if err := n.Use([]Order{{s, []string{"a.example.com"}}}); err != nil {
		t.Fatal(err)
	}
	n.until("it is issued", func() bool { names := n.Stats().Names; return names[0].Issued })
	first := issued(s, "a.example.com")
	a := n.authorities[s]
	n.until("it is kept", func() bool { return !a.ordering("a.example.com") })
	renew := func() {
		if err := a.cache.RenewManagedCertificates(a.ctx); err != nil {
			t.Fatal(err)
		}
	}
	renew()
	f.mu.Lock()
	if len(f.orders) != 1 {
		t.Errorf("%d orders before it is time", len(f.orders))
	}
	begin = time.Now().Add(-time.Hour)
	f.mu.Unlock()
	renew()
	n.until("it is renewed", func() bool { return n.Stats().Renewed == 1 })
	n.until("it is stored", func() bool { c := issued(s, "a.example.com"); return c != nil && !c.Leaf.Equal(first.Leaf) })
	id, err := acme.ARIUniqueIdentifier(first.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.orders[1].replaces != id {
		t.Errorf("replaces %q, not %q", f.orders[1].replaces, id)
	}
}

func TestForgottenAccount(t *testing.T) {
	f, n := newFake(t), newNode(t)
	f.try = byOwn(n.challenges)
	f.forget = 1
	s := f.settings(n.storage)
	if err := n.Use([]Order{{s, []string{"a.example.com"}}}); err != nil {
		t.Fatal(err)
	}
	n.until("it is issued", func() bool { return issued(s, "a.example.com") != nil })
	if len(f.accounts) != 2 {
		t.Errorf("%d accounts", len(f.accounts))
	}
}

// What an authority refuses is told, tried by the other challenge too, and does
// not keep the rest from being issued.
func TestRefused(t *testing.T) {
	f, n := newFake(t), newNode(t)
	own := byOwn(n.challenges)
	var kinds sync.Map
	f.try = func(kind, host, token string) error {
		if host == "bad.example.com" {
			kinds.Store(kind, true)
			return errNotSolved
		}
		return own(kind, host, token)
	}
	s := f.settings(n.storage)
	if err := n.Use([]Order{{s, []string{"bad.example.com", "good.example.com"}}}); err != nil {
		t.Fatal(err)
	}
	n.until("one is issued, one refused", func() bool { stats := n.Stats(); return stats.Ordered == 1 && stats.Failed == 1 })
	for _, kind := range []string{"http-01", "tls-alpn-01"} {
		if _, tried := kinds.Load(kind); !tried {
			t.Errorf("%s was not tried", kind)
		}
	}
	if bad := n.Stats().Names[0]; bad.Issued || bad.Err == nil || !strings.Contains(bad.Err.Error(), "not yours") {
		t.Errorf("%+v", bad)
	}
	if !strings.Contains(n.log.String(), "no certificate could be ordered") {
		t.Error(n.log)
	}
}

// What is under way is given up at once.
func TestClose(t *testing.T) {
	f, n := newFake(t), newNode(t)
	tried := make(chan string, 8)
	goOn := make(chan struct{})
	defer close(goOn)
	f.try = func(_, host, token string) error {
		tried <- token
		<-goOn
		return errNotSolved
	}
	s := f.settings(n.storage)
	if err := n.Use([]Order{{s, []string{"a.example.com"}}}); err != nil {
		t.Fatal(err)
	}
	token := <-tried
	n.Close()
	if n.challenges.Active() || n.challenges.Token([]byte(token)) != nil || n.challenges.Name("a.example.com") != nil {
		t.Error("something is still pending")
	}
	if locks, err := filepath.Glob(filepath.Join(s.Storage, "locks", "*")); err != nil || len(locks) > 0 {
		t.Errorf("locked: %v %v", locks, err)
	}
	if strings.Contains(n.log.String(), "could be ordered") {
		t.Error(n.log)
	}
}

// Settings that cannot be used do not keep others from being.
func TestUseWrong(t *testing.T) {
	f, n := newFake(t), newNode(t)
	f.try = byOwn(n.challenges)
	good := f.settings(n.storage)
	wrong := good
	wrong.Roots = "none"
	if err := n.Use([]Order{{wrong, []string{"a.example.com"}}, {good, []string{"a.example.com"}}}); !errors.Is(err, errRoots) {
		t.Error(err)
	}
	n.until("it is issued", func() bool { return issued(good, "a.example.com") != nil })
	if info, err := os.Stat(filepath.Join(good.Storage, "acme")); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the storage: %v %v", info.Mode(), err)
	}
}
