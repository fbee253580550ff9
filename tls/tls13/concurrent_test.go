package tls13

import (
	"sync"
	"testing"
)

// TestConcurrent runs handshakes at once that share their configs, tickets and sessions.
func TestConcurrent(t *testing.T) {
	p := newPair(t).mutual(t)
	p.server.Tickets, p.client.Sessions = &plainTickets{}, NewSessions(4)
	p.server.KeyLog = &secretLog{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 4 {
				client, server := p.shake(t)
				if client.err != nil || server.err != nil {
					t.Errorf("client: %v, server: %v", client.err, server.err)
					return
				}
				server.write(t, "a word")
				client.read(t, len("a word"))
			}
		})
	}
	all.Wait()
}

// BenchmarkHandshake is both sides of a handshake.
func BenchmarkHandshake(b *testing.B) {
	for _, resumed := range []bool{false, true} {
		name := "full"
		if resumed {
			name = "resumed"
		}
		b.Run(name, func(b *testing.B) {
			p := newPair(b)
			if resumed {
				p.server.Tickets, p.client.Sessions = &plainTickets{}, NewSessions(1)
				p.mustShake(b)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, server := p.mustShake(b); server.Resumed != resumed {
					b.Fatalf("resumed %v", server.Resumed)
				}
			}
		})
	}
}
