package load

import (
	"context"
	"fmt"
)

// Idle opens cfg.Conns kept connections one after the other, makes one request
// on each, and holds them until ctx ends. Because only one request is ever
// under way, a proxy needs one upstream connection for all of them. held is
// called when all are open. Idle returns how many of them the server has ended
// meanwhile; those were opened again.
func Idle(ctx context.Context, cfg Config, held func()) (lost uint64, err error) {
	cfg.New, cfg.Rate = false, 0
	g, err := newGenerator(cfg)
	if err != nil {
		return 0, err
	}
	defer g.close()
	for i := range g.conns {
		c := &g.conns[i]
		g.clock()
		g.begin(c, g.now)
		for c.state != free {
			if err := g.turn(ctx, scanEvery); err != nil {
				return 0, err
			}
			if g.firstErr != nil {
				return 0, fmt.Errorf("connection %d: %w", i+1, g.firstErr)
			}
		}
		if g.tally.latency.Count() != uint64(i+1) {
			return 0, fmt.Errorf("connection %d: unexpected answer, status %d with %d bytes", i+1, c.answer.Status, c.answer.Size())
		}
	}
	held()
	for ctx.Err() == nil {
		if err := g.turn(ctx, scanEvery); err != nil && ctx.Err() == nil {
			return g.tally.reconnects, err
		}
	}
	return g.tally.reconnects, nil
}
