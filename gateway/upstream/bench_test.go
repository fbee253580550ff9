package upstream

import (
	"fmt"
	"testing"

	"longmen/gateway/cluster"
	"longmen/gateway/protocol/http1"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// benchCluster is one worker's side of a cluster; nothing is connected.
func benchCluster(b testing.TB, config *cluster.Config) *Cluster {
	l, err := worker.New(worker.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	w := NewWorker(l, metrics.NewRegistry().NewWorker(l.Stats()), &http1.Limits{}, 1)
	w.Adopt([]*cluster.Cluster{cluster.New(config)})
	return w.Cluster(0)
}

func many(n int) *cluster.Config {
	c := &cluster.Config{Name: "c", Choices: 2}
	for i := range n {
		c.Endpoints = append(c.Endpoints, cluster.EndpointConfig{Host: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), Port: 80, Weight: 1})
	}
	return c
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := benchCluster(b, many(n))
			s := new(stream.Stream)
			b.ReportAllocs()
			for b.Loop() {
				if p, err := c.pick(s, nil, nil); p == nil || err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

const weighted = cluster.Balance(100) // round robin with different weights

// What a worker does when one endpoint of many has become usable, or not any more, up to the
// next pick. What the cluster itself does is in its own benchmark.
func BenchmarkFollow(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		for _, algorithm := range []cluster.Balance{cluster.RoundRobin, cluster.LeastRequest, cluster.Maglev, weighted} {
			b.Run(fmt.Sprint(n, "/", algorithm%weighted, "/weighted:", algorithm == weighted), func(b *testing.B) {
				config, fewer := many(n), many(n-1)
				if algorithm == weighted {
					algorithm, config.Endpoints[0].Weight, fewer.Endpoints[0].Weight = cluster.RoundRobin, 7, 7
				}
				config.Balance, fewer.Balance = algorithm, algorithm
				c := benchCluster(b, config)
				sets := [...]*cluster.HostSet{cluster.New(fewer).Hosts(), c.hosts}
				s, i := new(stream.Stream), 0
				b.ReportAllocs()
				for b.Loop() {
					c.follow(sets[i])
					i = 1 - i
					if _, err := c.pick(s, nil, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
