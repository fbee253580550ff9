package record

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// FuzzSessionOpen reads its input as a choice of suite and side, and records: type, flags,
// length, payload. They are sealed as the peer would, or are raw bytes, and come in pieces of
// any size. Whatever they are, the session ends in an alert or goes on, within bounds.
func FuzzSessionOpen(f *testing.F) {
	f.Add([]byte{0, 7, 23, 0, 4, 'd', 'a', 't', 'a', 22, 2, 5, 24, 0, 0, 1, 1, 23, 0, 1, 'x', 21, 0, 2, 1, 0})
	f.Add([]byte{0x80, 100, 22, 0, 7, 4, 0, 0, 3, 't', 't', 't', 23, 0, 0, 23, 0, 1, 'x'})
	f.Add([]byte{0x8c, 1, 22, 0, 4, 0, 0, 0, 0, 21, 0, 2, 1, 100})
	f.Add([]byte{15, 33, 22, 0, 2, 1, 0, 22, 0, 3, 0, 1, 9, 23, 1, 9, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) < 2 {
			return
		}
		s := suites[int(in[0]&0x7f)%len(suites)]
		session, peer := sessionsOf(t, s)
		if in[0] < 0x80 {
			session, peer = peer, session
		}
		tickets := 0
		session.OnTicket(func([]byte) { tickets++ })
		piece := int(in[1]) + 1
		var stream []byte
		for in = in[2:]; len(in) >= 3; {
			typ, flags, n := in[0], in[1], min(int(in[2]), len(in)-3)
			payload := in[3 : 3+n]
			in = in[3+n:]
			switch {
			case flags&1 != 0:
				stream = append(stream, payload...)
			default:
				stream = peer.out.Seal(stream, typ, payload)
			}
			if flags&2 != 0 && s.version == VersionTLS13 {
				peer.out.update()
			}
		}
		drive(t, session, stream, piece)
	})
}

// drive feeds a session and checks what it promises.
func drive(t *testing.T, s *Session, stream []byte, piece int) {
	var buf []byte
	got := 0
	for len(stream) > 0 {
		n := min(piece, len(stream))
		buf, stream = append(buf, stream[:n]...), stream[n:]
		plain, used, err := s.Open(buf)
		if used > len(buf) || len(plain) > used {
			t.Fatalf("%d bytes used of %d, %d opened", used, len(buf), len(plain))
		}
		got += len(plain)
		buf = buf[used:]
		if cap(s.hand) > 2*maxTicketMessage || len(buf) > MaxSize && err == nil {
			t.Fatalf("%d bytes of a message and %d of a record are kept", len(s.hand), len(buf))
		}
		if err != nil {
			if _, ok := errors.AsType[*AlertError](err); !ok && err != io.EOF {
				t.Fatalf("%v", err)
			}
			s.AppendReply(nil)
			return
		}
		if s.HasReply() && len(s.AppendReply(nil)) == 0 || s.HasReply() {
			t.Fatal("a reply that is none, or is due again")
		}
	}
	state, err := s.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := RestoreSession(state); err != nil {
		t.Fatalf("its state is refused: %v", err)
	}
}

// FuzzRestoreSession: what is taken is what AppendBinary writes, and works.
func FuzzRestoreSession(f *testing.F) {
	for _, i := range []int{0, 2, 4, 10, 13, 15} {
		client, server := sessionsOf(f, suites[i])
		for _, s := range []*Session{client, server} {
			state, err := s.AppendBinary(nil)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(state, []byte{23, 3, 3, 0, 20})
		}
	}
	f.Fuzz(func(t *testing.T, state, input []byte) {
		s, err := RestoreSession(state)
		if err != nil {
			return
		}
		second, err := s.AppendBinary(nil)
		if err != nil || !bytes.Equal(second, state) {
			t.Fatalf("%x\nwas restored from %x, %v", second, state, err)
		}
		said := s.SealedSize(100)
		if n := len(s.Seal(nil, make([]byte, 100))); n > said {
			t.Fatalf("sealed %d, said %d", n, said)
		}
		drive(t, s, input, len(input)/2+1)
	})
}
