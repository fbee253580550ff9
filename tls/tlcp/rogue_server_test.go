package tlcp

import (
	"bytes"
	"testing"

	"github.com/emmansun/gmsm/sm2"

	"longmen/tls/handshake"
)

// rogueServer runs a server of ours up to its ServerHello, lets act send what it will, and
// gives the alert that the client ended with.
func rogueServer(t *testing.T, config *ClientConfig, act func(s *server)) handshake.Alert {
	t.Helper()
	clientEnd, serverEnd := tcpPair(t)
	done := make(chan error, 1)
	go func() {
		result, err := Client(clientEnd, config)
		if result != nil {
			t.Error("the handshake succeeded")
		}
		done <- err
	}()
	serverConfig, _ := configs(t)
	s := &server{flow: newFlow(handshake.NewConn(serverEnd, version)), config: serverConfig}
	s.suites = usable(nil, serverConfig.Certificate)
	check(t, s.readHello())
	check(t, s.prepareAnswer())
	check(t, s.choose())
	check(t, s.write(s.answer.marshal()))
	act(s)
	check(t, s.conn.Flush())
	var err error
	for err == nil { // the client may have got as far as its own certificates
		_, err = s.conn.Read()
	}
	alert := alertOf(t, err)
	if err := <-done; alertOf(t, err) != alert {
		t.Errorf("the client ended with %v and sent %v", err, alert)
	}
	return alert
}

