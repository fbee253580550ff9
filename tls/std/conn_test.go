package std

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// A secured connection is what the engine makes of a result: records in, plaintext out.
type secured struct {
	net.Conn
	*handshake.Result
	writing sync.Mutex
	mu      sync.Mutex // of Session: tests write and read at once
	migrate bool       // the session is written down and taken up again before each use
	buf     []byte     // read and not opened
	plain   []byte     // opened and not taken
}

// lock takes the session for one use.
func (c *secured) lock() error {
	c.mu.Lock()
	if !c.migrate {
		return nil
	}
	state, err := c.Session.AppendBinary(nil)
	if err != nil {
		return nil // its input has ended, which is not to be restored
	}
	c.Session, err = record.RestoreSession(state)
	return err
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
	err := c.lock()
	defer c.mu.Unlock()
	if err != nil {
		return err
	}
	plain, used, err := c.Session.Open(c.buf)
	c.plain = append(c.plain, plain...)
	c.buf = c.buf[used:]
	if c.Session.HasReply() {
		c.mu.Unlock()
		replyErr := c.send(func(out []byte) []byte { return c.Session.AppendReply(out) })
		c.mu.Lock()
		if replyErr != nil {
			return replyErr
		}
	}
	return err
}

func (c *secured) Write(p []byte) (int, error) {
	err := c.send(func(out []byte) []byte {
		return c.Session.Seal(slices.Grow(out, c.Session.SealedSize(len(p))), p)
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *secured) CloseWrite() error {
	return c.send(func(out []byte) []byte { return c.Session.AppendClose(out) })
}

// send writes what the session appends. It does not hold the session while it does.
func (c *secured) send(appendTo func([]byte) []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	err := c.lock()
	out := appendTo(nil)
	c.mu.Unlock()
	if err == nil {
		_, err = c.Conn.Write(out)
	}
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
