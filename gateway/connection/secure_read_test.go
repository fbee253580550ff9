package connection

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"longmen/gateway/worker"
	"longmen/tls/record"
)

// Several connections decrypt in one Scratch; whatever comes in whatever pieces,
// is read, kept and consumed in whatever order, each sees its own bytes.
func TestSecureReadsOfManyConnectionsInAnyOrder(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := startLoop(t)
			rnd := rand.New(rand.NewPCG(seed, 7))
			type side struct {
				*recorder
				*peer          // nil: plain
				fd             int
				sealed         []byte // and not written yet
				sent, consumed int
			}
			var all []*side
			for _, version := range []uint16{record.VersionTLS13, record.VersionTLS12, record.VersionTLS13} {
				c, p := secured(t, l, version)
				all = append(all, &side{recorder: c, peer: p, fd: p.fd})
			}
			c, fd := socketpair(t, l)
			defer unix.Close(fd)
			all = append(all, &side{recorder: c, fd: fd})
			sizes := []int{1, 7, 100, 2000, 17000, 40000}
			size := func() int { return 1 + rnd.IntN(sizes[rnd.IntN(len(sizes))]) }
			write := func(s *side, n int) {
				n, e := worker.Write(s.fd, s.sealed[:min(n, len(s.sealed))])
				if e == 0 {
					s.sealed = s.sealed[n:]
				}
			}
			step := func(s *side) {
				switch rnd.IntN(6) {
				case 0:
					if len(s.sealed) > 100_000 {
						return
					}
					p := text(s.sent, size())
					s.sent += len(p)
					if s.peer == nil {
						s.sealed = append(s.sealed, p...)
					} else {
						s.sealed = s.peer.Seal(s.sealed, p)
					}
				case 1:
					write(s, size())
				case 2, 3:
					before := s.Buffered()
					switch err := s.Fill(size()); err {
					case nil:
						if s.Buffered() <= before {
							t.Error("Fill added nothing and said nothing")
						}
					case ErrWait:
						if s.Buffered() != before {
							t.Error("Fill changed what is there and said ErrWait")
						}
					default:
						t.Error(err)
					}
				case 4:
					if n := s.Buffered(); n > 0 {
						k := rnd.IntN(n + 1)
						s.Consume(k)
						s.consumed += k
					}
				case 5:
					s.Evict()
					if rnd.IntN(4) == 0 {
						s.Rest()
					}
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
					write(s, len(s.sealed))
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
			}
			l.Do(func() {
				if n, _ := l.Buffers.Lent(); n != 0 {
					t.Errorf("%d buffers lent by idle connections", n)
				}
			})
		})
	}
}

// Wherever the records of a stream are cut, what is whole is read, a part is no
// event, and only the peer's close_notify is the end.
func TestSecureCutAtEveryByte(t *testing.T) {
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t)
			var raw []byte
			var ends, sums []int // of the records, and of the bytes in them
			_, sealer := sessions(t, version)
			sum := 0
			for _, n := range []int{1, 40, 1, 20} {
				raw = sealer.Seal(raw, text(sum, n))
				sum += n
				ends, sums = append(ends, len(raw)), append(sums, sum)
			}
			raw = sealer.AppendClose(raw)
			for cut := range len(raw) + 1 {
				c, p := secured(t, l, version)
				p.sends(t, raw[:cut])
				whole, _ := slices.BinarySearch(ends, cut+1)
				want := 0
				if whole > 0 {
					want = sums[whole-1]
				}
				until(t, l, "the whole records came", func() bool { c.Fill(100); return c.Buffered() == want })
				unix.Shutdown(p.fd, unix.SHUT_WR)
				until(t, l, "the end came", func() bool {
					err := c.Fill(100)
					if err == ErrWait {
						return false
					}
					expected := io.ErrUnexpectedEOF
					if cut == len(raw) {
						expected = io.EOF
					}
					if err != expected || c.Fill(100) != expected || c.Err() != nil {
						t.Errorf("cut at %d: %v, %v", cut, err, c.Err())
					}
					if !bytes.Equal(c.Bytes(), text(0, want)) {
						t.Errorf("cut at %d: %d bytes", cut, c.Buffered())
					}
					return true
				})
				l.Do(c.Close)
			}
		})
	}
}