func TestRogueServers(t *testing.T) {
	certificates := func(t *testing.T, s *server) { check(t, s.write(marshalCertificates(s.config.Certificate.Chain))) }
	exchange := func(t *testing.T, s *server) {
		e, err := s.newExchange()
		check(t, err)
		check(t, s.write(e.message()))
	}
	request := func(t *testing.T, s *server) {
		check(t, s.write((&certificateRequest{types: []byte{ecdsaSign}}).marshal()))
	}
	done := func(t *testing.T, s *server) {
		check(t, s.write(rawMessage(handshake.ServerHelloDone, nil), nil))
	}
	signed := func(t *testing.T, s *server, tbs []byte) []byte {
		signature, err := s.config.Certificate.sign(source(nil), tbs)
		check(t, err)
		return signature
	}
	for name, test := range map[string]struct {
		suite uint16
		act   func(t *testing.T, s *server)
		want  handshake.Alert
	}{
		"no certificates": {ECC_SM4_GCM_SM3, func(t *testing.T, s *server) {
			check(t, s.write(marshalCertificates(nil)))
		}, handshake.BadCertificate},
		"one certificate": {ECC_SM4_GCM_SM3, func(t *testing.T, s *server) {
			check(t, s.write(marshalCertificates(s.config.Certificate.Chain[:1])))
		}, handshake.BadCertificate},
		"no Certificate": {ECC_SM4_GCM_SM3, exchange, handshake.UnexpectedMessage},
		"no ServerKeyExchange": {ECC_SM4_GCM_SM3, func(t *testing.T, s *server) {
			certificates(t, s)
			done(t, s)
		}, handshake.UnexpectedMessage},
		"a signature of other certificates": {ECC_SM4_GCM_SM3, func(t *testing.T, s *server) {
			certificates(t, s)
			m, err := marshalVector(handshake.ServerKeyExchange, signed(t, s, signedCertificate(&s.flow, pki(t).client.Chain[1])))
			check(t, s.write(m, err))
		}, handshake.DecryptError},
		"a signature of another handshake": {ECC_SM4_GCM_SM3, func(t *testing.T, s *server) {
			certificates(t, s)
			s.clientRandom = make([]byte, 32)
			exchange(t, s)
		}, handshake.DecryptError},
		"parameters of another handshake": {ECDHE_SM4_GCM_SM3, func(t *testing.T, s *server) {
			certificates(t, s)
			s.clientRandom = make([]byte, 32)
			exchange(t, s)
		}, handshake.DecryptError},
		"an empty signature": {ECC_SM4_GCM_SM3, func(t *testing.T, s *server) {
			certificates(t, s)
			check(t, s.write(rawMessage(handshake.ServerKeyExchange, []byte{0, 0}), nil))
		}, handshake.DecodeError},
		"a point not on the curve": {ECDHE_SM4_GCM_SM3, func(t *testing.T, s *server) {
			certificates(t, s)
			params := agreementParams(append([]byte{4}, bytes.Repeat([]byte{1}, 64)...))
			check(t, s.write(marshalServerAgreement(params, signed(t, s, signedParams(&s.flow, params)))))
			request(t, s)
			done(t, s)
		}, handshake.IllegalParameter},
		"agreement without asking for certificates": {ECDHE_SM4_GCM_SM3, func(t *testing.T, s *server) {
			certificates(t, s)
			exchange(t, s)
			done(t, s)
		}, handshake.HandshakeFailure},
		"CertificateRequest twice": {ECC_SM4_GCM_SM3, func(t *testing.T, s *server) {
			certificates(t, s)
			exchange(t, s)
			request(t, s)
			request(t, s)
		}, handshake.UnexpectedMessage},
		"a malformed CertificateRequest": {ECC_SM4_GCM_SM3, func(t *testing.T, s *server) {
			certificates(t, s)
			exchange(t, s)
			check(t, s.write(rawMessage(handshake.CertificateRequest, []byte{1, 64, 0}), nil))
		}, handshake.DecodeError},
		"a malformed ServerHelloDone": {ECC_SM4_GCM_SM3, func(t *testing.T, s *server) {
			certificates(t, s)
			exchange(t, s)
			check(t, s.write(rawMessage(handshake.ServerHelloDone, []byte{0}), nil))
		}, handshake.DecodeError},
		"a message behind ServerHelloDone": {ECC_SM4_GCM_SM3, func(t *testing.T, s *server) {
			certificates(t, s)
			exchange(t, s)
			check(t, s.write(append(rawMessage(handshake.ServerHelloDone, nil), 0), nil))
		}, handshake.UnexpectedMessage},
		"a ticket that nobody asked for": {ECC_SM4_GCM_SM3, func(t *testing.T, s *server) {
			check(t, s.write(rawMessage(handshake.NewSessionTicket, make([]byte, 6)), nil))
		}, handshake.UnexpectedMessage},
		"the end at once": {ECC_SM4_GCM_SM3, func(_ *testing.T, s *server) { s.conn.WriteChangeCipherSpec() }, handshake.UnexpectedMessage},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := configs(t)
			client.Suites, client.Certificate = []uint16{test.suite}, pki(t).client
			if got := rogueServer(t, client, func(s *server) { test.act(t, s) }); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// A server that claims to resume what was never offered gets a full handshake's questions.
func TestResumptionOutOfNothing(t *testing.T) {
	_, client := configs(t)
	client.Suites = []uint16{ECC_SM4_GCM_SM3}
	got := rogueServer(t, client, func(s *server) {
		s.master = make([]byte, secretLen)
		_, half, err := s.halves()
		check(t, err)
		check(t, s.writeFinished(serverFinished, half))
	})
	if got != handshake.UnexpectedMessage {
		t.Error(got)
	}
}

// Points that are none end in an error, no panic.
func TestKeysThatAreNoPoints(t *testing.T) {
	key := pki(t).server.Encrypt.(*sm2.PrivateKey)
	a, err := softKey{key}.Agree(source(nil))
	check(t, err)
	for _, point := range [][]byte{nil, {0}, {4}, make([]byte, 65), append([]byte{4}, make([]byte, 64)...)} {
		if _, err := a.Secret(point, a.Ephemeral(), true, 48); err == nil {
			t.Errorf("%x is taken as a static key", point)
		}
		if _, err := a.Secret(a.Ephemeral(), point, true, 48); err == nil {
			t.Errorf("%x is taken as an ephemeral key", point)
		}
	}
}
