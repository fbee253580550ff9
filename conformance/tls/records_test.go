package tls_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// Records behind the handshake: what is no record, what nobody with the keys has
// sealed, and what somebody with the keys should not have.

// A sealer seals records of TLS_AES_128_GCM_SHA256 as crypto/tls's client would,
// from the key log (RFC 8446, sections 5.2 and 7.3).
type sealer struct {
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	number uint64
}

// keyLog keeps the client's traffic secret.
type keyLog struct{ secret []byte }

func (k *keyLog) Write(line []byte) (int, error) {
	if f := strings.Fields(string(line)); len(f) == 3 && f[0] == "CLIENT_TRAFFIC_SECRET_0" {
		k.secret, _ = hex.DecodeString(f[2])
	}
	return len(line), nil
}

func newSealer(secret []byte) *sealer {
	s := &sealer{secret: secret}
	block, err := aes.NewCipher(expand(secret, "key", 16))
	if err == nil {
		s.aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		panic(err) // of a key of 16 bytes
	}
	s.iv = expand(secret, "iv", 12)
	return s
}

// expand is HKDF-Expand-Label with an empty context.
func expand(secret []byte, label string, n int) []byte {
	info := append([]byte{0, byte(n), byte(6 + len(label))}, "tls13 "+label+"\x00"...)
	out, err := hkdf.Expand(sha256.New, secret, string(info), n)
	if err != nil {
		panic(err) // of a length that is never asked for
	}
	return out
}

// seal makes one record. inner is its content with the type behind it and padding.
func (s *sealer) seal(inner []byte) []byte {
	nonce := bytes.Clone(s.iv)
	for i := range 8 {
		nonce[4+i] ^= byte(s.number >> (56 - 8*i))
	}
	s.number++
	n := len(inner) + 16
	head := []byte{23, 3, 3, byte(n >> 8), byte(n)}
	return s.aead.Seal(head, nonce, inner, head)
}

// update goes on to the next key.
func (s *sealer) update() { *s = *newSealer(expand(s.secret, "traffic upd", 32)) }

func content(typ byte, p ...byte) []byte { return append(bytes.Clone(p), typ) }

// An established connection has done its handshake and one request.
type established struct {
	raw *watched
	tls *tls.Conn
	*sealer
}

func establish(addr string, config *tls.Config) (*established, error) {
	conn, err := net.DialTimeout("tcp", addr, harness.Patience)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(harness.Patience))
	raw := &watched{Conn: conn}
	var keys keyLog
	c := config.Clone()
	c.KeyLogWriter = &keys
	e := &established{raw: raw, tls: tls.Client(raw, c)}
	if err := e.ask("/first"); err != nil {
		raw.Close()
		return nil, err
	}
	if keys.secret != nil {
		e.sealer = newSealer(keys.secret)
		e.number = 1 // the request
	}
	return e, nil
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }

func (e *established) ask(path string) error {
	if _, err := io.WriteString(e.tls, get(path)); err != nil {
		return err
	}
	return e.answered(path)
}

// answered reads one response.
func (e *established) answered(path string) error {
	var got []byte
	for buf := make([]byte, 4096); !bytes.HasSuffix(got, []byte(answered(path, "https"))); {
		n, err := e.tls.Read(buf)
		if got = append(got, buf[:n]...); err != nil {
			return fmt.Errorf("after %q: %w", got, err)
		}
	}
	return nil
}

