package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func known(ttl time.Duration, addresses ...string) (a answer) {
	a.ttl, a.ttlKnown = ttl, len(addresses) > 0
	for _, text := range addresses {
		address := netip.MustParseAddr(text)
		f := familyOf(address)
		a.parts[f].addresses = append(a.parts[f].addresses, address)
	}
	return a
}

func TestWatch(t *testing.T) {
	servfail := errors.New("server answered SERVFAIL")
	failed := func(a answer, f family) answer {
		a.parts[f].err = servfail
		return a
	}
	type step struct {
		answer answer
		err    error
		want   string
		next   time.Duration // before jitter
	}
	respect := Config{RespectTTL: true, MinRefresh: 2 * time.Second, Refresh: 7 * time.Second}
	for _, c := range []struct {
		name   string
		config Config
		steps  []step
	}{
		{"TTL", respect, []step{
			{answer: known(30*time.Second, "192.0.2.1"), want: "192.0.2.1", next: 30 * time.Second},
			{answer: known(0, "192.0.2.2"), want: "192.0.2.2", next: 2 * time.Second},
			{answer: known(1000*time.Hour, "192.0.2.3"), want: "192.0.2.3", next: 24 * time.Hour},
			{answer: known(maxTTL), want: "", next: 7 * time.Second}, // exists, has no address: gone
		}},
		{"interval", Config{Refresh: 7 * time.Second}, []step{{answer: known(30*time.Second, "192.0.2.1"), want: "192.0.2.1", next: 7 * time.Second}}},
		{"default interval", Config{}, []step{{answer: known(30*time.Second, "192.0.2.1"), want: "192.0.2.1", next: 5 * time.Second}}},
		{"default least", Config{RespectTTL: true}, []step{{answer: known(0, "192.0.2.1"), want: "192.0.2.1", next: time.Second}}},
		{"failures keep the last good", respect, []step{
			{err: servfail, want: "", next: time.Second},
			{answer: known(30*time.Second, "192.0.2.1"), want: "192.0.2.1", next: 30 * time.Second},
			{err: servfail, want: "192.0.2.1", next: time.Second},
			{err: ErrNotFound, want: "192.0.2.1", next: 2 * time.Second},
			{err: servfail, want: "192.0.2.1", next: 4 * time.Second},
			{err: servfail, want: "192.0.2.1", next: 5 * time.Second},
			{err: servfail, want: "192.0.2.1", next: 5 * time.Second},
			{answer: known(30*time.Second, "192.0.2.9"), want: "192.0.2.9", next: 30 * time.Second},
			{err: servfail, want: "192.0.2.9", next: time.Second},
		}},
		{"one family fails", respect, []step{
			{answer: known(30*time.Second, "192.0.2.1", "2001:db8::1"), want: "2001:db8::1 192.0.2.1", next: 30 * time.Second},
			{answer: failed(known(30*time.Second, "192.0.2.2"), six), want: "2001:db8::1 192.0.2.2", next: 30 * time.Second},
			{answer: failed(known(30*time.Second, "192.0.2.3"), six), want: "2001:db8::1 192.0.2.3", next: 30 * time.Second},
			{answer: known(30*time.Second, "192.0.2.3"), want: "192.0.2.3", next: 30 * time.Second},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newTestResolver(t, "", "")
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				at := 0
				last, promised := time.Now(), time.Duration(0)
				r.watch(ctx, &c.config, func(result Result) {
					step := c.steps[at]
					if at++; at == len(c.steps) {
						cancel()
					}
					if list(result.Addresses) != step.want || !errors.Is(result.Err, step.err) {
						t.Errorf("step %d: %s, %v", at, list(result.Addresses), result.Err)
					}
					low, high := step.next, step.next+step.next/10
					if step.err != nil {
						low, high = step.next*8/10, step.next*12/10
					}
					if result.Next < low || result.Next > high {
						t.Errorf("step %d: next in %s, want %s to %s", at, result.Next, low, high)
					}
					if waited := time.Since(last); waited != promised {
						t.Errorf("step %d: waited %s, not %s", at, waited, promised)
					}
					last, promised = time.Now(), result.Next
				}, func() (answer, error) { return c.steps[at].answer, c.steps[at].err })
				if at != len(c.steps) {
					t.Errorf("%d steps", at)
				}
			})
		})
	}
}

// Through a server: a change is seen, and Watch ends with its context.
func TestWatchServer(t *testing.T) {
	server := newFakeServer(t)
	server.change(func() { server.records["web.test. A"] = []string{"web.test. 30 IN A 192.0.2.1"} })
	r := newTestResolver(t, "", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	config := server.config()
	config.Refresh = time.Millisecond
	changes, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		last := "nothing"
		r.Watch(ctx, "web.test", config, func(result Result) {
			if now := fmt.Sprintf("%s %v", list(result.Addresses), result.Err); now != last {
				last = now
				changes <- now
			}
		})
	}()
	if got := <-changes; got != "192.0.2.1 <nil>" {
		t.Errorf("first %s", got)
	}
	server.change(func() { server.records["web.test. A"] = []string{"web.test. 30 IN A 192.0.2.2"} })
	if got := <-changes; got != "192.0.2.2 <nil>" {
		t.Errorf("then %s", got)
	}
	cancel()
	<-ended
}
