package connection

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"longmen/gateway/worker"
)

// Writes of every size, gathered or direct, with and without a peer that
// reads, arrive whole and in order.
func TestWritesArriveInOrder(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := startLoop(t)
			c, peer := tcp(t, l)
			rnd := rand.New(rand.NewPCG(seed, 3))
			sizes := []int{1, 50, 3000, DirectWrite - 1, DirectWrite, 40 << 10, 300 << 10}
			sent := 0
			write := func() {
				n := 1 + rnd.IntN(sizes[rnd.IntN(len(sizes))])
				p := text(sent, n)
				if rnd.IntN(3) == 0 {
					c.Commit(append(c.Reserve(n), p...))
				} else {
					c.Write(p)
				}
				clear(p) // Write keeps nothing of it
				sent += n
				if rnd.IntN(4) == 0 {
					c.Flush()
				}
			}
			read := make(chan []byte)
			if seed%2 == 0 {
				go func() { p, _ := io.ReadAll(peer); read <- p }()
			}
			for sent < 1<<20 {
				l.Do(func() {
					for range 1 + rnd.IntN(3) {
						write()
					}
				})
			}
			l.Do(c.Finish)
			if seed%2 == 1 {
				pending := 0
				l.Do(func() { pending = c.Pending() })
				if pending == 0 {
					t.Error("the socket took everything: no backpressure was tested")
				}
				go func() { p, _ := io.ReadAll(peer); read <- p }()
			}
			got := <-read
			if !bytes.Equal(got, text(0, sent)) {
				t.Errorf("%d bytes were read, %d sent", len(got), sent)
			}
			l.Do(func() {
				if c.Pending() != 0 || !c.Finished() || c.Err() != nil {
					t.Errorf("pending %d, finished %v, %v", c.Pending(), c.Finished(), c.Err())
				}
				if n, _ := l.Buffers.Lent(); n != 0 {
					t.Errorf("%d buffers lent with nothing pending", n)
				}
			})
		})
	}
}

func TestOwnerHearsThatPendingShrank(t *testing.T) {
	l := startLoop(t)
	c, peer := tcp(t, l)
	told := make(chan struct{}, 1)
	l.Do(func() {
		for c.Pending() < 1<<20 {
			c.Write(text(0, 100<<10))
		}
		before := c.Pending()
		c.on = func(ev worker.Events) {
			if ev&worker.Writable != 0 && c.Pending() < before {
				select {
				case told <- struct{}{}:
				default:
				}
			}
		}
	})
	go io.Copy(io.Discard, peer)
	<-told
	l.Do(c.Close)
}

func TestNothingIsWrittenAfterFinish(t *testing.T) {
	l := startLoop(t)
	c, peer := tcp(t, l)
	l.Do(func() {
		c.Write([]byte("before"))
		c.Finish()
		c.Finish()
		c.Write([]byte("after"))
		c.Write(make([]byte, 100<<10))
		c.Commit(append(c.Reserve(5000), "after"...))
	})
	if p, err := io.ReadAll(peer); string(p) != "before" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	peer.Write([]byte("and back"))
	until(t, l, "the way back is open", func() bool { return c.Fill(100) == nil && string(c.Bytes()) == "and back" })
	l.Do(func() {
		c.Write([]byte("after"))
		if !c.Finished() || c.Pending() != 0 {
			t.Errorf("finished %v, pending %d", c.Finished(), c.Pending())
		}
	})
}

