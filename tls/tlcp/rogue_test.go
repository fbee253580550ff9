package tlcp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"

	"github.com/emmansun/gmsm/sm2"

	"longmen/tls/handshake"
)

// rogue runs a client of ours up to ServerHelloDone, lets act send what it will, and gives
// what the server ended in and the alert that it sent.
func rogue(t testing.TB, server *ServerConfig, config *ClientConfig, act func(c *client, exchange clientExchange)) (handshake.Alert, error) {
	t.Helper()
	clientEnd, serverEnd := tcpPair(t)
	done := make(chan error, 1)
	go func() {
		_, err := Server(serverEnd, server)
		if err == nil {
			err = fmt.Errorf("the handshake succeeded")
		}
		done <- err
	}()
	c := &client{flow: newFlow(handshake.NewConn(clientEnd, version)), config: config}
	check(t, c.prepare())
	check(t, c.write(c.hello.marshal()))
	check(t, c.conn.Flush())
	check(t, c.readHello())
	exchange, err := c.readFlight()
	check(t, err)
	act(c, exchange)
	check(t, c.conn.Flush())
	_, err = c.conn.Read()
	return alertOf(t, err), <-done
}

// finish sends a client's change_cipher_spec and Finished.
func finish(t testing.TB, c *client, premaster []byte) {
	t.Helper()
	c.master = masterSecret(premaster, c.clientRandom, c.serverRandom)
	half, _, err := c.halves()
	check(t, err)
	check(t, c.writeFinished(clientFinished, half))
}

