package record

import (
	"bytes"
	"io"
	"testing"
)

// A connection goes on from its written state, at any point of its life.
func TestState(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite) {
		client, server := sessionsOf(t, s)
		again := func(s *Session) *Session {
			state, err := s.AppendBinary([]byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			restored, err := RestoreSession(state[6:])
			if err != nil {
				t.Fatal(err)
			}
			second, err := restored.AppendBinary([]byte("before"))
			if err != nil || !bytes.Equal(state, second) {
				t.Fatalf("the state differs: %v", err)
			}
			if restored.client != s.client || restored.Version() != s.Version() || restored.Suite() != s.Suite() {
				t.Fatal("another session")
			}
			clear(state) // it does not keep it
			return restored
		}
		for range 3 {
			client, server = again(client), again(server)
			if got := opened(t, server, client.Seal(nil, []byte("request"))); string(got) != "request" {
				t.Fatalf("%q", got)
			}
			client, server = again(client), again(server)
			if got := opened(t, client, server.Seal(nil, []byte("response"))); string(got) != "response" {
				t.Fatalf("%q", got)
			}
			if s.version == VersionTLS13 {
				opened(t, server, client.sendUpdate(nil, keyUpdateRequested))
				server = again(server)
				if !server.HasReply() {
					t.Fatal("the answer is forgotten")
				}
				opened(t, client, server.AppendReply(nil))
				opened(t, server, client.out.Seal(nil, TypeHandshake, keyUpdate[:2]))
				server = again(server)
				opened(t, server, client.out.Seal(nil, TypeHandshake, keyUpdate[2:]))
				client.out.update()
				continue
			}
			hello := []byte{messageClientHello, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9}
			for _, cut := range []int{2, 7} {
				opened(t, server, client.out.Seal(nil, TypeHandshake, hello[:cut]))
				server = again(server)
				opened(t, server, client.out.Seal(nil, TypeHandshake, hello[cut:]))
				server = again(server)
				if !server.HasReply() {
					t.Fatal("the refusal is forgotten")
				}
				opened(t, client, server.AppendReply(nil))
			}
		}
		last := client.AppendClose(nil)
		if client = again(client); len(client.Seal(nil, []byte("x"))) > 0 {
			t.Fatal("close_notify is forgotten")
		}
		if _, _, err := server.Open(last); err != io.EOF {
			t.Fatal(err)
		}
		if _, err := server.AppendBinary(nil); err != errEnded {
			t.Fatal(err)
		}
	})
}

// What is not a state is refused: every cut, and every field that does not fit.
func TestStateRefused(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite) {
		client, _ := sessionsOf(t, s)
		state, err := client.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		for n := range state {
			if _, err := RestoreSession(state[:n]); err == nil {
				t.Fatalf("cut at %d: taken", n)
			}
		}
		for _, i := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 14, 15} { // not where 0xff is little
			changed := bytes.Clone(state)
			changed[i] = 0xff
			if _, err := RestoreSession(changed); err == nil {
				t.Fatalf("byte %d wrong: taken", i)
			}
		}
		changed := bytes.Clone(state)
		changed[18] = 0x80 // a sequence number beyond the last
		if _, err := RestoreSession(changed); err == nil {
			t.Fatal("an impossible sequence number is taken")
		}
		if _, err := RestoreSession(append(state, 99, 0, 0, 0)); err == nil {
			t.Fatal("a message that may not come is taken")
		}
	})
}
