package record

import (
	"encoding/binary"
	"errors"
)

// stateFormat is the first byte of a written state. It changes with the format.
const stateFormat = 1

const (
	flagClient = 1 << iota
	flagAnswer
	flagRefusal
	flagFinished
)

var (
	errEnded = errors.New("a session whose input has ended is not to be restored")
	errEarly = errors.New("a session whose handshake is not complete is not to be restored")
	errState = errors.New("not the state of a session")
)

// AppendBinary appends what RestoreSession needs to take the connection up in another process:
// about 150 bytes. It holds the keys of the connection, so whoever gets it can read and forge all
// that follows: the caller must hand it to nobody else and not write it to a disk. The
// session must not be used after it. It is an error if the input has ended, or while Early is true.
func (s *Session) AppendBinary(dst []byte) ([]byte, error) {
	if s.err != nil {
		return dst, errEnded
	}
	if s.early != nil {
		return dst, errEarly
	}
	flags := flag(s.client, flagClient) | flag(s.answer, flagAnswer) |
		flag(s.refusal, flagRefusal) | flag(s.finished, flagFinished)
	dst = append(dst, stateFormat, flags)
	dst = binary.BigEndian.AppendUint16(dst, s.Version())
	dst = binary.BigEndian.AppendUint16(dst, s.Suite())
	dst = binary.BigEndian.AppendUint16(dst, s.useless)
	dst = binary.BigEndian.AppendUint16(dst, s.updates)
	dst = binary.BigEndian.AppendUint32(dst, uint32(s.sent))
	dst = binary.BigEndian.AppendUint32(dst, uint32(s.skip))
	dst = s.in.appendState(dst)
	dst = s.out.appendState(dst)
	return append(dst, s.hand...), nil
}

func flag(on bool, bit byte) byte {
	if on {
		return bit
	}
	return 0
}

// appendState writes the sequence number and what the keys come from.
func (h *Half) appendState(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, h.seq)
	dst = append(dst, h.secret...)
	if h.suite.version != VersionTLS13 {
		dst = append(dst, h.key[:h.suite.keySize]...)
		dst = append(dst, h.iv[:h.suite.stateIV()]...)
	}
	return dst
}

// stateIV is how much of the IV a half keeps: with CBC, each record has its own.
func (s *suite) stateIV() int {
	if s.macSize > 0 {
		return 0
	}
	return s.ivSize
}

// RestoreSession takes up a session that AppendBinary wrote. It refuses what that cannot have
// written, and does not keep state.
func RestoreSession(state []byte) (*Session, error) {
	r := reader(state)
	format, flags, version, id := r.next(1), r.next(1), r.next(2), r.next(2)
	if format != stateFormat || flags > flagClient|flagAnswer|flagRefusal|flagFinished {
		return nil, errState
	}
	suite, err := suiteOf(uint16(version), uint16(id))
	if err != nil {
		return nil, err
	}
	s := &Session{
		client: flags&flagClient != 0, answer: flags&flagAnswer != 0,
		refusal: flags&flagRefusal != 0, finished: flags&flagFinished != 0,
		useless: uint16(r.next(2)), updates: uint16(r.next(2)),
		sent: int(r.next(4)), skip: int(r.next(4)),
	}
	s.in, s.out = r.half(suite), r.half(suite)
	if s.in == nil || s.out == nil {
		return nil, errState
	}
	if len(r) > 0 {
		s.hand = append([]byte(nil), r...)
	}
	if !s.sound() {
		return nil, errState
	}
	return s, nil
}

// sound reports whether the parts of a restored session can stand beside each other.
func (s *Session) sound() bool {
	tls13 := s.Version() == VersionTLS13
	if s.useless > maxUseless || s.updates > updateCost*maxUpdates || s.sent > smallUntil ||
		s.skip > maxRefusedHello || (tls13 && (s.skip > 0 || s.refusal)) || (!tls13 && (s.answer || s.updates > 0)) ||
		(len(s.hand) > 0 && s.skip > 0) {
		return false
	}
	if len(s.hand) < messageHeaderSize {
		return true
	}
	size, err := s.messageSize(s.hand)
	return err == nil && tls13 && len(s.hand) < size
}

// A reader takes big-endian numbers and pieces off the front of a state. What is missing reads
// as zero, and half gives nil.
type reader []byte

func (r *reader) next(n int) (v uint64) {
	for _, b := range r.bytes(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (r *reader) bytes(n int) []byte {
	if len(*r) < n {
		*r = nil
		return nil
	}
	b := (*r)[:n]
	*r = (*r)[n:]
	return b
}

func (r *reader) half(s *suite) *Half {
	seq := r.next(8)
	var h *Half
	var err error
	if s.version == VersionTLS13 {
		h, err = NewTLS13(s.id, r.bytes(s.hashSize))
	} else {
		mac, key, iv := r.bytes(s.macSize), r.bytes(s.keySize), make([]byte, s.ivSize)
		if copy(iv, r.bytes(s.stateIV())) < s.stateIV() {
			return nil
		}
		h, err = newKeyed(s.version, s.id, mac, key, iv)
	}
	if err != nil || seq > lastSequence {
		return nil
	}
	h.seq = seq
	return h
}
