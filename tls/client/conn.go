package client

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"longmen/tls/record"
)

// Secure runs a client's handshake over conn, for hostname (or, by Config.Name, another name, or
// its address), and returns the connection that speaks through it. Both may block, as conn
// does: this is for goroutines of their own, such as health checks; the engine's connections
// have their records on their loop. alpn is offered (RFC 7301), or Config.ALPN when it is nil.
// Closing the result closes conn.
func (c *Config) Secure(conn net.Conn, hostname string, alpn []string) (net.Conn, error) {
	var address netip.Addr
	if at, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		address = at.AddrPort().Addr()
	}
	if alpn == nil {
		alpn = c.ALPN
	}
	result, err := c.Run(&Handshake{
		Conn: conn, Name: c.NameFor(hostname, address, nil), Now: time.Now(), ALPN: alpn,
		Await: func(f func() error) error { return f() },
	})
	if err != nil {
		return nil, err
	}
	return &secureConn{Conn: conn, session: result.Session}, nil
}

// secureConn is a net.Conn over a session. It is for one reader and writer at a time.
type secureConn struct {
	net.Conn
	session *record.Session
	raw     []byte // read and not decrypted
	plain   []byte // decrypted and not read, in the front of raw's memory
	err     error
}

// Read gives what is decrypted, and reads from the connection when nothing is.
func (c *secureConn) Read(p []byte) (int, error) {
	for len(c.plain) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

// readSize is more than a record takes.
const readSize = 17 << 10

func (c *secureConn) fill() error {
	buf := make([]byte, len(c.raw)+readSize)
	n := copy(buf, c.raw)
	got, err := c.Conn.Read(buf[n:])
	if got == 0 && err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // the server did not say goodbye
		}
		return err
	}
	buf = buf[:n+got]
	plain, used, err := c.session.Open(buf)
	c.plain, c.raw, c.err = plain, buf[used:], err
	if c.session.HasReply() {
		if _, err := c.Conn.Write(c.session.AppendReply(nil)); err != nil {
			return err
		}
	}
	return nil
}

// Write encrypts p and writes it.
func (c *secureConn) Write(p []byte) (int, error) {
	sealed := c.session.Seal(make([]byte, 0, c.session.SealedSize(len(p))), p)
	if len(sealed) == 0 && len(p) > 0 {
		return 0, errors.New("the TLS connection is closed")
	}
	if _, err := c.Conn.Write(sealed); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close says goodbye, and closes.
func (c *secureConn) Close() error {
	c.Conn.Write(c.session.AppendClose(nil)) // whether it arrives or not
	return c.Conn.Close()
}
