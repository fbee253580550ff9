package listener

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"longmen/gateway/connection"
	"longmen/gateway/telemetry/metrics"
	"longmen/tls/server"
)

// moments are those at which a handshake can be interrupted. Each brings one
// connection there.
var moments = map[string]func(h *hall) net.Conn{
	"nothing is said": func(h *hall) net.Conn {
		c := h.dial()
		h.in(phaseHello, 1)
		return c
	},
	"half a hello": func(h *hall) net.Conn {
		c := h.dial()
		c.Write(helloFor(h, "at-once")[:50])
		h.until("it came", func() bool {
			for g := range h.open {
				return g.Buffered() == 50
			}
			return false
		})
		return c
	},
	"in the queue": func(h *hall) net.Conn {
		h.dial().Write(helloFor(h, "at-once"))
		h.in(phaseHandshake, 1)
		c := h.dial()
		c.Write(helloFor(h, "at-once"))
		h.in(phaseQueued, 1)
		return c
	},
	"the client is awaited": func(h *hall) net.Conn {
		c := h.dial()
		c.Write(helloFor(h, "at-once"))
		h.until("it is awaited", func() bool {
			for g := range h.open {
				return g.waits
			}
			return false
		})
		return c
	},
	"the pool signs":            signs("pool", (*hall).holdPool),
	"the loop is about to sign": signs("burns", (*hall).holdBurn),
	"the pool signs for the loop": func(h *hall) net.Conn {
		h.loop.Do(func() { h.kept = true })
		return signs("burns", (*hall).holdPool)(h)
	},
	"last words": func(h *hall) net.Conn {
		c := h.dial()
		io.WriteString(c, "\x16\x03\x01\x00\x08\x01\x00\x00\x04\x03\x03\x00\x00")
		h.in(phaseLast, 1)
		return c
	},
}

func signs(name string, hold func(h *hall) func()) func(h *hall) net.Conn {
	return func(h *hall) net.Conn {
		h.letGo = hold(h)
		h.Cleanup(h.letGo)
		c := h.dial()
		c.Write(helloFor(h, name))
		h.until("it is to be signed", func() bool {
			for g := range h.open {
				return g.phase == phaseHandshake && g.co != nil && !g.waits
			}
			return false
		})
		return c
	}
}

// Whatever a handshake waits for when the gateway stops, nothing is left of it in
// that very turn: the loop may be ended next.
func TestStopInEveryPhase(t *testing.T) {
	for name, moment := range moments {
		t.Run(name, func(t *testing.T) {
			h := newHall(t, func(c *server.Config) { c.MaxHandshakes = 1 })
			c := moment(h)
			h.loop.Do(h.Close)
			h.loop.Do(func() { h.empty("after the stop") })
			if _, err := io.Copy(io.Discard, c); err != nil && !errors.As(err, new(*net.OpError)) {
				t.Error(err)
			}
		})
	}
}

// A client that goes away leaves nothing, whatever its handshake waits for.
func TestClientGoneInEveryPhase(t *testing.T) {
	for name, moment := range moments {
		for how, leave := range map[string]func(c *net.TCPConn){
			"end":   func(c *net.TCPConn) { c.Close() },
			"half":  func(c *net.TCPConn) { c.CloseWrite() },
			"reset": func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				h := newHall(t, func(c *server.Config) { c.MaxHandshakes = 1 })
				leave(moment(h).(*net.TCPConn))
				if name == "in the queue" {
					h.loop.Do(func() { // its turn comes
						for g := range h.open {
							if g.phase == phaseHandshake {
								g.abort(errTime)
							}
						}
					})
				}
				h.letGo()
				h.until("it is gone", func() bool { return len(h.open) == 0 })
			})
		}
	}
}

// A handshake that takes too long ends in every phase, and counts as that.
func TestTimeInEveryPhase(t *testing.T) {
	for name, moment := range moments {
		t.Run(name, func(t *testing.T) {
			h := newHall(t, func(c *server.Config) { c.MaxHandshakes = 1 })
			moment(h)
			h.loop.Do(func() {
				for g := range h.open {
					h.loop.Arm(&g.timer, 0)
				}
			})
			h.until("it is gone", func() bool { return len(h.open) == 0 })
			h.loop.Do(func() {
				want, got := uint64(1), h.stats.TLS.Failures[metrics.TLSTimeout].Load()
				switch name {
				case "in the queue":
					want = 2
				case "last words":
					want = 0
				}
				if got != want {
					t.Errorf("%d ran out of time, want %d", got, want)
				}
			})
		})
	}
}

// Draining ends who has not begun; the others get their handshake.
func TestTerminatorDrains(t *testing.T) {
	h := newHall(t, nil)
	silent := h.dial()
	h.in(phaseHello, 1)
	hello := helloFor(h, "at-once")
	half := h.dial()
	half.Write(hello[:20])
	h.until("half of it came", func() bool {
		for g := range h.open {
			if g.Buffered() == 20 {
				return true
			}
		}
		return false
	})
	c := h.dial()
	h.until("all are here", func() bool { return len(h.open) == 3 })
	h.loop.Do(h.Drain)
	if _, err := io.ReadAll(silent); err != nil {
		t.Errorf("who said nothing: %v", err)
	}
	c.Close() // it had said nothing either
	h.until("who had begun is left", func() bool { return len(h.open) == 1 })
	go half.Write(hello[20:])
	h.in(phaseHandshake, 1)
}

