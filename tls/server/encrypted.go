package server

import (
	"crypto/tls"
	"errors"
	"slices"

	"longmen/tls/certificate"
	"longmen/tls/ech"
	"longmen/tls/handshake"
	"longmen/tls/hello"
	"longmen/tls/std"
	"longmen/tls/tls13"
)

// Encrypted Client Hello (RFC 9849). The server name in the clear is the public one; settings and
// certificate are those of the inner name, which crypto/tls alone reads. A hello that no key of
// ours can open is served by what it says in the clear, and told the configuration to use.

// extEncrypted is the extension encrypted_client_hello.
const extEncrypted = 0xfe0d

// openers are the keys that may open a hello; nil for most.
func (c *Config) openers(h *hello.ClientHello) []tls.EncryptedClientHelloKey {
	if c.ECH == nil || !h.ECH || !h.Offers(tls.VersionTLS13) {
		return nil
	}
	extension, _ := h.Extensions.Find(extEncrypted)
	return c.ECH.Candidates(extension)
}

// serveEncrypted runs the handshake of a hello that the keys may open. SM is not for those.
func (c *Config) serveEncrypted(h *Handshake, keys []tls.EncryptedClientHelloKey) (*handshake.Result, error) {
	var chosen *certificate.Certificate
	var own *tls.Certificate
	var name string
	give := keysThenRetry(keys, c.ECH)
	result, err := std.Server(h.Conn, &tls.Config{GetEncryptedClientHelloKeys: give}, std.Options{
		Choose: func(inner *tls.ClientHelloInfo) (*tls.Config, error) {
			asked, err := askedWithin(inner)
			if err != nil {
				return nil, err
			}
			var settings *Settings
			if settings, chosen, err = c.choose(h, asked); err != nil {
				return nil, err
			}
			name = asked.name
			if own, err = settings.standardCertificate(h, chosen); err != nil {
				return nil, refused(handshake.InternalError, err)
			}
			config := settings.configFor(h).Clone()
			config.GetEncryptedClientHelloKeys = give
			return config, nil
		},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own, nil },
		KeyLog:         h.KeyLog,
	})
	if err != nil {
		return nil, err
	}
	result.ServerName = name
	return c.told(h, result, chosen), nil
}

// askedWithin is askedBy for a hello that crypto/tls has read.
func askedWithin(h *tls.ClientHelloInfo) (request, error) {
	name, err := hello.HostName(h.ServerName)
	if e, ok := errors.AsType[*hello.Error](err); ok {
		return request{}, refused(handshake.Alert(e.Alert), err)
	}
	r := request{
		name: name, tls12: slices.Contains(h.SupportedVersions, tls.VersionTLS12), tls13: slices.Contains(h.SupportedVersions, tls.VersionTLS13),
		schemes: numbers(h.SignatureSchemes), groups: numbers(h.SupportedCurves),
	}
	for _, suite := range h.CipherSuites {
		if suite != tls13.SuiteSM4GCMSM3 {
			r.suites = append(r.suites, suite)
		}
	}
	return r, nil
}

func numbers[T ~uint16](list []T) []uint16 {
	out := make([]uint16, len(list))
	for i, v := range list {
		out[i] = uint16(v)
	}
	return out
}

// keysThenRetry gives crypto/tls, which asks once when it has read the hello and again when it
// could not open that, the keys to try and then the one to tell the client of.
func keysThenRetry(keys []tls.EncryptedClientHelloKey, all *ech.Keys) func(*tls.ClientHelloInfo) ([]tls.EncryptedClientHelloKey, error) {
	next := keys
	return func(*tls.ClientHelloInfo) ([]tls.EncryptedClientHelloKey, error) {
		now := next
		next = all.Retry()
		return now, nil
	}
}
