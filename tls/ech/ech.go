// Package ech holds the keys of Encrypted Client Hello (RFC 9849): their files (RFC 9934), what
// is published of them, and which of them a ClientHello may have been encrypted to. What is
// done with them is crypto/tls's.
package ech

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// Code points of RFC 9849 section 4 and RFC 9180 section 7.
const (
	version        = 0xfe0d
	kemX25519      = 0x0020 // DHKEM(X25519, HKDF-SHA256), which all must implement
	kdfSHA256      = 0x0001
	aeadAES128     = 0x0001
	aeadAES256     = 0x0002
	aeadChaCha     = 0x0003
	mandatory      = 0x8000 // the bit of extensions that must be understood
	maxNameLength  = 0      // the longest name that is served is not known: clients pad as they see fit
	publicNameSize = 253
)

// A Key is one ECHConfig and the private key to it.
type Key struct {
	// PublicName is the server name that is sent in the clear. The server needs a certificate
	// for it: clients with an old configuration verify it before they take a new one.
	PublicName string

	config  []byte // the ECHConfig
	id      uint8
	suites  [][2]uint16 // KDF and AEAD
	private *ecdh.PrivateKey
}

// New makes a key.
func New(publicName string) (*Key, error) {
	if err := checkName(publicName); err != nil {
		return nil, err
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	var id [1]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddUint16(version)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint8(id[0])
		b.AddUint16(kemX25519)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(private.PublicKey().Bytes()) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, aead := range []uint16{aeadAES128, aeadChaCha} {
				b.AddUint16(kdfSHA256)
				b.AddUint16(aead)
			}
		})
		b.AddUint8(maxNameLength)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(publicName)) })
		b.AddUint16(0) // no extensions
	})
	config, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	key, err := readConfig(config)
	if err != nil {
		return nil, err
	}
	key.private = private
	return key, nil
}

// List is the ECHConfigList of this key alone.
func (k *Key) List() []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(k.config))), k.config...)
}

// Record is the value of the parameter ech in the HTTPS records (RFC 9848) of the names that
// are served.
func (k *Key) Record() string { return base64.StdEncoding.EncodeToString(k.List()) }

// String names the key, and shows nothing of it.
func (k *Key) String() string { return fmt.Sprintf("ECH key %d for %s", k.id, k.PublicName) }

// Format writes String for every verb: no way of printing shows the key.
func (k *Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

var (
	errConfig = errors.New("a malformed ECHConfig")
	errOther  = errors.New("an ECHConfig of another version, KEM or with an extension that is not known")
)

// readConfig reads one ECHConfig of this version with X25519; errOther is one of another kind.
func readConfig(config []byte) (*Key, error) {
	s := cryptobyte.String(config)
	var v, kem uint16
	var id, most uint8
	var contents, public, suites, name, extensions cryptobyte.String
	if !s.ReadUint16(&v) || !s.ReadUint16LengthPrefixed(&contents) || !s.Empty() {
		return nil, errConfig
	}
	if v != version {
		return nil, errOther
	}
	if !contents.ReadUint8(&id) || !contents.ReadUint16(&kem) ||
		!contents.ReadUint16LengthPrefixed(&public) || !contents.ReadUint16LengthPrefixed(&suites) ||
		!contents.ReadUint8(&most) || !contents.ReadUint8LengthPrefixed(&name) ||
		!contents.ReadUint16LengthPrefixed(&extensions) || !contents.Empty() {
		return nil, errConfig
	}
	for !extensions.Empty() {
		var typ uint16
		var body cryptobyte.String
		if !extensions.ReadUint16(&typ) || !extensions.ReadUint16LengthPrefixed(&body) {
			return nil, errConfig
		}
		if typ&mandatory != 0 {
			return nil, errOther
		}
	}
	if kem != kemX25519 {
		return nil, errOther
	}
	k := &Key{PublicName: string(name), config: config, id: id}
	for !suites.Empty() {
		var suite [2]uint16
		if !suites.ReadUint16(&suite[0]) || !suites.ReadUint16(&suite[1]) {
			return nil, errConfig
		}
		if known(suite) {
			k.suites = append(k.suites, suite)
		}
	}
	if len(k.suites) == 0 {
		return nil, errOther
	}
	if _, err := ecdh.X25519().NewPublicKey(public); err != nil {
		return nil, errConfig
	}
	return k, checkName(k.PublicName)
}

// public is the public key of the configuration.
func (k *Key) public() []byte {
	const at = 2 + 2 + 1 + 2 + 2 // version, length, id, KEM, length
	return k.config[at : at+32]
}

// known reports whether crypto/tls can open what is sealed with the suite.
func known(suite [2]uint16) bool {
	return suite[0] == kdfSHA256 && (suite[1] == aeadAES128 || suite[1] == aeadAES256 || suite[1] == aeadChaCha)
}

// checkName checks a public name as clients do (RFC 9849 section 4): LDH labels, no address.
func checkName(name string) error {
	wrong := fmt.Errorf("%q is no public name for ECH, such as public.example.com", clip(name))
	if len(name) == 0 || len(name) > publicNameSize {
		return wrong
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		odd := func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
		}
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, odd) {
			return wrong
		}
	}
	// What a browser would read as an IPv4 address ends in a number.
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" || strings.HasPrefix(strings.ToLower(last), "0x") {
		return wrong
	}
	return nil
}

func clip(text string) string {
	const most = 64
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

func (k *Key) standard(retry bool) tls.EncryptedClientHelloKey {
	return tls.EncryptedClientHelloKey{Config: k.config, PrivateKey: k.private.Bytes(), SendAsRetry: retry}
}
