package std

import (
	"io"
	"net"
	"testing"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// A secured connection is what the engine makes of a result: records in, plaintext out.
type secured struct {
	net.Conn
	*handshake.Result
	buf   []byte // read and not opened
	plain []byte // opened and not taken
}

func (c *secured) Read(p []byte) (int, error) {
	for len(c.plain) == 0 {
		err := c.open()
		if len(c.plain) > 0 {
			break
		}
		if err != nil {
			return 0, err
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

// pull reads once from the connection and opens what is there.
func (c *secured) pull() error {
	if err := c.fill(); err != nil {
		return err
	}
	return c.open()
}

func (c *secured) fill() error {
	more := make([]byte, record.MaxSize)
	n, err := c.Conn.Read(more)
	c.buf = append(c.buf, more[:n]...)
	if n > 0 {
		return nil
	}
	return err
}

func (c *secured) open() error {
	plain, used, err := c.Session.Open(c.buf)
	c.plain = append(c.plain, plain...)
	c.buf = c.buf[used:]
	if c.Session.HasReply() {
		if _, err := c.Conn.Write(c.Session.AppendReply(nil)); err != nil {
			return err
		}
	}
	return err
}

func (c *secured) Write(p []byte) (int, error) {
	out := c.Session.Seal(make([]byte, 0, c.Session.SealedSize(len(p))), p)
	if _, err := c.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *secured) CloseWrite() error {
	_, err := c.Conn.Write(c.Session.AppendClose(nil))
	return err
}

// pair is a TCP connection on the loopback: unlike a pipe it has buffers.
func pair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	deadline := time.Now().Add(20 * time.Second)
	client.SetDeadline(deadline)
	server.SetDeadline(deadline)
	return client, server
}

// A closer can say that it sends no more.
type closer interface {
	io.ReadWriter
	CloseWrite() error
}

// exchange has the client send each of the messages, the server echo it, and both close.
func exchange(t *testing.T, client, server closer, messages ...[]byte) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(onlyWriter{server}, onlyReader{server})
		if err == nil {
			err = server.CloseWrite()
		}
		done <- err
	}()
	for _, m := range messages {
		wrote := make(chan error, 1)
		go func() { _, err := client.Write(m); wrote <- err }()
		got := make([]byte, len(m))
		if _, err := io.ReadFull(client, got); err != nil {
			t.Fatalf("echo of %d bytes: %v", len(m), err)
		}
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		if string(got) != string(m) {
			t.Fatalf("echo of %d bytes differs", len(m))
		}
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("after close_notify: %d bytes, %v", n, err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

type onlyReader struct{ io.Reader }
type onlyWriter struct{ io.Writer }
