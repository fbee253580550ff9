package tlsclient

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
)

// A sealedPremaster is TLCP's premaster secret, encrypted once for all
// connections to a server.
type sealedPremaster struct {
	certificate       []byte
	premaster, sealed []byte
}

// message12 takes one message of a handshake by TLS 1.2 (RFC 5246 section 7)
// or TLCP (GB/T 38636 section 6.4).
func (c *Conn) message12(kind byte, body, whole []byte) error {
	if c.step == stepFinished && kind == msgFinished {
		return c.finished12(body, whole)
	}
	c.hash.Write(whole)
	switch {
	case c.step == stepServerHello && kind == msgServerHello:
		return c.serverHello12(body)
	case c.step == stepCertificate && kind == msgCertificate:
		c.step = stepKeyExchange
		if c.suite.sm {
			return c.encryptPremaster(body)
		}
	case c.step == stepKeyExchange && kind == msgKeyExchange:
		c.step = stepHelloDone
		if !c.suite.sm {
			return c.keyExchange(body)
		}
	case c.step == stepHelloDone && kind == msgHelloDone:
		return c.secondFlight()
	case c.step == stepTicket && kind == msgNewTicket:
		if len(body) < 6 {
			return errMessage
		}
		body = body[4:]
		opaque, ok := vector(&body, 2)
		if !ok {
			return errMessage
		}
		c.newTicket = slices.Clone(opaque)
	default:
		return unexpected(kind)
	}
	return nil
}

func (c *Conn) serverHello12(body []byte) error {
	h, ok := parseServerHello(body)
	switch {
	case !ok:
		return errMessage
	case h.version != c.suite.version || !slices.Contains(c.suite.ids, h.suite):
		return fmt.Errorf("the server chose version %04x and suite %04x", h.version, h.suite)
	}
	c.peer, c.extended = slices.Clone(h.random), h.hasExtended
	if c.offered != nil && bytes.Equal(h.id, c.clientID[:]) {
		c.resumed = true
		c.handshake = c.offered.secret
		c.step = stepTicket
		return c.keys12()
	}
	c.step = stepCertificate
	return nil
}

// keyExchange reads the server's ephemeral key.
func (c *Conn) keyExchange(p []byte) (err error) {
	head, ok := take(&p, 3)
	if !ok || head[0] != 3 || uint16(number(head[1:])) != c.client.keys.group {
		return fmt.Errorf("the server chose another group than X25519: %x", head)
	}
	public, ok := vector(&p, 1)
	if !ok {
		return errMessage
	}
	c.premaster, err = c.client.keys.agree(public)
	return err
}

// encryptPremaster takes the server's second certificate, TLCP's for
// encryption.
func (c *Conn) encryptPremaster(p []byte) error {
	list, ok := vector(&p, 3)
	if !ok {
		return errMessage
	}
	if _, ok = vector(&list, 3); !ok {
		return errMessage
	}
	certificate, ok := vector(&list, 3)
	if !ok {
		return errors.New("the server has no second certificate")
	}
	t := &c.client.tlcp
	if !bytes.Equal(t.certificate, certificate) {
		x, err := smx509.ParseCertificate(certificate)
		if err != nil {
			return err
		}
		key, ok := x.PublicKey.(*ecdsa.PublicKey)
		if !ok {
			return errors.New("the encryption certificate has no SM2 key")
		}
		premaster := make([]byte, 48)
		c.client.random.fill(premaster)
		premaster[0], premaster[1] = 1, 1
		sealed, err := sm2.EncryptASN1(rand.Reader, key, premaster)
		if err != nil {
			return err
		}
		*t = sealedPremaster{slices.Clone(certificate), premaster, sealed}
	}
	c.premaster = t.premaster
	return nil
}

// secondFlight is ClientKeyExchange, change_cipher_spec and Finished.
func (c *Conn) secondFlight() error {
	s := c.suite
	var message []byte
	if s.sm {
		sealed := c.client.tlcp.sealed
		message = binary.BigEndian.AppendUint16(nil, uint16(len(sealed)))
		message = append(message, sealed...)
	} else {
		message = append([]byte{byte(len(c.client.keys.public))}, c.client.keys.public...)
	}
	message = append([]byte{msgClientKey, 0, byte(len(message) >> 8), byte(len(message))}, message...)
	c.hash.Write(message)
	if c.extended {
		c.handshake = s.prf(c.premaster, "extended master secret", 48, c.hash.Sum(nil))
	} else {
		c.handshake = s.prf(c.premaster, "master secret", 48, c.random[:], c.peer)
	}
	c.Out = c.seal(c.Out, recordHandshake, message)
	if err := c.keys12(); err != nil {
		return err
	}
	c.ownFinished12()
	c.step = stepTicket
	return nil
}

// keys12 makes the keys; they take effect with change_cipher_spec.
func (c *Conn) keys12() (err error) {
	block := c.suite.prf(c.handshake, "key expansion", 2*keySize+8, c.peer, c.random[:])
	if c.pending[0], err = c.suite.half(block[:keySize], block[2*keySize:2*keySize+4]); err != nil {
		return err
	}
	c.pending[1], err = c.suite.half(block[keySize:2*keySize], block[2*keySize+4:])
	return err
}

// changeCipher takes the server's change_cipher_spec.
func (c *Conn) changeCipher() error {
	if c.done || c.step != stepTicket {
		return errors.New("unexpected change_cipher_spec")
	}
	c.in = c.pending[1]
	c.step = stepFinished
	return nil
}

func (c *Conn) ownFinished12() {
	message := append([]byte{msgFinished, 0, 0, 12}, c.suite.prf(c.handshake, "client finished", 12, c.hash.Sum(nil))...)
	c.hash.Write(message)
	c.Out = c.seal(c.Out, recordCCS, []byte{1})
	c.out = c.pending[0]
	c.Out = c.seal(c.Out, recordHandshake, message)
}

func (c *Conn) finished12(body, whole []byte) error {
	if !hmac.Equal(c.suite.prf(c.handshake, "server finished", 12, c.hash.Sum(nil)), body) {
		return errFinished
	}
	c.hash.Write(whole)
	if c.resumed {
		c.ownFinished12()
	}
	if c.newTicket != nil {
		c.client.ticket = &ticket{opaque: c.newTicket, secret: c.handshake, received: time.Now()}
	}
	c.finish()
	return nil
}
