package connection

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"testing"

	"golang.org/x/sys/unix"

	"longmen/gateway/worker"
	"longmen/tls/record"
)

// peer is the other end of a connection that speaks TLS, with the keys of a
// handshake that never was.
type peer struct {
	*record.Session
	fd     int
	secret []byte // TLS 1.3: that of what it sends
	buf    []byte // read and not opened
}

// secured opens a recorder that speaks TLS on one end of a socketpair.
func secured(t testing.TB, l *worker.Loop, version uint16) (*recorder, *peer) {
	t.Helper()
	c, fd := socketpair(t, l)
	t.Cleanup(func() { unix.Close(fd) })
	mine, theirs := sessions(t, version)
	l.Do(func() { c.Secure(mine) })
	return c, &peer{Session: theirs, fd: fd, secret: bytes.Repeat([]byte{1}, 32)}
}

func sessions(t testing.TB, version uint16) (server, client *record.Session) {
	t.Helper()
	half := func(b byte) *record.Half {
		var h *record.Half
		var err error
		if version == record.VersionTLS13 {
			h, err = record.NewTLS13(0x1301, bytes.Repeat([]byte{b}, 32))
		} else {
			h, err = record.NewTLS12(0xc02f, bytes.Repeat([]byte{b}, 16), bytes.Repeat([]byte{b}, 4))
		}
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	server, err := record.NewSession(half(1), half(2), false)
	if err != nil {
		t.Fatal(err)
	}
	client, err = record.NewSession(half(2), half(1), true)
	if err != nil {
		t.Fatal(err)
	}
	return server, client
}

// sends writes p as it is.
func (p *peer) sends(t testing.TB, raw []byte) {
	t.Helper()
	for len(raw) > 0 {
		n, e := worker.Write(p.fd, raw)
		if e != 0 {
			t.Fatal(e)
		}
		raw = raw[n:]
	}
}

// reads opens what has come; its error is io.EOF after close_notify, or an
// alert. over reports whether the socket has ended.
func (p *peer) reads(t testing.TB) (plain []byte, over bool, err error) {
	t.Helper()
	room := make([]byte, 256<<10)
	for {
		n, e := worker.Read(p.fd, room)
		if e == unix.EAGAIN {
			break
		}
		if e != 0 && e != unix.ECONNRESET {
			t.Fatal(e)
		}
		if n <= 0 {
			over = true
			break
		}
		p.buf = append(p.buf, room[:n]...)
	}
	got, used, err := p.Open(p.buf)
	plain = append(plain, got...)
	p.buf = append(p.buf[:0], p.buf[used:]...)
	return plain, over, err
}

// keyUpdates are n records of TLS 1.3 that each change the key and ask for an
// answer, as the first that the peer sends; then what with the last key seals.
func (p *peer) keyUpdates(t testing.TB, n int) (raw []byte, last *record.Half) {
	t.Helper()
	for {
		half, err := record.NewTLS13(0x1301, p.secret)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return raw, half
		}
		n--
		raw = half.Seal(raw, record.TypeHandshake, []byte{24, 0, 0, 1, 1})
		label := append([]byte{0, 32, 17}, "tls13 traffic upd\x00"...)
		if p.secret, err = hkdf.Expand(sha256.New, p.secret, string(label), 32); err != nil {
			t.Fatal(err)
		}
	}
}

var versions = map[string]uint16{"TLS 1.2": record.VersionTLS12, "TLS 1.3": record.VersionTLS13}
