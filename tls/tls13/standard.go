package tls13

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"io"
	"net"
	"slices"

	"golang.org/x/sys/cpu"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// ServerStandard is Server with the algorithms that every client of TLS 1.3 knows (RFC 8446
// §9.1 and X25519MLKEM768), for clients that crypto/tls has no handshake for: those that send
// early data. Config.Certificate is not of SM2. Clients are not asked for certificates.
func ServerStandard(conn net.Conn, config *ServerConfig) (*handshake.Result, error) {
	return serve(conn, config, func(hello *clientHello) (*profile, error) { return standard(config, hello) })
}

// standard chooses the algorithms of one handshake, by crypto/tls's rules. The scheme is 0 if the
// client has none for the certificate's key: it may resume a session all the same.
func standard(config *ServerConfig, hello *clientHello) (*profile, error) {
	p := &profile{suite: standardSuite(hello.suites), group: standardGroup(config.Groups, hello)}
	switch p.suite {
	case 0:
		return nil, handshake.Errorf(handshake.HandshakeFailure, "the client offers no suite of TLS 1.3 that is known")
	case tls.TLS_AES_256_GCM_SHA384:
		p.newHash = sha512.New384
	default:
		p.newHash = sha256.New
	}
	if p.group == 0 {
		return nil, handshake.Errorf(handshake.HandshakeFailure, "the client offers none of the groups for the key exchange")
	}
	p.newShare = func(random io.Reader) (share, error) { return newShare(p.group, random) }
	p.half = func(secret []byte) (*record.Half, error) { return record.NewTLS13(p.suite, secret) }
	if key, ok := config.Certificate.PrivateKey.(crypto.Signer); ok {
		allowed := standardSchemes(key.Public())
		for _, scheme := range hello.schemes {
			if slices.Contains(allowed, tls.SignatureScheme(scheme)) {
				p.scheme = scheme
				break
			}
		}
	}
	p.sign = func(random io.Reader, key crypto.Signer, message []byte) ([]byte, error) {
		return signStandard(tls.SignatureScheme(p.scheme), random, key, message)
	}
	return p, nil
}

// standardSuite is the suite for a client, 0 for none: AES where the server's processor has
// instructions for it and the client prefers it to ChaCha20, whose processor may have none.
func standardSuite(offered []uint16) uint16 {
	order := []uint16{tls.TLS_CHACHA20_POLY1305_SHA256, tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384}
	first := slices.IndexFunc(offered, func(suite uint16) bool { return slices.Contains(order, suite) })
	if first < 0 {
		return 0
	}
	if offered[first] != tls.TLS_CHACHA20_POLY1305_SHA256 && hasAES() {
		order = []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_CHACHA20_POLY1305_SHA256, tls.TLS_AES_256_GCM_SHA384}
	}
	for _, suite := range order {
		if slices.Contains(offered, suite) {
			return suite
		}
	}
	return 0
}

func hasAES() bool {
	return cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL || cpu.S390X.HasAES && cpu.S390X.HasGHASH
}

// standardGroup is the group for a client, 0 for none: one that quantum computers do not break
// before others, then one that it sent a share of.
func standardGroup(allowed []tls.CurveID, hello *clientHello) uint16 {
	best, rank := uint16(0), 0
	for _, group := range []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521} {
		if !slices.Contains(hello.groups, uint16(group)) || len(allowed) > 0 && !slices.Contains(allowed, group) {
			continue
		}
		own := 1
		if hello.share(uint16(group)) != nil {
			own = 2
		}
		if group == tls.X25519MLKEM768 {
			own = 3
		}
		if own > rank {
			best, rank = uint16(group), own
		}
	}
	return best
}

// standardSchemes are the signature schemes of TLS 1.3 that a key can make (RFC 8446 §4.2.3).
func standardSchemes(key crypto.PublicKey) []tls.SignatureScheme {
	switch key := key.(type) {
	case *rsa.PublicKey:
		var schemes []tls.SignatureScheme
		for _, one := range []struct {
			scheme tls.SignatureScheme
			hash   crypto.Hash
		}{{tls.PSSWithSHA256, crypto.SHA256}, {tls.PSSWithSHA384, crypto.SHA384}, {tls.PSSWithSHA512, crypto.SHA512}} {
			if key.Size() >= 2*one.hash.Size()+2 {
				schemes = append(schemes, one.scheme)
			}
		}
		return schemes
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}
		case elliptic.P384():
			return []tls.SignatureScheme{tls.ECDSAWithP384AndSHA384}
		case elliptic.P521():
			return []tls.SignatureScheme{tls.ECDSAWithP521AndSHA512}
		}
	case ed25519.PublicKey:
		return []tls.SignatureScheme{tls.Ed25519}
	}
	return nil
}

func signStandard(scheme tls.SignatureScheme, random io.Reader, key crypto.Signer, message []byte) ([]byte, error) {
	pss := func(hash crypto.Hash) crypto.SignerOpts {
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	var options crypto.SignerOpts
	switch scheme {
	case tls.ECDSAWithP256AndSHA256:
		options = crypto.SHA256
	case tls.ECDSAWithP384AndSHA384:
		options = crypto.SHA384
	case tls.ECDSAWithP521AndSHA512:
		options = crypto.SHA512
	case tls.PSSWithSHA256:
		options = pss(crypto.SHA256)
	case tls.PSSWithSHA384:
		options = pss(crypto.SHA384)
	case tls.PSSWithSHA512:
		options = pss(crypto.SHA512)
	case tls.Ed25519:
		options = crypto.Hash(0)
	default:
		return nil, handshake.Errorf(handshake.InternalError, "no scheme was chosen")
	}
	return crypto.SignMessage(key, random, message, options)
}
