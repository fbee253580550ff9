// Package hold opens connections of HTTP/2 with many requests on each that are
// never answered, for the memory that a proxy has for them.
package hold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Config says what to hold.
type Config struct {
	Addr    netip.AddrPort
	Host    string
	Path    string
	Conns   int
	Streams int // on each connection
}

// patience bounds the opening of one connection.
const patience = 30 * time.Second

// Hold opens all connections, one after the other, and holds them until ctx
// ends. held is called when the server has taken in all requests. Hold returns
// how many requests the server has ended meanwhile, by whatever means.
func Hold(ctx context.Context, c Config, held func()) (lost int, err error) {
	if c.Conns < 1 || c.Streams < 1 {
		return 0, errors.New("nothing to hold")
	}
	conns := make([]*conn, 0, c.Conns)
	var readers sync.WaitGroup
	defer func() {
		for _, x := range conns {
			x.Close()
		}
		readers.Wait()
	}()
	for i := range c.Conns {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		x, err := open(c, i)
		if err != nil {
			return 0, fmt.Errorf("connection %d: %w", i+1, err)
		}
		conns = append(conns, x)
		readers.Go(x.read)
	}
	held()
	<-ctx.Done()
	for _, x := range conns {
		x.mu.Lock()
		if x.err != nil {
			x.lost = c.Streams
		}
		lost += min(x.lost, c.Streams)
		x.mu.Unlock()
	}
	return lost, nil
}

type conn struct {
	net.Conn
	*http2.Framer
	mu   sync.Mutex
	lost int
	err  error
}

// open makes a connection and its requests, and waits until the server has
// answered a ping that is behind them.
func open(c Config, i int) (*conn, error) {
	d := net.Dialer{Timeout: patience}
	if c.Addr.Addr().Is4() && c.Addr.Addr().IsLoopback() {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i%64+1))} // for their ports
	}
	tcp, err := d.Dial("tcp", c.Addr.String())
	if err != nil {
		return nil, err
	}
	tcp.SetDeadline(time.Now().Add(patience))
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&out, tcp)
	f.SetReuseFrames()
	f.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for n := range uint32(c.Streams) {
		block.Reset()
		for _, h := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", c.Host}, {":path", c.Path}, {"user-agent", "longmen-bench"}} {
			enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
		}
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1 + 2*n, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	}
	ping := [8]byte{'h', 'o', 'l', 'd'}
	f.WritePing(false, ping)
	x := &conn{Conn: tcp, Framer: http2.NewFramer(tcp, tcp)}
	if _, err := tcp.Write(out.Bytes()); err != nil {
		tcp.Close()
		return nil, err
	}
	for {
		frame, err := x.next()
		if err != nil {
			tcp.Close()
			return nil, err
		}
		if p, ok := frame.(*http2.PingFrame); ok && p.IsAck() && p.Data == ping {
			tcp.SetDeadline(time.Time{})
			return x, nil
		}
	}
}

// next reads a frame and answers it where it has to be.
func (x *conn) next() (http2.Frame, error) {
	frame, err := x.ReadFrame()
	if err != nil {
		return nil, err
	}
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			err = x.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			err = x.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame:
		err = fmt.Errorf("GOAWAY %v %s", f.ErrCode, f.DebugData())
	case *http2.RSTStreamFrame, *http2.HeadersFrame:
		x.mu.Lock()
		x.lost++
		x.mu.Unlock()
	}
	return frame, err
}

func (x *conn) read() {
	for {
		if _, err := x.next(); err != nil {
			x.mu.Lock()
			x.err = err
			x.mu.Unlock()
			return
		}
	}
}
