package tls13

import (
	"crypto/sha256"
	"slices"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/record"

	"golang.org/x/crypto/cryptobyte"
)

// EarlyData says what a server does with 0-RTT (RFC 8446 §2.3). What it accepts is the first
// flight of a client that resumes a session; whoever saw it can send it once more, to another
// node at least, so it is for requests that do no harm when they come twice.
type EarlyData struct {
	// Most is how many bytes a client may send before the handshake is complete. It is
	// written into tickets; with 0 none are accepted, whatever tickets say.
	Most uint32
	// Protocols are the application protocols (ALPN) with which it is accepted; "" is none.
	Protocols []string
	// Once keeps each ClientHello from being accepted twice, and remembers Remember of them.
	Once     Once
	Remember int
}

// Once remembers ClientHellos (RFC 8446 §8.2); *replay.Register does.
type Once interface {
	// Origin says who remembers. Only tickets that were given out in its name are good for
	// early data: what another one has accepted is not known here.
	Origin() [16]byte
	// First reports whether hello, a value that no other ClientHello has, comes for the first
	// time; false also if that is not known for certain. Full says that it is because most
	// hellos are remembered. Each has to be for twice EarlyWindow.
	First(hello []byte, now time.Time, most int) (first, full bool)
}

// EarlyWindow is how far the client's idea of a ticket's age may be from the server's (RFC 8446
// §8.3): clocks drift, and the round trip of the ticket's own flight counts in one of them only.
const EarlyWindow = 10 * time.Second

// earlySession is what a ticket holds for early data.
type earlySession struct {
	most        uint32 // bytes; 0: none
	ageAdd      uint32
	origin      [16]byte // of Once
	certificate [16]byte // of the server's leaf, SHA-256 cut in half
	protocol    string
}

func (e *earlySession) add(b *cryptobyte.Builder) {
	b.AddUint32(e.most)
	b.AddUint32(e.ageAdd)
	b.AddBytes(e.origin[:])
	b.AddBytes(e.certificate[:])
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(e.protocol)) })
}

func (e *earlySession) read(s *cryptobyte.String) bool {
	var protocol cryptobyte.String
	if !s.ReadUint32(&e.most) || !s.ReadUint32(&e.ageAdd) || !s.CopyBytes(e.origin[:]) || !s.CopyBytes(e.certificate[:]) ||
		!s.ReadUint8LengthPrefixed(&protocol) {
		return false
	}
	e.protocol = string(protocol)
	return true
}

// earlySession is what the next ticket says of early data.
func (c *ServerConfig) earlySession(protocol string, ageAdd uint32) earlySession {
	e := c.EarlyData
	if e == nil || !slices.Contains(e.Protocols, protocol) {
		return earlySession{}
	}
	return earlySession{most: e.Most, ageAdd: ageAdd, origin: e.Once.Origin(), certificate: c.certificateHash(), protocol: protocol}
}

func (c *ServerConfig) certificateHash() [16]byte {
	sum := sha256.Sum256(c.Certificate.Certificate[0])
	return [16]byte(sum[:16])
}

// chooseEarlyData accepts the early data that the client sends behind its hello, or rejects it:
// then it is passed over, and the client sends the same again if it has to.
func (s *server) chooseEarlyData() error {
	if s.result.EarlyData != handshake.EarlyDataNone { // before a retry
		return nil
	}
	if !s.hello.earlyData {
		return nil
	}
	if s.hello.psks == nil {
		return illegal("early_data without pre_shared_key")
	}
	s.result.EarlyData = s.judgeEarlyData()
	if s.result.EarlyData != handshake.EarlyDataAccepted {
		return nil
	}
	s.early = true
	s.clientEA = s.secrets.derive(clientEarlyTraffic, s.transcript.sumTruncated(s.hello.raw))
	return logSecret(s.config.KeyLog, logClientEarly, s.hello.random, s.clientEA)
}

// judgeEarlyData is the server's part of RFC 8446 §4.2.10 and §8. The binder is right.
func (s *server) judgeEarlyData() handshake.EarlyData {
	e := s.config.EarlyData
	if e == nil || e.Most == 0 {
		return handshake.EarlyDataOff
	}
	if s.full() || s.psk != 0 || s.resumed.early.most == 0 || s.resumed.early.origin != e.Once.Origin() {
		return handshake.EarlyDataTicket
	}
	was := &s.resumed.early
	if was.most > e.Most || was.protocol != s.result.Protocol || !slices.Contains(e.Protocols, was.protocol) || was.certificate != s.config.certificateHash() {
		return handshake.EarlyDataChanged // suite and server name are those of any resumption
	}
	// Both ages are in milliseconds since the ticket; the client's is modulo 2^32, as is the
	// difference: ages of seven days are far below.
	theirs := time.Duration(s.hello.psks[0].obfuscatedAge-was.ageAdd) * time.Millisecond
	if off := s.now.Sub(s.resumed.created) - theirs; off > EarlyWindow || off < -EarlyWindow {
		return handshake.EarlyDataAge
	}
	switch first, full := e.Once.First(s.hello.psks[0].binder, s.now, e.Remember); {
	case full:
		return handshake.EarlyDataFull
	case !first:
		return handshake.EarlyDataReplay
	}
	return handshake.EarlyDataAccepted
}

// foresee writes the client's EndOfEarlyData and Finished into the transcript before they come:
// no client that goes on with this handshake has any choice in them.
func (s *server) foresee() error {
	s.transcript.add([]byte{byte(handshake.EndOfEarlyData), 0, 0, 0})
	message, err := newFinished(finishedMAC(s.profile.newHash, s.clientHS, s.transcript.sum()))
	if err != nil {
		return err
	}
	s.transcript.add(message)
	s.finished = message
	return nil
}

// session is what the handshake ends in.
func (s *server) session() (*record.Session, error) {
	if !s.early {
		return record.NewSession(s.read, s.write, false)
	}
	first := record.Early{Finished: s.finished, Most: int(s.resumed.early.most)}
	var err error
	if first.Data, err = s.profile.half(s.clientEA); err != nil {
		return nil, err
	}
	if first.Handshake, err = s.profile.half(s.clientHS); err != nil {
		return nil, err
	}
	return record.NewEarlySession(first, s.read, s.write)
}