// rawMessage is a message of any body.
func rawMessage(typ handshake.MessageType, body []byte) []byte {
	return append([]byte{byte(typ), byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

// Another Go server dies of a ClientKeyExchange whose ciphertext has 1 to 4 bytes. Here every
// ciphertext that fits the message ends like one that was encrypted to somebody else.
func TestShortCiphertexts(t *testing.T) {
	for n := range 8 {
		for _, first := range []byte{0, 2, 3, 4, 0x30} {
			server, config := configs(t)
			premaster := make([]byte, secretLen)
			alert, err := rogue(t, server, config, func(c *client, _ clientExchange) {
				m, err := marshalVector(handshake.ClientKeyExchange, bytes.Repeat([]byte{first}, n))
				check(t, c.write(m, err))
				finish(t, c, premaster)
			})
			want := handshake.BadRecordMAC
			if n == 0 {
				want = handshake.DecodeError
			}
			if alert != want || alertOf(t, err) != want {
				t.Errorf("%d bytes of %#02x: %v", n, first, err)
			}
		}
	}
}

// A ClientKeyExchange that is no vector at all.
func TestMalformedClientKeyExchange(t *testing.T) {
	for _, suite := range Suites() {
		for name, body := range map[string][]byte{
			"empty": {}, "one byte": {0}, "a length alone": {0, 0}, "a length too long": {0, 9, 1, 2}, "a length too short": {0, 1, 1, 2},
			"a longest length": {0xff, 0xff}, "three bytes": {3, 0, 41}, "a point of no bytes": {3, 0, 41, 0}, "a short point": {3, 0, 41, 2, 4, 1},
			"a point too long": append([]byte{3, 0, 41, 66, 4}, make([]byte, 65)...), "bytes behind": append([]byte{3, 0, 41, 65, 4}, make([]byte, 65)...),
			"a huge ciphertext": append([]byte{2, 1}, make([]byte, 513)...),
		} {
			t.Run(SuiteName(suite)+" "+name, func(t *testing.T) {
				server, config := configs(t)
				config.Suites, config.Certificate = []uint16{suite}, pki(t).client
				alert, err := rogue(t, server, config, func(c *client, _ clientExchange) {
					if c.requested != nil {
						check(t, c.write(marshalCertificates(config.Certificate.Chain)))
					}
					check(t, c.write(rawMessage(handshake.ClientKeyExchange, body), nil))
				})
				if alert != handshake.DecodeError {
					t.Error(err)
				}
			})
		}
	}
}

// Whatever is wrong inside of the ciphertext, the handshake ends at the same place and with
// the same alert (GB/T 38636 §6.4.5.8, and RFC 5246 §7.4.7.1 for the reason).
func TestWrongPremasters(t *testing.T) {
	encrypt := func(to *ecdsa.PublicKey, premaster []byte) []byte {
		ciphertext, err := sm2.EncryptASN1(rand.Reader, to, premaster)
		check(t, err)
		return ciphertext
	}
	own := pki(t).server.Encrypt.(*sm2.PrivateKey).Public().(*ecdsa.PublicKey)
	other := pki(t).server.Sign.(*sm2.PrivateKey).Public().(*ecdsa.PublicKey)
	good := append([]byte{1, 1}, make([]byte, 46)...)
	forged := encrypt(own, good)
	forged[len(forged)-1] ^= 1
	for name, test := range map[string]struct{ ciphertext, premaster []byte }{
		"for another key":  {encrypt(other, good), good},
		"forged":           {forged, good},
		"too short":        {encrypt(own, good[:47]), good[:47]},
		"too long":         {encrypt(own, append(good, 0)), append(good, 0)},
		"one byte":         {encrypt(own, []byte{1}), []byte{1}},
		"of TLS 1.2":       {encrypt(own, append([]byte{3, 3}, good[2:]...)), append([]byte{3, 3}, good[2:]...)},
		"of a later TLCP":  {encrypt(own, append([]byte{1, 2}, good[2:]...)), append([]byte{1, 2}, good[2:]...)},
		"no ciphertext":    {bytes.Repeat([]byte{0x30}, 160), good},
		"not on the curve": {append([]byte{4}, make([]byte, 160)...), good},
	} {
		t.Run(name, func(t *testing.T) {
			server, config := configs(t)
			server.Sessions = NewCache(16, deadline)
			alert, err := rogue(t, server, config, func(c *client, _ clientExchange) {
				m, err := marshalVector(handshake.ClientKeyExchange, test.ciphertext)
				check(t, c.write(m, err))
				finish(t, c, test.premaster)
			})
			if alert != handshake.BadRecordMAC {
				t.Error(err)
			}
			if server.Sessions.(*Cache).Len() != 0 {
				t.Error("a session was stored")
			}
		})
	}
}

// Another Go server dies of a hello that offers ECDHE_SM4_CBC_SM3 alone. Here that is a
// suite like the others; without certificates it cannot go on.
func TestAgreementAlone(t *testing.T) {
	server, config := configs(t)
	config.Suites, config.Certificate = []uint16{ECDHE_SM4_CBC_SM3}, pki(t).client
	alert, err := rogue(t, server, config, func(c *client, _ clientExchange) {
		check(t, c.write(marshalCertificates(nil)))
	})
	if alert != handshake.HandshakeFailure {
		t.Error(err)
	}
	alert, err = rogue(t, server, config, func(c *client, _ clientExchange) {
		check(t, c.write(marshalCertificates(config.Certificate.Chain[:1])))
	})
	if alert != handshake.BadCertificate {
		t.Error(err)
	}
	server.Certificate = inDevice(t, pki(t).server, false, nil) // cannot agree
	hello := validHello()
	hello.suites = config.Suites
	if _, err := ask(t, server, hello); err == nil || alertOf(t, err) != handshake.HandshakeFailure {
		t.Error(err)
	}
}

// Points that are not on the curve, and none at all.
func TestBadPoints(t *testing.T) {
	zero := make([]byte, pointLen)
	off := append([]byte{4}, bytes.Repeat([]byte{1}, 64)...)
	compressed := append([]byte{2}, make([]byte, 64)...)
	large := append([]byte{4}, bytes.Repeat([]byte{0xff}, 64)...)
	for _, point := range [][]byte{zero, off, compressed, large} {
		server, config := configs(t)
		config.Suites, config.Certificate = []uint16{ECDHE_SM4_GCM_SM3}, pki(t).client
		alert, err := rogue(t, server, config, func(c *client, _ clientExchange) {
			check(t, c.write(marshalCertificates(config.Certificate.Chain)))
			check(t, c.write(marshalClientAgreement(agreementParams(point))))
		})
		if alert != handshake.IllegalParameter {
			t.Errorf("%x: %v", point[:3], err)
		}
	}
}

// The parameters come with a length before them from some clients.
func TestClientAgreementWithLength(t *testing.T) {
	point := append([]byte{4}, make([]byte, 64)...)
	params := agreementParams(point)
	for _, body := range [][]byte{params, append([]byte{0, 69}, params...)} {
		if got, err := parseClientAgreement(body); err != nil || !bytes.Equal(got, point) {
			t.Errorf("%x, %v", got, err)
		}
	}
}

// Messages in an order that the standard does not have.
func TestOrder(t *testing.T) {
	for name, test := range map[string]struct {
		auth ClientAuth
		act  func(t *testing.T, c *client, exchange clientExchange)
	}{
		"a certificate not asked for": {ClientAuthNone, func(t *testing.T, c *client, _ clientExchange) {
			check(t, c.write(marshalCertificates(nil)))
		}},
		"no Certificate": {ClientAuthOffered, func(t *testing.T, c *client, exchange clientExchange) {
			_, m, err := exchange.premaster()
			check(t, c.write(m, err))
		}},
		"a second ClientHello": {ClientAuthNone, func(t *testing.T, c *client, _ clientExchange) {
			check(t, c.write(c.hello.marshal()))
		}},
		"CertificateVerify by nobody": {ClientAuthOffered, func(t *testing.T, c *client, exchange clientExchange) {
			check(t, c.write(marshalCertificates(nil)))
			_, m, err := exchange.premaster()
			check(t, c.write(m, err))
			m, err = marshalVector(handshake.CertificateVerify, make([]byte, 70))
			check(t, c.write(m, err))
		}},
		"no CertificateVerify": {ClientAuthOffered, func(t *testing.T, c *client, exchange clientExchange) {
			check(t, c.write(marshalCertificates(pki(t).client.Chain)))
			secret, m, err := exchange.premaster()
			check(t, c.write(m, err))
			finish(t, c, secret)
		}},
		"no change_cipher_spec": {ClientAuthNone, func(t *testing.T, c *client, exchange clientExchange) {
			_, m, err := exchange.premaster()
			check(t, c.write(m, err))
			check(t, c.write(rawMessage(handshake.Finished, make([]byte, 12)), nil))
		}},
		"change_cipher_spec too early": {ClientAuthNone, func(_ *testing.T, c *client, _ clientExchange) {
			c.conn.WriteChangeCipherSpec()
		}},
		"a message behind ClientKeyExchange": {ClientAuthNone, func(t *testing.T, c *client, exchange clientExchange) {
			_, m, err := exchange.premaster()
			check(t, c.write(append(m, rawMessage(handshake.Finished, nil)...), err))
			c.conn.WriteChangeCipherSpec()
		}},
		"a message behind Finished": {ClientAuthNone, func(t *testing.T, c *client, exchange clientExchange) {
			secret, m, err := exchange.premaster()
			check(t, c.write(m, err))
			c.master = masterSecret(secret, c.clientRandom, c.serverRandom)
			half, _, err := c.halves()
			check(t, err)
			c.conn.WriteChangeCipherSpec()
			c.conn.SetWrite(half)
			data := finished(c.master, clientFinished, c.transcript)
			c.conn.Write(slices.Concat(rawMessage(handshake.Finished, data), rawMessage(handshake.HelloRequest, nil)))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server, config := configs(t)
			server.ClientAuth = test.auth
			alert, err := rogue(t, server, config, func(c *client, exchange clientExchange) { test.act(t, c, exchange) })
			if alert != handshake.UnexpectedMessage {
				t.Error(err)
			}
		})
	}
}

func TestWrongFinished(t *testing.T) {
	for name, test := range map[string]struct {
		change func(data []byte) []byte
		want   handshake.Alert
	}{
		"another value": {func(d []byte) []byte { d[11] ^= 1; return d }, handshake.DecryptError},
		"too short":     {func(d []byte) []byte { return d[:11] }, handshake.DecodeError},
		"too long":      {func(d []byte) []byte { return append(d, 0) }, handshake.DecodeError},
		"empty":         {func([]byte) []byte { return nil }, handshake.DecodeError},
	} {
		t.Run(name, func(t *testing.T) {
			server, config := configs(t)
			server.Sessions = NewCache(16, deadline)
			alert, err := rogue(t, server, config, func(c *client, exchange clientExchange) {
				secret, m, err := exchange.premaster()
				check(t, c.write(m, err))
				c.master = masterSecret(secret, c.clientRandom, c.serverRandom)
				half, _, err := c.halves()
				check(t, err)
				c.conn.WriteChangeCipherSpec()
				c.conn.SetWrite(half)
				c.conn.Write(rawMessage(handshake.Finished, test.change(finished(c.master, clientFinished, c.transcript))))
			})
			if alert != test.want {
				t.Error(err)
			}
			if server.Sessions.(*Cache).Len() != 0 {
				t.Error("a session was stored")
			}
		})
	}
}

// A client's fatal alert ends the handshake, and nothing answers it.
func TestAlertAmidHandshake(t *testing.T) {
	server, config := configs(t)
	clientEnd, serverEnd := tcpPair(t)
	done := make(chan error, 1)
	go func() {
		_, err := Server(serverEnd, server)
		serverEnd.Close()
		done <- err
	}()
	c := &client{flow: newFlow(handshake.NewConn(clientEnd, version)), config: config}
	check(t, c.prepare())
	check(t, c.write(c.hello.marshal()))
	check(t, c.conn.Flush())
	check(t, c.readHello())
	_, err := c.readFlight()
	check(t, err)
	_, err = clientEnd.Write([]byte{21, 1, 1, 0, 2, 2, byte(handshake.UnknownCA)})
	check(t, err)
	e, ok := (<-done).(*handshake.Error)
	if !ok || !e.Received || e.Alert != handshake.UnknownCA {
		t.Error(e)
	}
	if n, _ := clientEnd.Read(make([]byte, 1)); n != 0 {
		t.Error("the alert was answered")
	}
}