// ended says how the gateway ends the connection: "alert N", "close_notify", or
// what is wrong.
func (e *established) ended() string {
	buf := make([]byte, 4096)
	n, err := e.tls.Read(buf)
	if n > 0 {
		return fmt.Sprintf("answered with %q", buf[:n])
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "remote error" {
		for n := range 256 {
			if tls.AlertError(n).Error() == op.Err.Error() {
				return fmt.Sprint("alert ", n)
			}
		}
	}
	switch {
	case err == io.EOF && e.raw.ended:
		return "FIN"
	case err == io.EOF:
		return "close_notify"
	case harness.IsTimeout(err):
		return "stall"
	}
	return err.Error()
}

func TestRecordsOfStrangers(t *testing.T) {
	g, a, _ := helloGateway(t)
	type stranger struct {
		name    string
		version uint16
		sent    []byte
		want    []string
	}
	var all []stranger
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		add := func(name string, sent []byte, want ...string) {
			all = append(all, stranger{tls.VersionName(version) + "/" + name, version, sent, want})
		}
		types := []byte{0, 1, 19, 20, 21, 22, 23, 24, 25, 128, 255}
		if harness.Full() {
			types = nil
			for typ := range 256 {
				types = append(types, byte(typ))
			}
		}
		for _, typ := range types {
			want := []string{"alert 10"}
			if typ == 23 {
				want = []string{"alert 20"}
			} else if version == tls.VersionTLS12 { // protected first, then looked at
				want = append(want, "alert 20")
			}
			add(fmt.Sprintf("type %d, bad MAC", typ), rec(typ, 0x0303, bytes.Repeat([]byte{7}, 64)), want...)
			add(fmt.Sprintf("type %d, short", typ), rec(typ, 0x0303, []byte{1}), "alert 10", "alert 20", "alert 50")
			add(fmt.Sprintf("type %d, empty", typ), rec(typ, 0x0303, nil), "alert 10", "alert 20", "alert 50")
		}
		for n := 2; n < 26; n++ {
			add(fmt.Sprintf("%d bytes", n), rec(23, 0x0303, make([]byte, n)), "alert 20", "alert 50")
		}
		add("too long", append(rec(23, 0x0303, nil)[:3], 0x48, 0x01), "alert 22")
		add("longest length", append(rec(23, 0x0303, nil)[:3], 0xff, 0xff), "alert 22")
		add("largest", rec(23, 0x0303, make([]byte, 16384+64)), "alert 20")
		for _, v := range []uint16{0x0300, 0x0301, 0x0304, 0x0101, 0x0200} {
			add(fmt.Sprintf("version %#x", v), rec(23, v, make([]byte, 64)), "alert 70", "alert 20", "alert 10")
		}
		add("plain HTTP", []byte(get("/plain")), "alert 70", "alert 10", "alert 22")
		add("a ClientHello", newHello().record(), "alert 10", "alert 20", "alert 70")
	}
	harness.Report(t, "records of strangers", harness.Longmen, each(all, 8, func(s stranger) string { return "strangers/" + s.name }, func(s stranger) string {
		e, err := establish(g.Addr, &tls.Config{ServerName: "p256.test", RootCAs: a.roots(), MaxVersion: s.version})
		if err != nil {
			return err.Error()
		}
		defer e.raw.Close()
		if _, err := e.raw.Write(s.sent); err != nil {
			return err.Error()
		}
		return oneOf(e.ended(), s.want...)
	}))
}

func oneOf(got string, want ...string) string {
	for _, w := range want {
		if got == w {
			return ""
		}
	}
	return fmt.Sprintf("%s, want %s", got, strings.Join(want, " or "))
}

// Every bit of a sealed record counts, and every cut of it ends in the idle or
// header timeout, or with FIN at once; nothing of it reaches the origin.
func TestRecordChanged(t *testing.T) {
	g, a, _ := helloGateway(t)
	config := &tls.Config{ServerName: "p256.test", RootCAs: a.roots(), CipherSuites: nil}
	size := 5 + len(get("/x")) + 1 + 16
	type change struct{ at, mask int } // mask 0: cut there, with FIN
	var all []change
	for at := range size {
		all = append(all, change{at, 0})
		for bit := range 8 {
			if harness.Full() || bit == at%8 {
				all = append(all, change{at, 1 << bit})
			}
		}
	}
	harness.Report(t, "record changed", harness.Longmen, each(all, 8, func(c change) string { return fmt.Sprintf("sealed/%d/%02x", c.at, c.mask) }, func(c change) string {
		e, err := establish(g.Addr, config)
		if err != nil {
			return err.Error()
		}
		defer e.raw.Close()
		r := e.seal(content(23, []byte(get("/x"))...))
		if c.mask == 0 {
			r = r[:c.at]
		} else {
			r[c.at] ^= byte(c.mask)
		}
		e.raw.Write(r)
		longer := c.mask != 0 && int(binary.BigEndian.Uint16(r[3:])) > len(r)-5
		if c.mask == 0 || longer {
			e.raw.Conn.(*net.TCPConn).CloseWrite()
		}
		got := e.ended()
		switch {
		case c.mask == 0 || longer && got != "alert 22":
			return oneOf(got, "close_notify", "FIN")
		case c.at == 0:
			return oneOf(got, "alert 10")
		case c.at < 3:
			return oneOf(got, "alert 70", "alert 20", "alert 10")
		case c.at < 5:
			return oneOf(got, "alert 20", "alert 22", "alert 50")
		}
		return oneOf(got, "alert 20")
	}))
}

