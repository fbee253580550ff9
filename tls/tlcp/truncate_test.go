package tlcp

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"

	"longmen/tls/handshake"
)

// A cutter shortens what one side of a handshake writes. Our handshakes write whole records
// with one message each.
type cutter struct {
	net.Conn
	record int // which record is cut
	keep   int // bytes kept: of the message's body, or of the record if stop
	stop   bool

	written int   // records so far
	sizes   []int // of what can be kept of each record
	ended   bool
	cut     bool
}

func (c *cutter) Write(p []byte) (int, error) {
	n := len(p)
	var out []byte
	for len(p) > 0 {
		record := p[:5+int(binary.BigEndian.Uint16(p[3:]))]
		p = p[len(record):]
		out = append(out, c.pass(record)...)
		if c.ended {
			break
		}
	}
	if _, err := c.Conn.Write(out); err != nil {
		return 0, err
	}
	if c.ended {
		return n, c.Conn.(*net.UnixConn).CloseWrite()
	}
	return n, nil
}

func (c *cutter) pass(record []byte) []byte {
	index := c.written
	c.written++
	if c.stop {
		c.sizes = append(c.sizes, len(record))
		if index == c.record && c.keep < len(record) {
			c.ended, c.cut = true, true
			return record[:c.keep]
		}
		return record
	}
	plainMessage := record[0] == 22 && !slices.Contains(c.sizes, -1)
	switch {
	case record[0] == 20:
		c.sizes = append(c.sizes, -1) // what follows is protected
		return record
	case !plainMessage:
		c.sizes = append(c.sizes, 0)
		return record
	}
	c.sizes = append(c.sizes, len(record)-9)
	if index != c.record || c.keep >= len(record)-9 {
		return record
	}
	c.cut = true
	short := slices.Clone(record[:9+c.keep])
	binary.BigEndian.PutUint16(short[3:], uint16(4+c.keep))
	short[6], short[7], short[8] = 0, byte(c.keep>>8), byte(c.keep)
	return short
}

// cutOnce runs a handshake of which one side's writing is cut.
func cutOnce(t testing.TB, server *ServerConfig, client *ClientConfig, bySide string, c *cutter) outcome {
	t.Helper()
	var o outcome
	clientEnd, serverEnd := socketPair(t)
	defer clientEnd.Close()
	defer serverEnd.Close()
	o.clientEnd, o.serverEnd = clientEnd, serverEnd
	if bySide == "client" {
		c.Conn, o.clientEnd = clientEnd, c
	} else {
		c.Conn, o.serverEnd = serverEnd, c
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if o.server, o.serverErr = Server(o.serverEnd, server); o.serverErr != nil {
			serverEnd.Close()
		}
	}()
	if o.client, o.clientErr = Client(o.clientEnd, client); o.clientErr != nil {
		clientEnd.Close()
	}
	<-done
	return o
}

// Every message cut short at every byte of its body, its lengths put right: the peer says
// what is wrong by an alert. Every record cut at every byte and followed by nothing: the
// peer ends too. Nothing hangs, and nothing is an internal error.
func TestTruncation(t *testing.T) {
	for _, suite := range []uint16{ECC_SM4_GCM_SM3, ECDHE_SM4_CBC_SM3} {
		for _, side := range []string{"client", "server"} {
			for _, stop := range []bool{false, true} {
				if stop && suite == ECC_SM4_GCM_SM3 {
					continue // the other suite's flights have all that this one's have
				}
				name := SuiteName(suite) + " " + side + " message"
				if stop {
					name = SuiteName(suite) + " " + side + " record"
				}
				t.Run(name, func(t *testing.T) {
					server, client := configs(t)
					server.ClientAuth, client.Certificate, client.Suites = ClientAuthRequire, pki(t).client, []uint16{suite}
					server.Protocols, client.Protocols = []string{"h2"}, []string{"h2"}
					whole := &cutter{record: -1, stop: stop}
					if o := cutOnce(t, server, client, side, whole); o.clientErr != nil || o.serverErr != nil {
						t.Fatal(o.clientErr, o.serverErr)
					}
					cuts := 0
					for record, size := range whole.sizes {
						for keep := range size {
							cuts++
							c := &cutter{record: record, keep: keep, stop: stop}
							o := cutOnce(t, server, client, side, c)
							if c.cut { // signatures and ciphertexts are not always as long
								checkCut(t, o, side, c)
							}
						}
					}
					if cuts < 500 {
						t.Errorf("%d cuts", cuts)
					}
				})
			}
		}
	}
}

func checkCut(t *testing.T, o outcome, side string, c *cutter) {
	t.Helper()
	peer, cutting := o.serverErr, o.clientErr
	if side == "server" {
		peer, cutting = cutting, peer
	}
	if errors.Is(peer, os.ErrDeadlineExceeded) || errors.Is(cutting, os.ErrDeadlineExceeded) {
		t.Fatalf("record %d cut to %d bytes: it hung", c.record, c.keep)
	}
	if c.stop {
		if peer != io.EOF && peer != io.ErrUnexpectedEOF {
			t.Errorf("record %d cut to %d bytes: %v", c.record, c.keep, peer)
		}
		return
	}
	// A hello without its extensions is a good one: who sent it hears of it at the end.
	if e, ok := errors.AsType[*handshake.Error](peer); ok && e.Received {
		peer = cutting
	}
	e, ok := errors.AsType[*handshake.Error](peer)
	if !ok || e.Received || !e.Sent || e.Alert == handshake.InternalError {
		t.Errorf("record %d cut to %d bytes: %v", c.record, c.keep, peer)
	}
}
