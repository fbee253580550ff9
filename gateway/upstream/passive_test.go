package upstream

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"longmen/gateway/cluster"
	"longmen/gateway/cluster/outlier"
)

func TestWhoseFailureItIs(t *testing.T) {
	for _, test := range []struct {
		err           error
		refused, ours bool
	}{
		{unix.ECONNREFUSED, true, false},
		{fmt.Errorf("%s: %w", netip.Addr{}, os.NewSyscallError("connect", unix.EHOSTUNREACH)), true, false},
		{unix.ENETUNREACH, true, false},
		{unix.EMFILE, false, true},
		{unix.EADDRNOTAVAIL, false, true},
		{unix.ECONNRESET, false, false},
		{unix.ETIMEDOUT, false, false},
		{errConnectTimeout, false, false},
		{errors.New("certificate is not trusted"), false, false},
	} {
		if got := refused(test.err); got != test.refused {
			t.Errorf("%v: refused %v", test.err, got)
		}
		if got := ours(test.err); got != test.ours {
			t.Errorf("%v: ours %v", test.err, got)
		}
	}
}

// A worker reports to the detector of the cluster's present version.
func TestWatcherFollowsTheCluster(t *testing.T) {
	config := func(outliers bool) *cluster.Config {
		c := many(2)
		if outliers {
			defaults := outlier.Defaults()
			c.Outlier = &defaults
		}
		return c
	}
	c := benchCluster(t, config(false))
	versions := []*cluster.Cluster{c.shared}
	adopt := func(outliers bool) *outlier.Detector {
		next := cluster.New(config(outliers))
		next.Inherit(versions[len(versions)-1])
		versions = append(versions, next)
		c.worker.Adopt([]*cluster.Cluster{next})
		return next.Outliers()
	}
	p := c.pool(c.hosts.Endpoints[0])
	if p.watcher() != nil {
		t.Error("there is nothing to report to")
	}
	first := adopt(true)
	one := p.watcher()
	if one == nil || !one.Of(first) || p.watcher() != one {
		t.Error("the detector has another monitor")
	}
	if second := adopt(true); second != first || p.watcher() != one {
		t.Error("another version of the cluster has another detector")
	}
	if adopt(false); p.watcher() != nil {
		t.Error("there is nothing to report to any more")
	}
	if third := adopt(true); p.watcher() == one || !p.watcher().Of(third) {
		t.Error("the monitor is one of before")
	}
	// What is not the endpoint's fault is not told.
	p.unreachable(unix.EMFILE)
	if n, _ := p.endpoint.ConnectFailures(); n != 1 {
		t.Errorf("%d connect failures", n)
	}
}