// What a client with the keys sends after its handshake, as it may or may not.
func TestRecordsOfClients(t *testing.T) {
	g, a, _ := helloGateway(t)
	config := &tls.Config{ServerName: "p256.test", RootCAs: a.roots()}
	update := []byte{24, 0, 0, 1, 0}
	ask, post := get("/next"), fmt.Sprintf("POST /next HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", 16384-55)
	type sent struct {
		name string
		send func(*established) []byte
		want string // "answer", or how it ends
		or   string
	}
	one := func(typ byte, p ...byte) func(*established) []byte {
		return func(e *established) []byte { return e.seal(content(typ, p...)) }
	}
	all := []sent{
		{"a request", one(23, []byte(ask)...), "answer", ""},
		{"a request with padding", func(e *established) []byte { return e.seal(append(content(23, []byte(ask)...), make([]byte, 5000)...)) }, "answer", ""},
		{"a request in single bytes", func(e *established) (out []byte) {
			for i := range len(ask) {
				out = append(out, e.seal(content(23, ask[i]))...)
			}
			return out
		}, "answer", ""},
		{"empty records before a request", func(e *established) (out []byte) {
			for range 10 {
				out = append(out, e.seal(content(23))...)
			}
			return append(out, e.seal(content(23, []byte(ask)...))...)
		}, "answer", ""},
		{"empty records without end", func(e *established) (out []byte) {
			for range 1000 {
				out = append(out, e.seal(content(23))...)
			}
			return out
		}, "alert 10", ""},
		{"key update", func(e *established) []byte {
			out := e.seal(content(22, update...))
			e.update()
			return append(out, e.seal(content(23, []byte(ask)...))...)
		}, "answer", ""},
		{"key update that wants one", func(e *established) []byte {
			out := e.seal(content(22, 24, 0, 0, 1, 1))
			e.update()
			return append(out, e.seal(content(23, []byte(ask)...))...)
		}, "answer", ""},
		{"key update in pieces", func(e *established) []byte {
			out := append(e.seal(content(22, update[:2]...)), e.seal(content(22, update[2:]...))...)
			e.update()
			return append(out, e.seal(content(23, []byte(ask)...))...)
		}, "answer", ""},
		{"key updates without end", func(e *established) (out []byte) {
			for range 1000 {
				out = append(out, e.seal(content(22, update...))...)
				e.update()
			}
			return out
		}, "alert 10", ""},
		{"key update and the old key", func(e *established) []byte {
			return append(e.seal(content(22, update...)), e.seal(content(23, []byte(ask)...))...)
		}, "alert 20", ""},
		{"key update of no kind", one(22, 24, 0, 0, 1, 2), "alert 47", ""},
		{"key update too long", one(22, 24, 0, 0, 2, 0, 0), "alert 50", ""},
		{"key update not last in its record", one(22, append(update[:5:5], update...)...), "alert 10", ""},
		{"data within a handshake message", func(e *established) []byte {
			return append(e.seal(content(22, update[:2]...)), e.seal(content(23, []byte(ask)...))...)
		}, "alert 10", ""},
		{"empty handshake record", one(22), "alert 10", "alert 50"},
		{"a ClientHello", one(22, newHello().message()...), "alert 10", ""},
		{"a NewSessionTicket", one(22, 4, 0, 0, 0), "alert 10", "alert 50"},
		{"a Certificate", one(22, 11, 0, 0, 4, 0, 0, 0, 0), "alert 10", ""},
		{"an unknown message", one(22, 99, 0, 0, 0), "alert 10", ""},
		{"a message of 16 MB", one(22, 24, 0xff, 0xff, 0xff), "alert 50", "alert 47"},
		{"change_cipher_spec, sealed", one(20, 1), "alert 10", ""},
		{"change_cipher_spec in the clear", func(*established) []byte { return rec(20, 0x0303, []byte{1}) }, "alert 10", ""},
		{"no type", func(e *established) []byte { return e.seal(make([]byte, 10)) }, "alert 10", ""},
		{"unknown type", one(99, 1), "alert 10", ""},
		{"too much in a record", one(23, make([]byte, 16385)...), "alert 22", ""},
		{"as much as fits", one(23, append([]byte(post), make([]byte, 16384-len(post))...)...), "answer", ""},
		{"close_notify", one(21, 1, 0), "close_notify", ""},
		{"user_canceled and close_notify", func(e *established) []byte { return append(e.seal(content(21, 1, 90)), e.seal(content(21, 1, 0))...) }, "close_notify", ""},
		{"a fatal alert", one(21, 2, 80), "FIN", ""},
		{"a short alert", one(21, 2), "alert 50", ""},
		{"an empty alert", one(21), "alert 10", "alert 50"},
		{"two alerts in a record", one(21, 1, 0, 1, 0), "alert 50", ""},
	}
	harness.Report(t, "records of clients", harness.Longmen, each(all, 8, func(s sent) string { return "records/" + s.name }, func(s sent) string {
		e, err := establish(g.Addr, config)
		if err != nil {
			return err.Error()
		}
		defer e.raw.Close()
		if _, err := e.raw.Write(s.send(e)); err != nil {
			return err.Error()
		}
		if s.want != "answer" {
			return oneOf(e.ended(), s.want, s.or)
		}
		var got []byte
		for buf := make([]byte, 4096); !bytes.Contains(got, []byte("origin ")); {
			n, err := e.tls.Read(buf)
			if got = append(got, buf[:n]...); err != nil {
				return fmt.Sprintf("%q, %v", got, err)
			}
		}
		return ""
	}))
}
