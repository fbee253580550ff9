package tlsclient

import (
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

var errFinished = errors.New("the server's Finished is wrong")

func unexpected(kind byte) error { return fmt.Errorf("unexpected handshake message %d", kind) }

// message13 takes one message of a handshake by TLS 1.3 (RFC 8446 section 4).
func (c *Conn) message13(kind byte, body, whole []byte) error {
	switch {
	case c.step == stepServerHello && kind == msgServerHello:
		c.hash.Write(whole)
		return c.serverHello13(body)
	case c.step == stepExtensions && kind == msgExtensions:
		c.step = stepCertificate
		if c.resumed {
			c.step = stepFinished
		}
	case c.step == stepCertificate && kind == msgCertificate:
		c.step = stepVerify
	case c.step == stepVerify && kind == msgVerify:
		c.step = stepFinished
	case c.step == stepFinished && kind == msgFinished:
		return c.finished13(body, whole)
	default:
		return unexpected(kind)
	}
	c.hash.Write(whole)
	return nil
}

func (c *Conn) serverHello13(body []byte) (err error) {
	h, ok := parseServerHello(body)
	s := c.suite
	switch {
	case !ok:
		return errMessage
	case h.version != s.version || !slices.Contains(s.ids, h.suite):
		return fmt.Errorf("the server chose version %04x and suite %04x", h.version, h.suite)
	case h.random[31] == helloRetryTailByte && h.share == nil || h.group != c.client.keys.group:
		return fmt.Errorf("the server chose group %04x", h.group)
	case h.hasPSK && c.offered == nil:
		return errors.New("the server chose a ticket that was not offered")
	}
	c.resumed = h.hasPSK
	shared, err := c.client.keys.agree(h.share)
	if err != nil {
		return err
	}
	derived := s.noPSK
	if c.resumed {
		derived = s.expand(c.offered.secret, "derived", s.digest(nil), hashSize)
	}
	c.handshake = s.mac(derived, shared)
	transcript := c.hash.Sum(nil)
	c.own = s.expand(c.handshake, "c hs traffic", transcript, hashSize)
	c.peer = s.expand(c.handshake, "s hs traffic", transcript, hashSize)
	if c.in, err = s.half13(c.peer); err != nil {
		return err
	}
	c.step = stepExtensions
	return nil
}

// finished13 ends the handshake: our Finished is the second flight.
func (c *Conn) finished13(body, whole []byte) (err error) {
	s := c.suite
	want := s.mac(s.expand(c.peer, "finished", nil, hashSize), c.hash.Sum(nil))
	if !hmac.Equal(want, body) {
		return errFinished
	}
	c.hash.Write(whole)
	transcript := c.hash.Sum(nil)
	zero := make([]byte, hashSize)
	master := s.mac(s.expand(c.handshake, "derived", s.digest(nil), hashSize), zero)
	if c.in, err = s.half13(s.expand(master, "s ap traffic", transcript, hashSize)); err != nil {
		return err
	}
	if c.out, err = s.half13(c.own); err != nil {
		return err
	}
	message := append([]byte{msgFinished, 0, 0, hashSize}, s.mac(s.expand(c.own, "finished", nil, hashSize), transcript)...)
	c.Out = append(c.Out, recordCCS, 3, 3, 0, 1, 1)
	c.Out = c.seal(c.Out, recordHandshake, message)
	if c.out, err = s.half13(s.expand(master, "c ap traffic", transcript, hashSize)); err != nil {
		return err
	}
	if c.client.config.Resume {
		c.hash.Write(message)
		c.resume = s.expand(master, "res master", c.hash.Sum(nil), hashSize)
	}
	c.finish()
	return nil
}

// later13 takes a message after the handshake: tickets, and nothing else.
func (c *Conn) later13(kind byte, p []byte) error {
	if kind != msgNewTicket {
		return unexpected(kind)
	}
	if !c.client.config.Resume {
		return nil
	}
	fixed, ok := take(&p, 8)
	if !ok {
		return errMessage
	}
	nonce, ok := vector(&p, 1)
	if !ok {
		return errMessage
	}
	opaque, ok := vector(&p, 2)
	if !ok {
		return errMessage
	}
	s := c.suite
	early := s.mac(make([]byte, hashSize), s.expand(c.resume, "resumption", nonce, hashSize))
	c.client.ticket = &ticket{
		opaque: slices.Clone(opaque), secret: early, received: time.Now(), ageAdd: binary.BigEndian.Uint32(fixed[4:]),
		binder: s.expand(s.expand(early, "res binder", s.digest(nil), hashSize), "finished", nil, hashSize),
	}
	return nil
}
