package tls13

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"longmen/tls/handshake"
)

// TestMessagesCut cuts each message of both sides at every byte, its length made to fit, and
// adds a byte to it. The other side says which alert goes with it, and both end.
func TestMessagesCut(t *testing.T) {
	keys := newPair(t).mutual(t)
	for _, server := range []bool{false, true} {
		var sizes []int // of the bodies, in order
		all := func(message []byte) [][]byte { sizes = append(sizes, len(message)-4); return [][]byte{message} }
		if _, other := keys.edits(t, server, all); other.err != nil {
			t.Fatal(other.err)
		}
		for i, size := range sizes {
			for n := range size + 2 {
				at, whole := 0, false
				edited, other := keys.edits(t, server, func(message []byte) [][]byte {
					if at++; at != i+1 {
						return [][]byte{message}
					}
					typ, body := handshake.MessageType(message[0]), message[4:]
					whole = n == len(body) // signatures differ in size
					return [][]byte{withLength(typ, append(bytes.Clone(body), 0, 0, 0)[:n])}
				})
				if whole {
					continue
				}
				e, ok := errors.AsType[*handshake.Error](other.err)
				if !ok || e.Received || !e.Sent {
					t.Fatalf("server %v, message %d at byte %d of %d: %v", server, i, n, size, other.err)
				}
				switch e.Alert {
				case handshake.DecodeError:
				case handshake.ProtocolVersion, handshake.IllegalParameter:
					// A hello may end before its extensions: it is then one of before TLS 1.3.
					if i > 0 {
						t.Fatalf("server %v, message %d at byte %d of %d: %v", server, i, n, size, other.err)
					}
				default:
					t.Fatalf("server %v, message %d at byte %d of %d: %v", server, i, n, size, other.err)
				}
				if server || i == 0 { // later, a client is done before the server has seen what it sent
					wantAlert(t, edited.err, e.Alert, true)
				}
			}
		}
	}
}

// A cutWire ends after so many bytes were written.
type cutWire struct {
	net.Conn
	left int
}

func (c *cutWire) Write(p []byte) (int, error) {
	if len(p) <= c.left {
		c.left -= len(p)
		return c.Conn.Write(p)
	}
	n, _ := c.Conn.Write(p[:c.left])
	c.left = 0
	c.Conn.Close()
	return n, io.ErrClosedPipe
}

// TestWireCut ends the connection after each byte of either side: both sides end with an error
// of the connection, nobody waits, and what is whole is not missed.
func TestWireCut(t *testing.T) {
	p := newPair(t)
	p.server.Tickets, p.client.Sessions = &plainTickets{}, NewSessions(1)
	for _, server := range []bool{false, true} {
		for n, whole := 0, false; !whole; n++ {
			near, far := newWire(t)
			cut := &cutWire{left: n}
			if server {
				cut.Conn, far = far, cut
			} else {
				cut.Conn, near = near, cut
			}
			client, server := p.shakeOver(near, far)
			if errors.Is(client.err, errPatience) || errors.Is(server.err, errPatience) {
				t.Fatalf("cut after %d bytes: client: %v, server: %v", n, client.err, server.err)
			}
			whole = client.err == nil && server.err == nil
			if !whole && server.err == nil && client.err != nil {
				t.Fatalf("cut after %d bytes: the server is content, the client: %v", n, client.err)
			}
			for _, conn := range []net.Conn{near, far} {
				conn.Close()
			}
		}
	}
}
