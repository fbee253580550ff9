package tlcp

import (
	"crypto/ecdsa"
	"crypto/subtle"

	"github.com/emmansun/gmsm/sm2"

	"longmen/tls/handshake"
)

// A serverExchange is the server's part of a key exchange.
type serverExchange interface {
	// message is the ServerKeyExchange.
	message() ([]byte, error)
	// premaster takes the body of the ClientKeyExchange.
	premaster(body []byte) ([]byte, error)
}

func (s *server) newExchange() (serverExchange, error) {
	if !agrees(s.suite) {
		return (*eccServer)(s), nil
	}
	agreement, err := s.config.Certificate.agreementKey().Agree(source(s.config.Rand))
	if err != nil {
		return nil, err
	}
	return &ecdheServer{s, agreement}, nil
}

// signedCertificate is what ECC's ServerKeyExchange signs: both randoms and the encryption
// certificate with its length (GB/T 38636 §6.4.5.4).
func signedCertificate(f *flow, encryption []byte) []byte {
	n := len(encryption)
	b := make([]byte, 0, 2*randomLen+3+n)
	b = append(append(b, f.clientRandom...), f.serverRandom...)
	b = append(b, byte(n>>16), byte(n>>8), byte(n))
	return append(b, encryption...)
}

// signedParams is what ECDHE's ServerKeyExchange signs: both randoms and the parameters.
func signedParams(f *flow, params []byte) []byte {
	b := make([]byte, 0, 2*randomLen+len(params))
	b = append(append(b, f.clientRandom...), f.serverRandom...)
	return append(b, params...)
}

// eccServer has the client encrypt the premaster secret.
type eccServer server

func (e *eccServer) message() ([]byte, error) {
	c := e.config.Certificate
	signature, err := c.sign(source(e.config.Rand), signedCertificate(&e.flow, c.Chain[1]))
	if err != nil {
		return nil, err
	}
	return marshalVector(handshake.ServerKeyExchange, signature)
}

// premaster goes on with a random secret where decryption fails, so that the handshake ends
// at Finished whatever was wrong: a client learns nothing about other ciphertexts.
func (e *eccServer) premaster(body []byte) ([]byte, error) {
	ciphertext, err := parseVector(body, maxCiphertext, "ClientKeyExchange")
	if err != nil {
		return nil, err
	}
	instead, err := random(e.config.Rand, secretLen)
	if err != nil {
		return nil, err
	}
	plain, err := e.config.Certificate.Encrypt.Decrypt(source(e.config.Rand), ciphertext, nil)
	if err != nil {
		return instead, nil
	}
	return choosePremaster(plain, e.hello.version, instead), nil
}

// choosePremaster is plain if that is a premaster secret of a client of this version, and
// instead, in constant time, if it is not.
func choosePremaster(plain []byte, clientVersion uint16, instead []byte) []byte {
	if len(plain) != secretLen {
		return instead
	}
	same := subtle.ConstantTimeByteEq(plain[0], byte(clientVersion>>8)) & subtle.ConstantTimeByteEq(plain[1], byte(clientVersion))
	subtle.ConstantTimeCopy(same, instead, plain)
	return instead
}

// ecdheServer agrees on the premaster secret, as the initiator (GB/T 32918.3 §6).
type ecdheServer struct {
	*server
	agreement Agreement
}

func (e *ecdheServer) message() ([]byte, error) {
	params := agreementParams(e.agreement.Ephemeral())
	signature, err := e.config.Certificate.sign(source(e.config.Rand), signedParams(&e.flow, params))
	if err != nil {
		return nil, err
	}
	return marshalServerAgreement(params, signature)
}

func (e *ecdheServer) premaster(body []byte) ([]byte, error) {
	point, err := parseClientAgreement(body)
	if err != nil {
		return nil, err
	}
	return agree(e.agreement, e.peer.encrypt, point, true)
}

// agree computes the premaster secret from the peer's static key and ephemeral point.
func agree(a Agreement, static *ecdsa.PublicKey, point []byte, initiator bool) ([]byte, error) {
	key, err := sm2.PublicKeyToECDH(static)
	if err != nil {
		return nil, &handshake.Error{Alert: handshake.BadCertificate, Cause: err}
	}
	premaster, err := a.Secret(key.Bytes(), point, initiator, secretLen)
	if err != nil {
		return nil, &handshake.Error{Alert: handshake.IllegalParameter, Cause: err}
	}
	return premaster, nil
}

// A clientExchange is the client's part of a key exchange.
type clientExchange interface {
	// premaster makes the premaster secret and the ClientKeyExchange.
	premaster() (secret, message []byte, err error)
}

// newExchange reads the ServerKeyExchange and checks its signature.
func (c *client) newExchange(body []byte) (clientExchange, error) {
	forged := handshake.Errorf(handshake.DecryptError, "the server's signature is not that of its certificate")
	if !agrees(c.suite) {
		signature, err := parseVector(body, maxSignature, "ServerKeyExchange")
		if err != nil {
			return nil, err
		}
		if !verify(c.peer.sign, signedCertificate(&c.flow, c.peer.chain[1].Raw), signature) {
			return nil, forged
		}
		return (*eccClient)(c), nil
	}
	params, point, signature, err := parseServerAgreement(body)
	if err != nil {
		return nil, err
	}
	if !verify(c.peer.sign, signedParams(&c.flow, params), signature) {
		return nil, forged
	}
	return &ecdheClient{c, point}, nil
}

// eccClient encrypts a premaster secret to the server.
type eccClient client

func (e *eccClient) premaster() (secret, message []byte, err error) {
	rand := source(e.config.Rand)
	if secret, err = random(rand, secretLen); err != nil {
		return nil, nil, err
	}
	secret[0], secret[1] = byte(e.hello.version>>8), byte(e.hello.version&0xff)
	ciphertext, err := sm2.EncryptASN1(rand, e.peer.encrypt, secret)
	if err != nil {
		return nil, nil, &handshake.Error{Alert: handshake.BadCertificate, Cause: err}
	}
	message, err = marshalVector(handshake.ClientKeyExchange, ciphertext)
	return secret, message, err
}

// ecdheClient agrees on the premaster secret, as the responder.
type ecdheClient struct {
	*client
	point []byte // the server's ephemeral
}

func (e *ecdheClient) premaster() (secret, message []byte, err error) {
	if e.requested == nil {
		return nil, nil, handshake.Errorf(handshake.HandshakeFailure, "a server that agrees on keys must ask for certificates")
	}
	agreement, err := e.config.Certificate.agreementKey().Agree(source(e.config.Rand))
	if err != nil {
		return nil, nil, err
	}
	if secret, err = agree(agreement, e.peer.encrypt, e.point, false); err != nil {
		return nil, nil, err
	}
	message, err = marshalClientAgreement(agreementParams(agreement.Ephemeral()))
	return secret, message, err
}
