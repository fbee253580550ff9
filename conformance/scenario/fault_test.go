package scenario

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A fault is what is wrong with a pod for a while.
type fault struct {
	kind  string        // of faultKinds
	delay time.Duration // of "slow"
	over  chan struct{} // closed when it ends
	deaf  []io.Closer   // of "deaf": what keeps connections from being made
}

// faultKinds are what can be wrong: connections are cut, and new ones refused, or,
// as by a machine that is off, not even refused; requests are never answered; are
// answered by a reset; by a 503; or late.
var faultKinds = [...]string{"dead", "deaf", "hang", "reset", "error", "slow"}

// before does to a request what is wrong, and reports whether it is answered
// nevertheless. The request has begun: who repeats it has it done twice.
func (f *fault) before(w http.ResponseWriter, r *http.Request) bool {
	switch f.kind {
	case "hang":
		io.Copy(io.Discard, r.Body) // then the end of the connection is noticed
		select {
		case <-f.over:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case "reset":
		if r.ProtoMajor == 1 {
			if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
				return false
			}
		}
		panic(http.ErrAbortHandler) // a reset of the stream
	case "error":
		http.Error(w, "out of order", http.StatusServiceUnavailable)
		return false
	case "slow":
		select {
		case <-time.After(f.delay):
		case <-r.Context().Done():
		}
	}
	return true
}

// chaos has something wrong with some of the pods all the time.
type chaos struct {
	pods   []*pod
	random *rand.Rand
	most   int // pods with a fault at once
	begun  map[string]int
	ends   map[*pod]time.Time
}

func newChaos(pods []*pod, most int, seed uint64) *chaos {
	return &chaos{pods: pods, random: rand.New(rand.NewPCG(seed, seed)), most: most, begun: map[string]int{}, ends: map[*pod]time.Time{}}
}

// run goes on until stop is closed, and then lets everything be well.
func (c *chaos) run(stop <-chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			for p := range c.ends {
				c.heal(p)
			}
			return
		case now := <-tick.C:
			for p, end := range c.ends {
				if now.After(end) {
					c.heal(p)
				}
			}
			if p := c.pods[c.random.IntN(len(c.pods))]; len(c.ends) < c.most && c.ends[p].IsZero() {
				c.hurt(p)
			}
		}
	}
}

// hurt begins a fault, of 100 ms to 2 s.
func (c *chaos) hurt(p *pod) {
	f := &fault{kind: faultKinds[c.random.IntN(len(faultKinds))], over: make(chan struct{})}
	f.delay = time.Duration(50+c.random.IntN(950)) * time.Millisecond
	c.ends[p] = time.Now().Add(time.Duration(100+c.random.IntN(1900)) * time.Millisecond)
	c.begun[f.kind]++
	p.fault.Store(f)
	switch f.kind {
	case "dead":
		p.stop()
	case "deaf":
		p.stop()
		f.deaf = deafen(p.at)
	}
}

// deafen has connections to an address neither made nor refused, until what it
// returns is closed: somebody listens, accepts none, and the queue is full.
func deafen(at string) []io.Closer {
	to := netip.MustParseAddrPort(at)
	address := &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1))
	}
	if err = errors.Join(err, unix.Bind(fd, address), unix.Listen(fd, 0)); err != nil {
		panic(err) // the address is the pod's
	}
	all := []io.Closer{os.NewFile(uintptr(fd), "deaf")}
	for range 4 { // one or two are taken into the queue
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			panic(err)
		}
		unix.Connect(fd, address)
		all = append(all, os.NewFile(uintptr(fd), "in the queue"))
	}
	return all
}

// heal ends a pod's fault.
func (c *chaos) heal(p *pod) {
	f := p.fault.Swap(nil)
	close(f.over)
	for _, c := range f.deaf {
		c.Close()
	}
	if f.kind == "dead" || f.kind == "deaf" {
		if err := p.start(); err != nil {
			panic(err) // the address is the pod's
		}
	}
	delete(c.ends, p)
}
