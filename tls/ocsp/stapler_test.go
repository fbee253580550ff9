package ocsp

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"longmen/tls/certificate"
)

// events are what a Stapler reported.
type events struct {
	mu   sync.Mutex
	list []Event
}

func (e *events) add(event Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, event)
}

func (e *events) last(t testing.TB) Event {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.list) == 0 {
		t.Fatal("nothing was reported")
	}
	return e.list[len(e.list)-1]
}

// start runs a Stapler in the bubble of a synctest, whose clock is not the
// machine's, until the test ends.
func start(t *testing.T, client Doer) (*Stapler, *events) {
	t.Helper()
	seen := &events{}
	s := NewStapler(client, seen.add)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	return s, seen
}

func targets(list ...*certificate.Certificate) (t []Target) {
	for _, c := range list {
		t = append(t, Target{Certificate: c})
	}
	return t
}

// fresh answers with a new response of that life, each time.
func fresh(a *authority, c *certificate.Certificate, life time.Duration) func() ([]byte, error) {
	return func() ([]byte, error) {
		now := time.Now()
		return a.answer(c, answer{ocsp.Good, now, now.Add(life)}), nil
	}
}

func TestStaplerRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		c := a.certificate("http://a.test")
		twin := &certificate.Certificate{Chain: c.Chain, Kind: c.Kind, OCSPServers: c.OCSPServers, Fingerprint: c.Fingerprint}
		client := newScript()
		const life = 100 * time.Hour
		client.set(t, c, fresh(a, c, life))
		s, seen := start(t, client)
		s.Watch(targets(c, twin))
		synctest.Wait()
		first := c.Staple(time.Now())
		if first == nil || !bytes.Equal(first, twin.Staple(time.Now())) || client.count() != 1 {
			t.Fatalf("%d bytes of staple after %d requests", len(first), client.count())
		}
		event := seen.last(t)
		if wait := time.Until(event.Next); event.Err != nil || wait < life/2 || wait >= life*6/10 {
			t.Errorf("%v, next in %s", event.Err, wait)
		}
		time.Sleep(life / 2)
		time.Sleep(life / 10)
		synctest.Wait()
		if second := c.Staple(time.Now()); second == nil || bytes.Equal(first, second) || client.count() != 2 {
			t.Errorf("%d bytes after %d requests", len(second), client.count())
		}
		// The responder is gone: the last good one stays until it expires.
		client.set(t, c, nil)
		time.Sleep(life * 9 / 10)
		synctest.Wait()
		if c.Staple(time.Now()) == nil {
			t.Error("the last good response is gone before it expired")
		}
		time.Sleep(life / 10)
		synctest.Wait()
		if c.Staple(time.Now()) != nil || Strict.Usable(c, time.Now()) || !Lenient.Usable(c, time.Now()) {
			t.Error("an expired response is used")
		}
		if seen.last(t).Err == nil {
			t.Error("no failure was reported")
		}
		client.set(t, c, fresh(a, c, life))
		time.Sleep(lastRetry)
		synctest.Wait()
		if c.Staple(time.Now()) == nil {
			t.Error("not there again")
		}
	})
}

// Failures wait longer each time, an hour at most.
func TestStaplerBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newAuthority(t).certificate("http://a.test")
		client := newScript()
		s, seen := start(t, client)
		s.Watch(targets(c))
		for n := range 10 {
			synctest.Wait()
			if client.count() != n+1 {
				t.Fatalf("%d requests, want %d", client.count(), n+1)
			}
			event := seen.last(t)
			wait, most := time.Until(event.Next), min(time.Minute<<n, time.Hour)
			if !errors.Is(event.Err, errUnreachable) || wait < most/2 || wait > most {
				t.Errorf("failure %d: %v, next in %s", n+1, event.Err, wait)
			}
			time.Sleep(wait)
		}
	})
}

// A responder that goes on with the same response is asked again before it expires.
func TestStaplerSameResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		c := a.certificate("http://a.test")
		client := newScript()
		der, _ := fresh(a, c, 100*time.Hour)()
		client.set(t, c, func() ([]byte, error) { return der, nil })
		s, seen := start(t, client)
		s.Watch(targets(c))
		time.Sleep(99 * time.Hour)
		synctest.Wait()
		if n := client.count(); n < 4 || n > 20 || seen.last(t).Err != nil || seen.last(t).Response == nil || c.Staple(time.Now()) == nil {
			t.Errorf("%d requests, %v", n, seen.last(t).Err)
		}
		// An older one, still valid, does not take its place.
		newer := c.Staple(time.Now())
		older := a.answer(c, answer{ocsp.Good, time.Now().Add(-200 * time.Hour), time.Now().Add(500 * time.Hour)})
		client.set(t, c, func() ([]byte, error) { return older, nil })
		time.Sleep(50 * time.Minute)
		synctest.Wait()
		if !bytes.Equal(c.Staple(time.Now()), newer) {
			t.Error("an older response took its place")
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if !bytes.Equal(c.Staple(time.Now()), older) {
			t.Error("it is not used when the newer one has expired")
		}
	})
}

func TestStaplerRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		c := a.certificate("http://a.test", "http://b.test")
		c.MustStaple = true
		client := newScript()
		client.set(t, c, fresh(a, c, 10*time.Hour))
		s, seen := start(t, client)
		s.Watch(targets(c))
		synctest.Wait()
		if !Lenient.Usable(c, time.Now()) {
			t.Error("unusable with its staple")
		}
		client.set(t, c, func() ([]byte, error) {
			return a.answer(c, answer{ocsp.Revoked, time.Now(), time.Now().Add(10 * time.Hour)}), nil
		})
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		event := seen.last(t)
		if _, revoked := errors.AsType[*RevokedError](event.Err); !revoked || event.Response != nil || c.Staple(time.Now()) != nil || Lenient.Usable(c, time.Now()) {
			t.Errorf("%+v", event)
		}
	})
}

// Many certificates: four at once, each once, and new forms of the same ones
// have their staples at once.
func TestStaplerMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		client := newScript()
		client.takes = time.Second
		var list, again []*certificate.Certificate
		for range 30 {
			c := a.certificate("http://a.test")
			client.set(t, c, fresh(a, c, 100*time.Hour))
			list = append(list, c)
			again = append(again, &certificate.Certificate{Chain: c.Chain, Kind: c.Kind, OCSPServers: c.OCSPServers, Fingerprint: c.Fingerprint})
		}
		s, _ := start(t, client)
		s.Watch(targets(list...))
		time.Sleep(1500 * time.Millisecond)
		s.Watch(targets(list...)) // while some are under way
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if client.count() != 30 || client.most != maxFetches {
			t.Errorf("%d requests, %d at once", client.count(), client.most)
		}
		s.Watch(targets(again[:20]...))
		for i, c := range again[:20] {
			if c.Staple(time.Now()) == nil {
				t.Errorf("certificate %d has no staple after a reload", i)
			}
		}
		time.Sleep(60 * time.Hour)
		synctest.Wait()
		if client.count() != 50 {
			t.Errorf("%d requests, want 50: those that are still there once more", client.count())
		}
	})
}

// A certificate that is taken away while it is asked for gets nothing.
func TestStaplerTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		c := a.certificate("http://a.test")
		client := newScript()
		client.takes = time.Second
		client.set(t, c, fresh(a, c, time.Hour))
		s, seen := start(t, client)
		s.Watch(targets(c))
		time.Sleep(100 * time.Millisecond)
		s.Watch(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if c.Staple(time.Now()) != nil || len(seen.list) != 0 {
			t.Error("it was stapled")
		}
	})
}

// A responder that does not answer is given up after a time.
func TestStaplerSlowResponder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newAuthority(t).certificate("http://a.test")
		client := newScript()
		client.takes = time.Hour
		s, seen := start(t, client)
		s.Watch(targets(c))
		time.Sleep(fetchTimeout)
		synctest.Wait()
		if err := seen.last(t).Err; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestStaplerFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		now := time.Now()
		own, served, broken := a.certificate(), a.certificate("http://a.test"), a.certificate()
		client := newScript()
		s, seen := start(t, client)
		file := func(c *certificate.Certificate) []byte {
			return a.answer(c, answer{ocsp.Good, now, now.Add(10 * time.Hour)})
		}
		list := []Target{{own, file(own)}, {served, file(served)}, {broken, file(own)}}
		s.Watch(list)
		if own.Staple(now) == nil || served.Staple(now) == nil || broken.Staple(now) != nil {
			t.Error("the staples of the files are not in place")
		}
		if len(seen.list) != 3 || seen.list[0].Err != nil || seen.list[1].Err != nil || seen.list[2].Err == nil {
			t.Errorf("%+v", seen.list)
		}
		synctest.Wait()
		if client.count() != 0 {
			t.Error("asked although there is a response")
		}
		client.set(t, served, fresh(a, served, 10*time.Hour))
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		if client.count() != 1 || bytes.Equal(served.Staple(time.Now()), list[1].Response) {
			t.Errorf("%d requests", client.count())
		}
		fetched := served.Staple(time.Now())
		s.Watch(list) // the file is now older than what was fetched
		if !bytes.Equal(served.Staple(time.Now()), fetched) {
			t.Error("the file took the place of a newer response")
		}
		revoked := a.answer(own, answer{ocsp.Revoked, time.Now(), time.Now().Add(time.Hour)})
		s.Watch([]Target{{own, revoked}})
		if own.Staple(time.Now()) != nil {
			t.Error("a revoked certificate has a staple")
		}
	})
}

// Certificates that nothing can be asked for are passed over.
func TestStaplerPassesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		mute, alone, sm := a.certificate(), a.certificate("http://a.test"), a.certificate("http://a.test")
		alone.Chain = alone.Chain[:1]
		sm.Kind = certificate.SM2
		client := newScript()
		s, seen := start(t, client)
		s.Watch(targets(mute, alone, sm))
		time.Sleep(time.Hour)
		synctest.Wait()
		if client.count() != 0 || len(seen.list) != 0 {
			t.Errorf("%d requests", client.count())
		}
	})
}
