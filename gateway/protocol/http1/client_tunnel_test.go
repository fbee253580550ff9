package http1

import (
	"io"
	"strings"
	"testing"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

func TestClientTunnel(t *testing.T) {
	e := listen(t)
	const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly"
	for cut := range len(switching) {
		o := e.dial()
		var got strings.Builder
		x := o.begin("GET", func(x *exchange) {
			x.asked, x.s.Request.Upgrade = true, []byte("echo")
			x.tunnel = func(co *worker.Coroutine, tunnel stream.Tunnel) {
				if err := tunnel.Write(co, []byte("from the client")); err != nil {
					t.Error(err)
				}
				for {
					p, err := tunnel.Read(co)
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Error(err)
						break
					}
					got.Write(p)
				}
				// Much, against a peer that is slow to read.
				for range 100 {
					if err := tunnel.Write(co, bigPiece); err != nil {
						t.Error(err)
					}
				}
				if err := tunnel.CloseWrite(co); err != nil {
					t.Error(err)
				}
			}
		})
		if head := o.head(); head != "GET /x HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n" {
			t.Errorf("%q", head)
		}
		io.WriteString(o.peer, switching[:cut])
		e.settle()
		io.WriteString(o.peer, switching[cut:]+" and late")
		o.peer.CloseWrite()
		p, err := io.ReadAll(o.peer)
		if want := len("from the client") + 100*len(bigPiece); err != nil || len(p) != want {
			t.Fatalf("the peer read %d bytes, want %d, %v", len(p), want, err)
		}
		if s := x.wait(); s != "101 length -1 to echo" || got.String() != "early and late" {
			t.Errorf("cut at %d: %s, read %q", cut, s, got.String())
		}
		o.close()
	}
	// Reset.
	o := e.dial()
	x := o.begin("GET", func(x *exchange) {
		x.asked, x.s.Request.Upgrade = true, []byte("echo")
		x.tunnel = func(co *worker.Coroutine, tunnel stream.Tunnel) {
			for {
				if _, err := tunnel.Read(co); err != nil {
					if e := stream.AsError(err); err == io.EOF || e.Flag != stream.UpstreamRemoteReset || e.Phase != stream.PhaseTunnel {
						t.Errorf("read: %v", err)
					}
					tunnel.Close()
					return
				}
			}
		}
	})
	o.head()
	io.WriteString(o.peer, switching)
	e.settle()
	o.peer.SetLinger(0)
	o.peer.Close()
	x.wait()
}

// A tunnel's writer waits while the endpoint takes nothing.
func TestTunnelBackpressure(t *testing.T) {
	e := listen(t)
	o := e.dial()
	const n = 1500
	x := o.begin("GET", func(x *exchange) {
		x.asked, x.s.Request.Upgrade = true, []byte("echo")
		x.tunnel = func(co *worker.Coroutine, tunnel stream.Tunnel) {
			for range n {
				if err := tunnel.Write(co, bigPiece); err != nil {
					t.Error(err)
					return
				}
			}
			if err := tunnel.CloseWrite(co); err != nil {
				t.Error(err)
			}
		}
	})
	o.head()
	io.WriteString(o.peer, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	until(t, e.l, "the writer waits", func() bool { return o.writer != nil && o.Pending() > lowWater })
	e.l.Do(func() {
		if _, lent := e.l.Buffers.Lent(); lent > 256<<10 {
			t.Errorf("%d bytes are held", lent)
		}
	})
	p, err := io.ReadAll(o.peer)
	if err != nil || len(p) != n*len(bigPiece) {
		t.Errorf("%d bytes, %v", len(p), err)
	}
	x.wait()
}