// A panic ends one handshake and nothing else.
func TestPanicInAHandshake(t *testing.T) {
	h := newHall(t, func(c *server.Config) { c.Domains.Set("at-once.test", nil) })
	h.panics = 1
	c := h.dial()
	c.Write(helloFor(h, "at-once"))
	if _, err := io.ReadAll(c); err != nil {
		t.Error(err)
	}
	h.until("it is gone", func() bool { return len(h.open) == 0 })
	h.loop.Do(func() {
		h.empty("after a panic")
		if n := h.stats.TLS.Failures[metrics.TLSInternal].Load(); n != 1 {
			t.Errorf("%d internal failures", n)
		}
	})
	h.served("burns")
}

// served makes a whole handshake, sends something behind it and finds it with who
// took the connection.
func (h *hall) served(name string) {
	h.Helper()
	before := 0
	h.loop.Do(func() { before = len(h.guests) })
	c := tls.Client(h.dial(), clientFor(name))
	io.WriteString(c, "behind it")
	h.until("it was passed on", func() bool {
		if len(h.guests) == before {
			return false
		}
		g := h.guests[before]
		if err := g.Fill(100); err != nil && err != connection.ErrWait {
			h.Fatal(err)
		}
		return string(g.Bytes()) == "behind it" && g.result != nil && g.IsSecure()
	})
}

func TestEveryWayToSign(t *testing.T) {
	h := newHall(t, nil)
	for range 3 {
		for name := range testKeys() {
			h.served(name)
		}
		h.loop.Do(func() {
			h.empty("after handshakes")
			h.kept = !h.kept
		})
	}
	h.loop.Do(func() {
		if n := len(h.free); n == 0 || n > 3 {
			t.Errorf("%d greetings are kept", n)
		}
	})
}

// Who cannot be taken is closed, and counts once.
func TestTakeRefused(t *testing.T) {
	h := newHall(t, func(c *server.Config) { c.Plain = true })
	h.loop.Do(func() { h.refuses = errors.New("no room") })
	c := tls.Client(h.dial(), clientFor("at-once"))
	io.WriteString(c, "GET")
	io.ReadAll(c)
	plain := h.dial()
	io.WriteString(plain, "GET")
	io.ReadAll(plain)
	h.until("both are gone", func() bool { return len(h.open) == 0 })
}

// More than fit into the queue are turned away at once, and the others have their
// turn, each in its own.
func TestQueueIsBounded(t *testing.T) {
	h := newHall(t, func(c *server.Config) { c.MaxHandshakes = 1 })
	hello := helloFor(h, "at-once")
	h.dial().Write(hello)
	h.in(phaseHandshake, 1)
	var waiting []net.Conn
	for i := range queueFactor {
		c := h.dial()
		c.Write(hello)
		waiting = append(waiting, c)
		h.in(phaseQueued, i+1)
	}
	over := h.dial()
	over.Write(hello)
	if got, _ := io.ReadAll(over); len(got) > 0 {
		t.Errorf("%q", got)
	}
	h.loop.Do(func() {
		if n := h.stats.TLS.Failures[metrics.TLSOverload].Load(); n != 1 {
			t.Errorf("%d turned away", n)
		}
	})
	for _, c := range waiting[1:] { // all but one give up, while they wait
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	h.in(phaseQueued, 1)
	waiting[0].SetReadDeadline(time.Now().Add(patience))
	if n, err := waiting[0].Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("who waited behind a silent client: %v", err)
	}
}

// What is passed through arrives whole, however slowly the hello comes; what is
// plain, too, where it may come.
func TestPassedAsItIs(t *testing.T) {
	h := newHall(t, func(c *server.Config) {
		c.Plain = true
		c.Passthrough.Set("other.test", "elsewhere")
	})
	hello := append(helloFor(h, "other"), "and more"...)
	for _, sent := range [][]byte{hello, []byte("GET / HTTP/1.1\r\n")} {
		c := h.dial()
		c.(*net.TCPConn).SetNoDelay(true)
		before := 0
		h.loop.Do(func() { before = len(h.guests) })
		for i := range sent {
			c.Write(sent[i : i+1])
			h.loop.Do(func() {})
		}
		h.until("it was passed on, with all that came", func() bool {
			if len(h.guests) == before {
				return false
			}
			g := h.guests[before]
			g.Fill(1 << 10)
			return bytes.Equal(g.Bytes(), sent) && !g.IsSecure() && (g.cluster == "other.test to elsewhere" || sent[0] == 'G' && g.cluster == "")
		})
	}
}

// A client that is told off and never stops talking is not listened to for long.
func TestLastWordsAreBounded(t *testing.T) {
	h := newHall(t, nil)
	c := h.dial()
	io.WriteString(c, "\x16\x03\x01\x00\x08\x01\x00\x00\x04\x03\x03\x00\x00")
	got := make([]byte, 7)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "\x15\x03\x03\x00\x02\x02\x32" {
		t.Errorf("%q, %v", got, err)
	}
	for err := error(nil); err == nil; {
		_, err = c.Write(make([]byte, 64<<10))
	}
	h.until("it is gone", func() bool { return len(h.open) == 0 })
}
