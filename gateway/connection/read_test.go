package connection

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"longmen/gateway/worker"
)

// Several connections share Scratch; whatever is read, kept and consumed in
// whatever order, each sees its own bytes in their order.
func TestReadsOfManyConnectionsInAnyOrder(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := startLoop(t)
			rnd := rand.New(rand.NewPCG(seed, 2))
			type side struct {
				*recorder
				peer           int
				sent, consumed int
			}
			var all []*side
			for range 3 {
				c, peer := socketpair(t, l)
				all = append(all, &side{recorder: c, peer: peer})
			}
			sizes := []int{1, 7, 100, 2000, 5000, 40000}
			size := func() int { return 1 + rnd.IntN(sizes[rnd.IntN(len(sizes))]) }
			step := func(s *side) {
				switch rnd.IntN(5) {
				case 0:
					n, e := worker.Write(s.peer, text(s.sent, size()))
					if e == 0 {
						s.sent += n
					}
				case 1, 2:
					before, limit := s.Buffered(), size()
					err := s.Fill(limit)
					switch {
					case err == nil:
						if got := s.Buffered() - before; got < 1 || got > limit {
							t.Errorf("Fill(%d) added %d bytes", limit, got)
						}
					case err == ErrWait:
						if s.Buffered() != before {
							t.Error("Fill changed what is there and said ErrWait")
						}
					default:
						t.Error(err)
					}
				case 3:
					if n := s.Buffered(); n > 0 {
						k := rnd.IntN(n + 1)
						s.Consume(k)
						s.consumed += k
					}
				case 4:
					s.Evict()
					s.Evict()
				}
				for _, o := range all {
					if got, want := o.Bytes(), text(o.consumed, o.Buffered()); !bytes.Equal(got, want) {
						t.Fatalf("a connection's bytes at %d are not what was sent (%d bytes)", o.consumed, len(got))
					}
				}
			}
			for range 700 {
				l.Do(func() {
					for range 1 + rnd.IntN(4) {
						step(all[rnd.IntN(len(all))])
					}
				})
			}
			for _, s := range all {
				until(t, l, "all bytes came", func() bool {
					for s.Fill(1<<20) == nil {
					}
					if !bytes.Equal(s.Bytes(), text(s.consumed, s.Buffered())) {
						t.Error("wrong bytes")
					}
					n := s.Buffered()
					s.Consume(n)
					s.consumed += n
					return s.consumed == s.sent
				})
				if s.sent == 0 {
					t.Error("nothing was sent")
				}
				l.Do(func() {
					s.Close()
					unix.Close(s.peer)
				})
			}
		})
	}
}

func TestIdleConnectionHoldsNoBuffer(t *testing.T) {
	l := startLoop(t)
	c, peer := socketpair(t, l)
	other, otherPeer := socketpair(t, l)
	defer unix.Close(peer)
	defer unix.Close(otherPeer)
	worker.Write(peer, []byte("hello"))
	worker.Write(otherPeer, []byte("world"))
	l.Do(func() {
		if c.Fill(100) != nil || other.Fill(100) != nil {
			t.Error("nothing to read")
		}
		if n, _ := l.Buffers.Lent(); n != 1 {
			t.Errorf("%d buffers lent, want the one of the connection that gave way", n)
		}
		if string(c.Bytes()) != "hello" || string(other.Bytes()) != "world" {
			t.Errorf("%q and %q", c.Bytes(), other.Bytes())
		}
		c.Consume(5)
		other.Consume(5)
		c.Write([]byte("answer"))
		c.Flush()
		if n, _ := l.Buffers.Lent(); n != 0 {
			t.Errorf("%d buffers lent by idle connections", n)
		}
		if err := c.Fill(100); err != ErrWait {
			t.Error(err)
		}
		if c.MayRead() {
			t.Error("MayRead after ErrWait")
		}
	})
}

func TestEndAfterBytes(t *testing.T) {
	l := startLoop(t)
	c, peer := tcp(t, l)
	peer.Write([]byte("last words"))
	peer.CloseWrite()
	until(t, l, "the peer closed", func() bool { return c.PeerClosed() })
	l.Do(func() {
		if err := c.Fill(4); err != nil || string(c.Bytes()) != "last" {
			t.Errorf("%v, %q", err, c.Bytes())
		}
		if err := c.Fill(100); err != nil || string(c.Bytes()) != "last words" {
			t.Errorf("%v, %q", err, c.Bytes())
		}
		for range 3 {
			if err := c.Fill(100); err != io.EOF {
				t.Errorf("%v, want an end", err)
			}
		}
		if string(c.Bytes()) != "last words" || c.Err() != nil || !c.IsOpen() {
			t.Errorf("%q, %v", c.Bytes(), c.Err())
		}
		c.Write([]byte("still heard"))
		c.Finish()
	})
	if p, err := io.ReadAll(peer); string(p) != "still heard" || err != nil {
		t.Errorf("the peer read %q, %v", p, err)
	}
}

