package connection

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"longmen/gateway/worker"
	"longmen/tls/record"
)

// A peer that takes nothing: what is written waits, in memory that is bounded by
// what is written, and comes whole and in order when the peer reads, with the end.
func TestSecureBackPressure(t *testing.T) {
	for name, version := range versions {
		for _, piece := range []int{1, 1000, DirectWrite, 64 << 10, 300 << 10} {
			t.Run(fmt.Sprint(name, " ", piece), func(t *testing.T) {
				l := startLoop(t)
				c, p := secured(t, l, version)
				sent := 0
				l.Do(func() {
					for c.Pending() < 64<<10 {
						c.Write(text(sent, piece))
						sent += piece
						if piece != 1 || sent%1000 == 0 {
							c.Flush()
						}
					}
					// The pieces that a response's writer gives, below its water mark.
					if n, size := l.Buffers.Lent(); n > 2 || piece <= 64<<10 && size > 256<<10+16<<10 {
						t.Errorf("%d buffers of %d bytes hold %d", n, size, c.Pending())
					}
					c.Finish()
					c.Write([]byte("dropped: it comes after the end"))
				})
				var got []byte
				until(t, l, "the end came", func() bool {
					plain, over, err := p.reads(t)
					got = append(got, plain...)
					if over && err != io.EOF {
						t.Fatalf("the socket ended without close_notify: %v", err)
					}
					return over
				})
				if !bytes.Equal(got, text(0, sent)) {
					t.Errorf("%d bytes came of %d", len(got), sent)
				}
				l.Do(func() {
					if n, _ := l.Buffers.Lent(); n != 0 || !c.Finished() || c.Pending() != 0 {
						t.Errorf("%d buffers lent, finished %v, %d bytes wait", n, c.Finished(), c.Pending())
					}
				})
			})
		}
	}
}

// Every orderly end says close_notify, once; what cuts the connection does not.
func TestSecureEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end      func(c *recorder)
		orderly  bool
		dropping bool // what was written may be lost
	}{
		"finish":                 {func(c *recorder) { c.Finish(); c.Finish() }, true, false},
		"close after write":      {func(c *recorder) { c.CloseAfterWrite() }, true, false},
		"finish, then close":     {func(c *recorder) { c.Finish(); c.Flush(); c.CloseAfterWrite() }, true, false},
		"finish, close, at once": {func(c *recorder) { c.Finish(); c.CloseAfterWrite() }, true, false},
		"part":                   {func(c *recorder) { c.Part() }, true, false},
		"finish, then part":      {func(c *recorder) { c.Finish(); c.Flush(); c.Part() }, true, false},
		"close":                  {func(c *recorder) { c.Close() }, false, true},
		"reset":                  {func(c *recorder) { c.Reset() }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t)
			c, p := secured(t, l, record.VersionTLS13)
			l.Do(func() {
				c.Write([]byte("last words"))
				test.end(c)
				if test.dropping && c.IsOpen() {
					t.Error("open")
				}
			})
			var got []byte
			var last error
			until(t, l, "the end came", func() bool {
				plain, over, err := p.reads(t)
				got, last = append(got, plain...), err
				return over
			})
			if (last == io.EOF) != test.orderly || (string(got) == "last words") == test.dropping {
				t.Errorf("%q, %v", got, last)
			}
			if len(p.buf) > 0 {
				t.Errorf("% x behind the end", p.buf)
			}
		})
	}
}

