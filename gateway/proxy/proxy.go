// Package proxy is the last handler: it takes a stream from its route to a
// cluster, an endpoint and back. Edge, before it, is what a listener does to
// every request: canonical path, forwarding headers, the route itself.
package proxy

import (
	"math/rand/v2"

	"longmen/gateway/stream"
	"longmen/gateway/upstream"
	"longmen/gateway/worker"
)

// Proxy forwards the streams of one worker.
type Proxy struct {
	loop     *worker.Loop
	upstream *upstream.Worker
	random   *rand.ChaCha8
	free     []*exchange

	freeFiltered []*filtered
	freeLegs     []*leg

	guard *loopGuard // nil: requests may come round

	// Challenges are answered before there is any route; nil for none.
	Challenges Challenges
}

// New makes a worker's proxy. seed must differ between workers and processes:
// request ids come from it.
func New(l *worker.Loop, up *upstream.Worker, seed [32]byte) *Proxy {
	return &Proxy{loop: l, upstream: up, random: rand.NewChaCha8(seed)}
}

const keepExchanges = 1024

func (p *Proxy) get() *exchange {
	if n := len(p.free); n > 0 {
		x := p.free[n-1]
		p.free = p.free[:n-1]
		return x
	}
	x := &exchange{proxy: p}
	x.deadline.Init((*deadlineTimer)(x))
	x.pause.Init((*pauseTimer)(x))
	x.idle.Init((*idleTimer)(x))
	x.upload.x = x
	return x
}

func (p *Proxy) put(x *exchange) {
	if len(p.free) >= keepExchanges {
		p.loop.Drop(&x.deadline)
		p.loop.Drop(&x.pause)
		p.loop.Drop(&x.idle)
		return
	}
	p.loop.Disarm(&x.deadline)
	p.loop.Disarm(&x.pause)
	p.loop.Disarm(&x.idle)
	x.reset()
	p.free = append(p.free, x)
}

func local(phase stream.Phase, flag stream.Flag, status int, cause error) *stream.Error {
	return &stream.Error{Side: stream.Local, Phase: phase, Flag: flag, Status: status, Cause: cause}
}