// A record that is not authentic ends the connection: what was before it is
// read, the peer is told, and nothing more is sent.
func TestSecureBadRecord(t *testing.T) {
	for name, version := range versions {
		for _, written := range []bool{false, true} {
			t.Run(fmt.Sprint(name, written), func(t *testing.T) {
				l := startLoop(t)
				c, p := secured(t, l, version)
				raw := p.Seal(nil, []byte("good"))
				good := len(raw)
				raw = p.Seal(raw, []byte("bad!"))
				raw[good+10] ^= 1
				p.sends(t, raw)
				until(t, l, "what is good came", func() bool {
					if written {
						c.Write([]byte("never seen"))
					}
					return c.Fill(100) == nil
				})
				l.Do(func() {
					if string(c.Bytes()) != "good" || !c.MayRead() {
						t.Errorf("%q, MayRead %v", c.Bytes(), c.MayRead())
					}
					var alert *record.AlertError
					if err := c.Fill(100); !errors.As(err, &alert) || alert.Alert != 20 || c.Err() != err {
						t.Errorf("%v, %v", err, c.Err())
					}
					c.Write([]byte("dropped"))
					c.Write(make([]byte, 2*DirectWrite))
					if n := c.Pending(); n != 0 {
						t.Errorf("%d bytes wait", n)
					}
					c.Close()
				})
				if got, _, err := p.reads(t); len(got) > 0 && !written || !isAlert(err, 20) {
					t.Errorf("the peer read %q, %v", got, err)
				}
			})
		}
	}
}

func isAlert(err error, alert uint8) bool {
	var e *record.AlertError
	return errors.As(err, &e) && e.Received && e.Alert == alert
}

// What the session is told on an idle connection does not end its use; data, and
// an end, do.
func TestSettle(t *testing.T) {
	for name, test := range map[string]struct {
		sends func(*peer) []byte
		want  bool
	}{
		"nothing":       {func(p *peer) []byte { return nil }, true},
		"a key update":  {func(p *peer) []byte { raw, _ := p.keyUpdates(t, 1); return raw }, true},
		"half a record": {func(p *peer) []byte { raw, _ := p.keyUpdates(t, 1); return raw[:10] }, true},
		"data":          {func(p *peer) []byte { return p.Seal(nil, []byte("data")) }, false},
		"close_notify":  {func(p *peer) []byte { return p.AppendClose(nil) }, false},
		"garbage":       {func(p *peer) []byte { return make([]byte, 100) }, false},
		"many updates":  {func(p *peer) []byte { raw, _ := p.keyUpdates(t, 33); return raw }, false},
		"update, number": {func(p *peer) []byte {
			raw, h := p.keyUpdates(t, 3)
			return h.Seal(raw, record.TypeApplicationData, []byte("1"))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t)
			c, p := secured(t, l, record.VersionTLS13)
			raw := test.sends(p)
			p.sends(t, raw)
			until(t, l, "it was told", func() bool { return len(raw) == 0 || len(c.told) > 1 || c.MayRead() })
			l.Do(func() {
				if got := c.Settle(); got != test.want {
					t.Errorf("%v: %q, %v", got, c.Bytes(), c.Err())
				}
			})
		})
	}
	l := startLoop(t)
	c, fd := socketpair(t, l)
	defer unix.Close(fd)
	l.Do(func() {
		if c.Settle() {
			t.Error("a plain connection says things unasked")
		}
	})
}

// A peer that changes keys for ever and reads nothing makes no answers pile up.
func TestKeyUpdatesOfAPeerThatDoesNotRead(t *testing.T) {
	l := startLoop(t)
	c, p := secured(t, l, record.VersionTLS13)
	until(t, l, "the socket is full", func() bool {
		c.Write(text(0, 20_000))
		c.Flush()
		return c.Pending() > 0
	})
	before := 0
	l.Do(func() { before = c.Pending() })
	raw, last := p.keyUpdates(t, 30)
	p.sends(t, last.Seal(raw, record.TypeApplicationData, []byte("data")))
	until(t, l, "they were read", func() bool { return c.Fill(100) == nil })
	l.Do(func() {
		c.Flush()
		if n := c.Pending(); n != before || string(c.Bytes()) != "data" {
			t.Errorf("%d bytes wait, %d before; %q", n, before, c.Bytes())
		}
	})
	// When it reads, it gets one answer, although nothing more is written.
	got := 0
	until(t, l, "the answer came", func() bool {
		plain, _, err := p.reads(t)
		if err != nil {
			t.Fatal(err)
		}
		got += len(plain)
		return c.Pending() == 0 && !c.tls.session.HasReply()
	})
	l.Do(func() { c.Write([]byte("!")) })
	until(t, l, "what is under the new key came", func() bool {
		plain, _, err := p.reads(t)
		got += len(plain)
		return err != nil || got%20_000 == 1
	})
}