// The owner is told once, and only when everything is with the kernel.
func TestCloseAfterWrite(t *testing.T) {
	for _, size := range []int{0, 10, DirectWrite, 3 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			l := startLoop(t)
			c, peer := tcp(t, l)
			closed := 0
			l.Do(func() {
				c.closedReports(func() { closed++ })
				c.Write(text(0, size))
				c.CloseAfterWrite()
				if !c.IsOpen() || closed != 0 {
					t.Error("closed at once")
				}
				c.Write([]byte("dropped"))
			})
			if size > 1<<20 {
				l.Do(func() {
					if !c.IsOpen() || closed != 0 {
						t.Error("closed before everything was sent")
					}
				})
			}
			p, err := io.ReadAll(peer)
			if !bytes.Equal(p, text(0, size)) || err != nil {
				t.Errorf("%d bytes of %d, %v", len(p), size, err)
			}
			until(t, l, "the owner was told", func() bool { return closed > 0 })
			l.Do(func() {})
			l.Do(func() {
				if closed != 1 || c.IsOpen() {
					t.Errorf("told %d times, open %v", closed, c.IsOpen())
				}
			})
		})
	}
}

// A peer that resets while the last bytes go out: the owner hears of the
// failure or of the close, and no buffer stays lent.
func TestCloseAfterWriteToAPeerThatIsGone(t *testing.T) {
	l := startLoop(t)
	c, peer := tcp(t, l)
	closed := 0
	l.Do(func() {
		c.on = func(worker.Events) {
			if c.IsOpen() && c.Err() != nil {
				c.Close()
			}
			if !c.IsOpen() {
				closed++
			}
		}
		c.Write(text(0, 3<<20))
		c.CloseAfterWrite()
	})
	peer.SetLinger(0)
	peer.Close()
	until(t, l, "the connection is closed", func() bool { return closed == 1 && !c.IsOpen() })
	l.Do(func() {})
	if closed != 1 {
		t.Errorf("told %d times", closed)
	}
}

func TestWriteToAPeerThatIsGone(t *testing.T) {
	for _, size := range []int{10, 100 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			l := startLoop(t)
			c, peer := tcp(t, l)
			peer.SetLinger(0)
			peer.Close()
			until(t, l, "an error", func() bool {
				c.Write(text(0, size))
				return c.Err() != nil
			})
			l.Do(func() {
				if err := c.Err(); !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
					t.Error(err)
				}
				c.Write(text(0, size))
				c.Flush()
				if c.Pending() != 0 {
					t.Errorf("%d bytes pend on a failed connection", c.Pending())
				}
			})
			until(t, l, "the owner was told", func() bool { return len(c.told) > 0 })
		})
	}
}

// The peer's end is closed without its bytes read: a write fails at the end of
// the turn, and the owner hears of it then.
func TestFailureInFlushIsTold(t *testing.T) {
	l := startLoop(t)
	c, peer := socketpair(t, l)
	l.Do(func() {
		unix.Close(peer)
		c.Write([]byte("x"))
	})
	until(t, l, "the owner was told", func() bool {
		for _, ev := range c.told {
			if ev&worker.Failed != 0 {
				return errors.Is(c.Err(), unix.EPIPE)
			}
		}
		return false
	})
}

func TestResetIsSeenByThePeer(t *testing.T) {
	l := startLoop(t)
	c, peer := tcp(t, l)
	l.Do(func() {
		c.Write([]byte("lost"))
		c.Reset()
		c.Reset()
	})
	if _, err := io.ReadAll(peer); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the peer saw %v", err)
	}
}

// A connection's struct is used again after it was closed with output pending.
func TestReopenedWhileDirty(t *testing.T) {
	l := startLoop(t)
	c, peer := socketpair(t, l)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(peer)
	defer unix.Close(fds[1])
	l.Do(func() {
		c.Write([]byte("old"))
		c.CloseAfterWrite()
		c.Close()
		if err := c.Open(l, fds[0], c); err != nil {
			t.Error(err)
		}
		c.Write([]byte("new"))
	})
	l.Do(func() {
		var p [10]byte
		if n, _ := worker.Read(fds[1], p[:]); string(p[:max(n, 0)]) != "new" {
			t.Errorf("the new peer read %q", p[:max(n, 0)])
		}
		if !c.IsOpen() || c.Pending() != 0 {
			t.Error("the new connection is not open, or has output pending")
		}
	})
}
