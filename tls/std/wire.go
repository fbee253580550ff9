package std

import (
	"encoding/binary"
	"net"
	"os"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// A wire is the connection that crypto/tls is given. It passes everything on, and it keeps
// crypto/tls from reading beyond the record that it asks for: what comes behind the
// handshake's last record must still be unread when the connection is taken over.
type wire struct {
	net.Conn
	log    *keyLog
	client bool

	in, out direction

	header    [record.HeaderSize]byte // of the record that is being read
	gotHeader int
	body      int     // bytes of that record that have not been read
	alert     [2]byte // what was read of an alert in the clear, as one is that has two bytes
	alertSize int

	sealed      *record.Half // a server's TLS 1.3: opens what it wrote itself
	sealedCount uint64       // records under it

	verdict handshake.Alert // of VerifyConnection or Choose, to be told in place of crypto/tls's; 0: none

	ticket replacement // for the one that crypto/tls writes

	failed error // of the connection itself, not of TLS

	detached bool   // the handshake is over: nothing reaches the connection any more
	feed     []byte // what is read then
}

// A direction counts the records of one direction.
type direction struct {
	changed   bool     // a change_cipher_spec went by
	count     uint64   // records since it
	messages  uint64   // of these, handshake records
	handshake int      // bytes in them
	hello     hello    // the first message
	protected uint64   // TLS 1.3: records of outer type application_data
	last      [40]byte // the last record, if it fits; an alert does
	lastSize  int
}

// note counts a whole record by its header.
func (d *direction) note(header []byte) {
	switch header[0] {
	case record.TypeChangeCipherSpec:
		d.changed, d.count, d.messages, d.handshake = true, 0, 0, 0
		return
	case record.TypeHandshake:
		d.messages++
		d.handshake += int(binary.BigEndian.Uint16(header[3:]))
	case record.TypeApplicationData:
		d.protected++
	}
	d.count++
}

// Read gives what is left of the header or of the body of one record, at most.
func (w *wire) Read(p []byte) (int, error) {
	left := w.body
	if left == 0 {
		left = record.HeaderSize - w.gotHeader
	}
	p = p[:min(len(p), left)]
	n, err := w.read(p)
	w.took(p[:n])
	return n, err
}

func (w *wire) read(p []byte) (int, error) {
	if !w.detached {
		n, err := w.Conn.Read(p)
		if err != nil {
			w.failed = err
		}
		return n, err
	}
	if len(w.feed) == 0 {
		return 0, os.ErrDeadlineExceeded // crypto/tls can go on after it
	}
	n := copy(p, w.feed)
	w.feed = w.feed[n:]
	return n, nil
}

// took follows the records through what was read.
func (w *wire) took(p []byte) {
	if w.body == 0 {
		w.gotHeader += copy(w.header[w.gotHeader:], p)
		if w.gotHeader < record.HeaderSize {
			return
		}
		w.body = int(binary.BigEndian.Uint16(w.header[3:]))
		w.alertSize = 0
	} else {
		w.body -= len(p)
		if w.header[0] == record.TypeAlert {
			w.alertSize += copy(w.alert[min(w.alertSize, len(w.alert)):], p)
		}
		if w.header[0] == record.TypeHandshake {
			w.in.hello.add(p)
		}
	}
	if w.body == 0 {
		w.in.note(w.header[:])
		w.gotHeader = 0
	}
}

// Write follows the records through what crypto/tls writes, which are whole ones.
func (w *wire) Write(p []byte) (int, error) {
	if w.detached {
		return len(p), nil
	}
	told := p
	switch {
	case w.verdict != 0:
		told = w.retold(p)
	case w.ticket.message != nil:
		told = w.reticketed(p)
		w.ticket = replacement{}
	}
	w.wrote(told)
	if _, err := w.Conn.Write(told); err != nil {
		w.failed = err
		return 0, err
	}
	return len(p), nil
}

// recent is how many of the last records of a write are tried for being the first under the
// application's key. A server writes one session ticket, usually of one record, at most of five.
const recent = 5

func (w *wire) wrote(p []byte) {
	var last [recent][]byte // the last protected records, newest first
	for len(p) >= record.HeaderSize {
		size := min(len(p), record.HeaderSize+int(binary.BigEndian.Uint16(p[3:])))
		rec := p[:size]
		p = p[size:]
		w.out.note(rec)
		w.out.lastSize = copy(w.out.last[:], rec)
		if w.out.lastSize < len(rec) {
			w.out.lastSize = 0
		}
		switch rec[0] {
		case record.TypeHandshake:
			w.out.hello.add(rec[record.HeaderSize:])
		case record.TypeApplicationData:
			copy(last[1:], last[:])
			last[0] = rec
			if w.sealedCount > 0 {
				w.sealedCount++
			}
		}
	}
	if !w.client && w.sealedCount == 0 && w.log.server != nil {
		w.findSealed(last)
	}
}

// findSealed looks for the first record under the application's key among the last that were
// written; those before it are under the handshake's. They differ in nothing but that.
func (w *wire) findSealed(last [recent][]byte) {
	if w.sealed == nil {
		half, err := record.NewTLS13(w.suite(), w.log.server)
		if err != nil {
			return // takeover says so
		}
		w.sealed = half
	}
	for i, rec := range last {
		if rec == nil {
			return
		}
		w.sealed.SetSequence(0)
		if _, _, err := w.sealed.Open(append([]byte(nil), rec...)); err == nil {
			w.sealedCount = uint64(i + 1)
			return
		}
	}
}

// suite is the cipher suite that the ServerHello names, or 0.
func (w *wire) suite() uint16 {
	if w.client {
		return w.in.hello.suite()
	}
	return w.out.hello.suite()
}

// A hello is the beginning of a ClientHello or a ServerHello (RFC 8446 §4.1.2, §4.1.3): message
// header, version, random, session id and, of a server, the suite. A HelloRetryRequest is a
// ServerHello with the suite that the next one has too.
type hello struct {
	b [4 + 2 + 32 + 1 + 32 + 2]byte
	n int
}

func (h *hello) add(p []byte) { h.n += copy(h.b[h.n:], p) }

// random is 32 bytes, zero if they did not come.
func (h *hello) random() []byte { return h.b[6:38] }

// suite is 0, which is no suite, if the message is too short.
func (h *hello) suite() uint16 {
	at := 39 + int(h.b[38])
	if at+2 > h.n {
		return 0
	}
	return binary.BigEndian.Uint16(h.b[at:])
}
