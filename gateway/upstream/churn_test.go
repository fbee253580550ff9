package upstream

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/cluster/outlier"
)

// churning is a cluster of everything: priorities, localities, subsets, slow start, ejections.
func churning(n int) *cluster.Config {
	config := many(n)
	config.Balance, config.Limits = cluster.LeastRequest, wide
	config.Spread.Localities, config.SlowStart.Window = cluster.LocalityWeighted, time.Second
	config.PanicThreshold = 50
	config.Subsets = &cluster.Subsets{Selectors: []cluster.SubsetSelector{{Keys: []string{"v"}}}, Fallback: cluster.FallbackAny, PanicAny: true}
	o := outlier.Defaults()
	o.BaseEjectionTime, o.MaxEjectionTime, o.MaxEjectionPercent = time.Millisecond, 5*time.Millisecond, 100
	config.Outlier = &o
	for i := range config.Endpoints {
		e := &config.Endpoints[i]
		e.Priority, e.Locality.Zone, e.LocalityWeight = i%2, fmt.Sprint(i%3), 1
		e.Labels = []cluster.Label{{Key: "v", Value: fmt.Sprint(i % 5)}}
	}
	return config
}

// Two workers pick while endpoints are ejected and come back, and while configurations with other endpoints
// take the place of others. Whatever a worker picks is of the host set that it knows.
func TestPicksWhileEverythingChanges(t *testing.T) {
	runtime := cluster.NewRuntime(slog.New(slog.DiscardHandler), nil)
	defer runtime.Close()
	current := cluster.New(churning(300))
	current.Start(runtime)
	places := []*place{newPlace(t, current), newPlace(t, current)}
	random := rand.New(rand.NewPCG(7, 8))
	matches := make([]*Pick, 6)
	for i := range matches {
		matches[i] = &Pick{Match: &cluster.Match{Labels: []cluster.Label{{Key: "v", Value: fmt.Sprint(i)}}}}
	}
	for round := range 40 {
		for _, p := range places {
			p.loop.Do(func() {
				c := p.up.Cluster(0)
				for range 50 {
					c.refresh()
					i := random.IntN(len(matches))
					var tried []*cluster.Endpoint
					for range 3 {
						chosen, err := c.pick(nil, matches[i], tried)
						if err != nil {
							break
						}
						e := chosen.endpoint
						tried = append(tried, e)
						if c.pools[e.ID] != chosen || c.hosts.Find(e.Address()) != e {
							t.Errorf("round %d: %v is not of the host set", round, e)
						}
						if v := e.Config().Labels[0].Value; i < 5 && v != fmt.Sprint(i) {
							t.Errorf("round %d: %v of subset %s was picked for %d", round, e, v, i)
						}
						if random.IntN(4) == 0 {
							chosen.watcher().ConnectFailed(true)
						}
					}
				}
			})
		}
		if round%8 == 7 {
			next := cluster.New(churning(200 + random.IntN(200)))
			next.Inherit(current)
			for _, p := range places {
				p.loop.Do(func() { p.up.Adopt([]*cluster.Cluster{next}) })
				p.shared[0] = next
			}
			next.Start(runtime)
			current = next
		}
	}
	current.Close()
}