// A reset is never taken for the peer's end, whichever way it is learned of.
func TestResetIsNoEnd(t *testing.T) {
	for _, withBytes := range []bool{false, true} {
		l := startLoop(t)
		c, peer := tcp(t, l)
		if withBytes {
			peer.Write([]byte("bytes"))
			until(t, l, "bytes came", func() bool { return len(c.told) > 0 && c.Fill(100) == nil })
		}
		peer.SetLinger(0)
		peer.Close()
		until(t, l, "the reset was noted", func() bool { return c.Err() != nil })
		l.Do(func() {
			if err := c.Err(); !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("Err is %v", err)
			}
			for range 3 {
				if err := c.Fill(100); !errors.Is(err, unix.ECONNRESET) {
					t.Errorf("Fill: %v", err)
				}
			}
		})
	}
}

// The reset is found by reading, before its event.
func TestResetFoundByReading(t *testing.T) {
	l := startLoop(t)
	c, peer := tcp(t, l)
	l.Do(func() {
		peer.SetLinger(0)
		peer.Close()
		var err error
		for c.MayRead() {
			err = c.Fill(100)
			if err == ErrWait {
				return // the event will tell
			}
		}
		if !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("Fill: %v", err)
		}
	})
	until(t, l, "the reset was noted", func() bool { return errors.Is(c.Err(), unix.ECONNRESET) })
}

func TestClosedConnection(t *testing.T) {
	l := startLoop(t)
	c, peer := socketpair(t, l)
	defer unix.Close(peer)
	worker.Write(peer, []byte("unread"))
	l.Do(func() {
		if c.FD() < 0 || c.Loop() != l || c.Err() != nil {
			t.Error("an open connection does not look like one")
		}
		c.Fill(3)
		c.Evict()
		c.Write([]byte("unsent"))
		c.Close()
		c.Close()
		if c.IsOpen() || c.FD() != -1 || c.Err() != ErrClosed || c.Buffered() != 0 || c.Pending() != 0 {
			t.Error("a closed connection does not look like one")
		}
		if err := c.Fill(10); err != ErrClosed {
			t.Error(err)
		}
		c.Consume(0)
		c.Write([]byte("dropped"))
		c.Write(make([]byte, 100<<10))
		c.Commit(append(c.Reserve(10), "dropped"...))
		c.Finish()
		c.CloseAfterWrite()
		c.Reset()
	})
	l.Do(func() {})
	l.Do(func() {
		for _, ev := range c.told {
			if ev == 0 {
				t.Error("an owner that closed was told of its close")
			}
		}
		if l.ScratchOwner != nil {
			t.Error("a closed connection holds Scratch")
		}
	})
}

func TestDial(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := loopback(listener.Addr())
	dial := func(t *testing.T, before func(c *recorder)) (*worker.Loop, *recorder) {
		l := startLoop(t)
		c := &recorder{}
		t.Cleanup(func() { l.Do(c.Close) })
		l.Do(func() {
			fd := tcpSocket(t)
			if err := unix.Connect(fd, to); err != unix.EINPROGRESS && err != nil && err != unix.ECONNREFUSED {
				t.Error(err)
			}
			if err := c.Dial(l, fd, c); err != nil {
				t.Error(err)
			}
			if c.Connected() {
				t.Error("connected before the loop was told")
			}
			if before != nil {
				before(c)
			}
		})
		return l, c
	}
	t.Run("connected", func(t *testing.T) {
		big := text(0, 100<<10)
		l, c := dial(t, func(c *recorder) {
			c.Write([]byte("early "))
			c.Write(big)
		})
		peer, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		until(t, l, "connected", func() bool { return c.Connected() })
		l.Do(c.Finish)
		if p, err := io.ReadAll(peer); err != nil || string(p) != "early "+string(big) {
			t.Errorf("the peer read %d bytes, %v", len(p), err)
		}
	})
	listener.Close()
	t.Run("refused", func(t *testing.T) {
		l, c := dial(t, func(c *recorder) { c.Write([]byte("never sent")) })
		until(t, l, "refused", func() bool { return c.Err() != nil })
		l.Do(func() {
			if !errors.Is(c.Err(), unix.ECONNREFUSED) || c.Connected() || len(c.told) == 0 {
				t.Errorf("%v, told %v", c.Err(), c.told)
			}
			if err := c.Fill(10); !errors.Is(err, unix.ECONNREFUSED) {
				t.Error(err)
			}
		})
	})
}
