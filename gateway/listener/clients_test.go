package listener

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

func TestClientsAreBoundedOneByOne(t *testing.T) {
	c := NewClients(2)
	for _, step := range []struct {
		address string
		want    bool
	}{
		{"10.0.0.1", true}, {"::ffff:10.0.0.1", true}, {"10.0.0.1", false}, {"10.0.0.2", true},
		{"2001:db8::1", true}, {"2001:db8::ffff:0:0:1", true}, {"2001:db8::2", false}, {"2001:db8:0:1::1", true},
		{"fe80::1%eth0", true}, {"fe80::2%eth1", true}, {"fe80::3", false},
	} {
		if got := c.Enter(netip.MustParseAddr(step.address)); got != step.want {
			t.Errorf("%s: %v", step.address, got)
		}
	}
	one := netip.MustParseAddr("10.0.0.1")
	c.Leave(one)
	if !c.Enter(one) || c.Enter(one) {
		t.Error("after one has left there is room for one")
	}
	c.SetLimit(3)
	if !c.Enter(one) || c.Enter(one) {
		t.Error("the limit was raised by one")
	}
	c.Count(one) // was there before
	c.Leave(one)
	if c.Enter(one) {
		t.Error("over the limit")
	}
	for range 3 {
		c.Leave(one)
	}
	held := 0
	for i := range c.shards {
		held += len(c.shards[i].open)
	}
	if held != 4 { // 10.0.0.2, two networks, and fe80
		t.Errorf("%d clients are remembered", held)
	}
	var none *Clients
	none.Count(one)
	none.Leave(one)
	if !none.Enter(one) {
		t.Error("without a limit there is room")
	}
}

func TestClientsAreExactOverWorkers(t *testing.T) {
	c := NewClients(100)
	address := netip.MustParseAddr("192.0.2.7")
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				if c.Enter(address) {
					if passed.Add(1) > 100 {
						t.Error("over the limit")
					}
					passed.Add(-1)
					c.Leave(address)
				}
			}
			for range 50 {
				if c.Enter(address) {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := passed.Load(); n != 100 {
		t.Errorf("%d passed", n)
	}
}
