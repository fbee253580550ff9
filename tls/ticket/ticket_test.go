package ticket

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func shared(t *testing.T, secret string, o Options) *Source {
	t.Helper()
	s, err := Shared(bytes.Repeat([]byte(secret), MinSecret), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seal(t *testing.T, k *Keys, content string, now time.Time) []byte {
	t.Helper()
	ticket, err := k.Seal(nil, []byte(content), now)
	if err != nil {
		t.Fatal(err)
	}
	if len(ticket) != len(content)+Overhead {
		t.Fatalf("%d bytes for %d of content, want %d more", len(ticket), len(content), Overhead)
	}
	return ticket
}

func opens(k *Keys, ticket []byte, want string, now time.Time) bool {
	content, _, err := k.Open(ticket, now)
	return err == nil && string(content) == want
}

func TestNodesWithOneSecretAgree(t *testing.T) {
	a, b := shared(t, "s", Options{}).Context("shop"), shared(t, "s", Options{}).Context("shop")
	ticket := seal(t, a, "session", noon)
	if !opens(b, ticket, "session", noon) {
		t.Error("another node with the same secret does not open it")
	}
	if opens(shared(t, "x", Options{}).Context("shop"), ticket, "session", noon) {
		t.Error("a node with another secret opens it")
	}
	ofA, _ := a.Standard(noon)
	ofB, _ := b.Standard(noon)
	if ofA[0] != ofB[0] || len(ofA) != DefaultKeep+1 {
		t.Errorf("crypto/tls's keys differ, or are not %d: %d", DefaultKeep+1, len(ofA))
	}
}

func TestKeysRotate(t *testing.T) {
	k := shared(t, "s", Options{Period: time.Hour, Keep: 3}).Context("")
	ticket := seal(t, k, "session", noon)
	for hours, want := range map[int]struct{ opens, renew bool }{
		-2: {false, false}, -1: {true, true}, // a node whose clock is behind by an hour still opens it
		0: {true, false}, 1: {true, true}, 2: {true, true}, 3: {false, false},
	} {
		content, renew, err := k.Open(ticket, noon.Add(time.Duration(hours)*time.Hour))
		if (err == nil) != want.opens || renew != want.renew {
			t.Errorf("after %d h: error %v, renew %v; want opened %v, renew %v", hours, err, renew, want.opens, want.renew)
		}
		if err == nil && string(content) != "session" {
			t.Errorf("after %d h: content %q", hours, content)
		}
	}
}

func TestStandardKeysRotate(t *testing.T) {
	k := shared(t, "s", Options{Period: time.Hour, Keep: 2}).Context("")
	now, until := k.Standard(noon.Add(20 * time.Minute))
	if !until.Equal(noon.Add(time.Hour)) {
		t.Errorf("until %s, want the end of the hour", until)
	}
	next, _ := k.Standard(until)
	if now[0] != next[1] || now[2] != next[0] {
		t.Error("the next hour's keys are not this hour's, moved by one")
	}
	if last, _ := k.Standard(until.Add(-time.Nanosecond)); last[0] != now[0] {
		t.Error("the key changes before until")
	}
}

// A ticket of a domain with a client CA must not resume at another.
func TestContextsAreApart(t *testing.T) {
	s := shared(t, "s", Options{})
	a, b := s.Context("shop mtls ca-1"), s.Context("shop mtls ca-2")
	if opens(b, seal(t, a, "session", noon), "session", noon) {
		t.Error("another context opens the ticket")
	}
	ofA, _ := a.Standard(noon)
	ofB, _ := b.Standard(noon)
	for _, key := range ofA {
		for _, other := range ofB {
			if key == other {
				t.Error("crypto/tls would get the same key in two contexts")
			}
		}
	}
	if !opens(s.Context("shop mtls ca-1"), seal(t, a, "session", noon), "session", noon) {
		t.Error("the same context, made again, does not open the ticket")
	}
}

func TestExplicitKeys(t *testing.T) {
	first, second := bytes.Repeat([]byte{1}, 80), bytes.Repeat([]byte{2}, 48)
	before, err := Explicit([][]byte{first})
	if err != nil {
		t.Fatal(err)
	}
	ticket := seal(t, before.Context("c"), "session", noon)
	rotated, err := Explicit([][]byte{second, first})
	if err != nil {
		t.Fatal(err)
	}
	content, renew, err := rotated.Context("c").Open(ticket, noon.AddDate(1, 0, 0))
	if err != nil || !renew || string(content) != "session" {
		t.Errorf("%q, renew %v, %v; want it opened with the second key", content, renew, err)
	}
	replaced, err := Explicit([][]byte{second})
	if err != nil {
		t.Fatal(err)
	}
	if opens(replaced.Context("c"), ticket, "session", noon) {
		t.Error("a key that is gone opens a ticket")
	}
	if keys, until := rotated.Context("c").Standard(noon); len(keys) != 2 || !until.IsZero() {
		t.Errorf("%d keys until %s; want 2, for ever", len(keys), until)
	}
}

func TestRandomSecretsDiffer(t *testing.T) {
	a, err := Random(Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Random(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if opens(b.Context(""), seal(t, a.Context(""), "x", noon), "x", noon) {
		t.Error("two random secrets are the same")
	}
}

func TestWhatIsRefused(t *testing.T) {
	secret := make([]byte, MinSecret)
	for want, err := range map[string]error{
		"needs at least 32":     second(Shared(secret[:31], Options{})),
		"the least is 1m":       second(Shared(secret, Options{Period: time.Second})),
		"1 to 48":               second(Shared(secret, Options{Keep: 49})),
		"allows 7 days":         second(Shared(secret, Options{Period: 24 * time.Hour, Keep: 8})),
		"0 session ticket keys": second(Explicit(nil)),
		"key 1 has 79 bytes":    second(Explicit([][]byte{make([]byte, 79)})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	k := shared(t, "s", Options{}).Context("")
	if _, err := k.Seal(nil, make([]byte, MaxTicket), noon); err == nil {
		t.Error("a session that fits into no ticket was sealed")
	}
}

func second(_ *Source, err error) error { return err }

func TestEveryChangedByteIsNoticed(t *testing.T) {
	k := shared(t, "s", Options{}).Context("")
	ticket := seal(t, k, "content of a session", noon)
	for i := range ticket {
		if _, _, err := k.Open(ticket[:i], noon); !errors.Is(err, ErrTicket) {
			t.Fatalf("cut at %d: %v", i, err)
		}
		changed := bytes.Clone(ticket)
		changed[i] ^= 1
		if _, _, err := k.Open(changed, noon); !errors.Is(err, ErrTicket) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	if _, _, err := k.Open(append(ticket, 0), noon); !errors.Is(err, ErrTicket) {
		t.Errorf("a byte more: %v", err)
	}
}

func TestConcurrentUseAcrossPeriods(t *testing.T) {
	k := shared(t, "s", Options{Period: time.Minute}).Context("")
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 50 {
				now := noon.Add(time.Duration(i*worker) * 10 * time.Second)
				ticket, err := k.Seal(nil, []byte("x"), now)
				if err != nil || !opens(k, ticket, "x", now) {
					t.Error("not opened at the moment it was sealed at")
				}
			}
		})
	}
	group.Wait()
}

func TestNothingPrintsTheSecret(t *testing.T) {
	s := shared(t, "A", Options{})
	k := s.Context("label")
	seal(t, k, "x", noon)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, value := range []any{s, k} {
			if got := fmt.Sprintf(verb, value); got != "session ticket keys" {
				t.Errorf("%s prints %q", verb, got)
			}
		}
	}
}

// crypto/tls takes the keys: a session of one node resumes on another an hour later.
func TestCryptoTLSResumesAcrossNodes(t *testing.T) {
	certificate := selfSigned(t)
	cache := tls.NewLRUClientSessionCache(4)
	resumed := func(label string, now time.Time) bool {
		keys, _ := shared(t, "s", Options{}).Context(label).Standard(now)
		config := &tls.Config{Certificates: []tls.Certificate{certificate}, MaxVersion: tls.VersionTLS12}
		config.SetSessionTicketKeys(keys)
		return handshake(t, config, &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, ClientSessionCache: cache})
	}
	if resumed("c", noon) {
		t.Error("the first handshake resumed")
	}
	if !resumed("c", noon.Add(time.Hour)) {
		t.Error("another node, an hour later, did not resume")
	}
	if resumed("other", noon.Add(time.Hour)) {
		t.Error("another context resumed")
	}
}

// Keys for a purpose open nothing else of their context, nor of a context that is named like it.
func TestFor(t *testing.T) {
	source, err := Random(Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	keys := source.Context("shop")
	all := []*Keys{keys, keys.For("a"), keys.For("b"), source.Context("other").For("a")}
	for i, k := range all {
		sealed, err := k.Seal(nil, []byte("session"), now)
		if err != nil {
			t.Fatal(err)
		}
		for j, other := range all {
			if _, _, err := other.Open(sealed, now); (err == nil) != (i == j) {
				t.Errorf("keys %d open a ticket of keys %d: %v", j, i, err)
			}
		}
	}
	if sealed, err := keys.For("a").Seal(nil, []byte("session"), now); err != nil {
		t.Fatal(err)
	} else if _, _, err := source.Context("shop").For("a").Open(sealed, now); err != nil {
		t.Errorf("another node: %v", err)
	}
}