// The end of a connection that is full waits for the peer; a peer that is gone
// is found out.
func TestSecurePeerGone(t *testing.T) {
	l := startLoop(t)
	c, p := secured(t, l, record.VersionTLS13)
	l.Do(func() {
		for c.Pending() < 100_000 {
			c.Write(text(0, 50_000))
		}
		c.CloseAfterWrite()
		c.Part() // cannot say anything: it only closes
		if c.IsOpen() || c.Err() != ErrClosed {
			t.Errorf("%v", c.Err())
		}
		c.Write([]byte("dropped"))
		c.Commit(append(c.Reserve(10), "dropped"...))
		if err := c.Fill(100); err != ErrClosed {
			t.Error(err)
		}
	})
	p.reads(t)
	c, p = secured(t, l, record.VersionTLS13)
	unix.Shutdown(p.fd, unix.SHUT_RDWR)
	l.Do(func() {
		c.Write([]byte("nobody"))
		c.Flush()
		if c.Err() == nil {
			t.Error("written to nobody")
		}
		c.Write(make([]byte, 2*DirectWrite))
		c.Write([]byte("nobody"))
		if n := c.Pending(); n != 0 {
			t.Errorf("%d bytes wait", n)
		}
		c.Part()
	})
}

// A connection that is taken over keeps what was decrypted, the part of a record,
// what waits to be encrypted, and hears of what comes.
func TestSecureTake(t *testing.T) {
	for _, kept := range []string{"in Scratch", "in a buffer"} {
		l := startLoop(t)
		c, p := secured(t, l, record.VersionTLS13)
		raw := p.Seal(nil, []byte("first "))
		whole := len(raw)
		raw = p.Seal(raw, []byte("second "))
		p.sends(t, raw[:whole+9])
		until(t, l, "a record and a part came", func() bool { return c.Fill(100) == nil })
		next := &recorder{}
		t.Cleanup(func() { l.Do(next.Close) })
		l.Do(func() {
			c.Write([]byte("written before"))
			if kept == "in a buffer" {
				c.Evict()
			}
			next.Take(&c.Conn, next)
			if c.IsOpen() || c.Buffered() > 0 || !next.IsSecure() || string(next.Bytes()) != "first " {
				t.Errorf("%v, %q, %q", c.IsOpen(), c.Bytes(), next.Bytes())
			}
			c.Close() // nothing to it
			if kept == "in Scratch" && l.ScratchOwner != &next.Conn {
				t.Error("Scratch belongs to another")
			}
		})
		told := len(c.told)
		p.sends(t, raw[whole+9:])
		until(t, l, "the rest came", func() bool {
			next.Fill(100)
			return string(next.Bytes()) == "first second "
		})
		var got []byte
		until(t, l, "the answer came", func() bool {
			plain, _, _ := p.reads(t)
			got = append(got, plain...)
			return string(got) == "written before"
		})
		l.Do(func() {
			if len(c.told) != told || len(next.told) == 0 {
				t.Errorf("the former owner heard of %d events, the next of %d", len(c.told)-told, len(next.told))
			}
		})
	}
}

// Records are made and opened without allocations, and an idle connection has no
// buffer.
func TestSecureAllocations(t *testing.T) {
	for name, version := range versions {
		for _, size := range []int{100, 40_000} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				l := startLoop(t)
				c, p := secured(t, l, version)
				out, sealed, room := text(0, size), make([]byte, 0, 2*size+1000), make([]byte, 4*size)
				until(t, l, "the socket is ready", func() bool { return c.state&writable != 0 })
				l.Do(func() {
					trip := func() {
						sealed = p.Seal(sealed[:0], out)
						if n, e := worker.Write(p.fd, sealed); n != len(sealed) {
							t.Errorf("%d, %v", n, e)
						}
						c.state |= readable // the loop, which is here, does not hear of it
						for got := 0; got < size; {
							if err := c.Fill(64 << 10); err != nil {
								t.Fatal(err)
							}
							got += c.Buffered()
							c.Write(c.Bytes())
							c.Consume(c.Buffered())
						}
						c.Flush()
						for back := 0; back < size; {
							n, e := worker.Read(p.fd, room[back:])
							if e != 0 {
								t.Fatal(e)
							}
							back += n
						}
					}
					if n := testing.AllocsPerRun(50, trip); n != 0 {
						t.Errorf("%v allocations", n)
					}
					if n, _ := l.Buffers.Lent(); n != 0 {
						t.Errorf("%d buffers lent", n)
					}
				})
			})
		}
	}
}
