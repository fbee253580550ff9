package tls13

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// An editor stands behind one side of a handshake, has its secrets, and changes the messages
// that it sends. The other side meets a peer that is wrong in just that.
type editor struct {
	net.Conn
	edit    func(message []byte) [][]byte // what is sent in the message's place
	server  bool                          // behind the server
	secrets *secretLog

	open, seal *record.Half
	finished   bool // the side's Finished went by: its next record is under the next keys
}

// newEditor puts an editor behind conn and gives the key log for the side's config.
func newEditor(conn net.Conn, server bool, edit func([]byte) [][]byte) (*editor, *secretLog) {
	log := &secretLog{}
	return &editor{Conn: conn, edit: edit, server: server, secrets: log}, log
}

// secretLog keeps the secrets of a key log.
type secretLog struct {
	mu    sync.Mutex
	lines map[string][]byte
}

func (l *secretLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	words := strings.Fields(string(p))
	secret, err := hex.DecodeString(words[2])
	if l.lines == nil {
		l.lines = map[string][]byte{}
	}
	l.lines[words[0]] = secret
	return len(p), err
}

func (l *secretLog) secret(label string) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines[label]
}

// Write takes whole records, each with whole messages, as handshake.Conn writes them.
func (e *editor) Write(p []byte) (int, error) {
	var out []byte
	for rest := p; len(rest) > 0; {
		n := record.HeaderSize + int(rest[3])<<8 + int(rest[4])
		if e.open == nil {
			out = e.plain(out, rest[:n:n])
		} else {
			out = e.protected(out, bytes.Clone(rest[:n]))
		}
		rest = rest[n:]
		e.takeUp()
	}
	if len(out) > 0 {
		if _, err := e.Conn.Write(out); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// takeUp begins to open what the side protects, which begins when its secret is there: with
// a server behind its ServerHello, with a client behind its change_cipher_spec.
func (e *editor) takeUp() {
	label := logClientHandshake
	if e.server {
		label = logServerHandshake
	}
	secret := e.secrets.secret(label)
	if e.open != nil || secret == nil {
		return
	}
	e.open, e.seal = must(sm4Half(secret)), must(sm4Half(secret))
}

// applicationKeys goes on behind the side's Finished.
func (e *editor) applicationKeys() {
	label := logClientApplication
	if e.server {
		label = logServerApplication
	}
	secret := e.secrets.secret(label)
	e.open, e.seal = must(sm4Half(secret)), must(sm4Half(secret))
}

func (e *editor) plain(out, rec []byte) []byte {
	if rec[0] != record.TypeHandshake {
		return append(out, rec...)
	}
	for _, message := range e.edit(rec[record.HeaderSize:]) {
		out = append(out, record.TypeHandshake, 3, 3, byte(len(message)>>8), byte(len(message)))
		out = append(out, message...)
	}
	return out
}

func (e *editor) protected(out, rec []byte) []byte {
	if rec[0] != record.TypeApplicationData {
		return append(out, rec...) // change_cipher_spec
	}
	if e.finished {
		e.finished = false
		e.applicationKeys()
	}
	typ, payload, err := e.open.Open(rec)
	if err != nil {
		panic(fmt.Sprintf("the editor does not understand its own side: %v", err))
	}
	if typ != record.TypeHandshake {
		return e.seal.Seal(out, typ, payload)
	}
	e.finished = handshake.MessageType(payload[0]) == handshake.Finished
	for _, message := range e.edit(payload) {
		out = e.seal.Seal(out, record.TypeHandshake, message)
	}
	return out
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// withLength gives body the header of a message.
func withLength(typ handshake.MessageType, body []byte) []byte {
	return append([]byte{byte(typ), byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

// only edits the first message of one type, and passes the others on.
func only(typ handshake.MessageType, edit func(message []byte) [][]byte) func([]byte) [][]byte {
	done := false
	return func(message []byte) [][]byte {
		if done || handshake.MessageType(message[0]) != typ {
			return [][]byte{message}
		}
		done = true
		return edit(message)
	}
}
