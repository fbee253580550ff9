package tlcp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/handshake"
)

// leafOf replaces one leaf of a pair by a new one with another key.
func leafOf(t testing.TB, pair *Certificate, index int, ca *testCA, usage smx509.KeyUsage, edit func(*smx509.Certificate)) *Certificate {
	t.Helper()
	changed := *pair
	changed.Chain = append([][]byte(nil), pair.Chain...)
	var key *sm2.PrivateKey
	changed.Chain[index], key = ca.issue(t, "server.test", usage, edit)
	if index == 0 {
		changed.Sign = key
	} else {
		changed.Encrypt = key
	}
	return &changed
}

func expired(c *smx509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
}

func forClients(c *smx509.Certificate) {
	c.ExtKeyUsage = []smx509.ExtKeyUsage{smx509.ExtKeyUsageClientAuth}
}
func forServers(c *smx509.Certificate) {
	c.ExtKeyUsage = []smx509.ExtKeyUsage{smx509.ExtKeyUsageServerAuth}
}
func otherName(c *smx509.Certificate) { c.DNSNames = []string{"other.test"} }

func TestServerCertificates(t *testing.T) {
	p := pki(t)
	stranger := newCA(t, "stranger", nil)
	intermediate := newCA(t, "intermediate", p.ca)
	below := intermediate.pair(t, "server.test")
	complete := *below
	complete.Chain = append(append([][]byte(nil), below.Chain...), intermediate.cert.Raw)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	p256Leaf := template("server.test", signUsage)
	p256Leaf.DNSNames = []string{"server.test"}
	p256DER, err := smx509.CreateCertificate(rand.Reader, p256Leaf, p.ca.cert, p256.Public(), p.ca.key)
	check(t, err)

	const ok = handshake.CloseNotify
	for name, test := range map[string]struct {
		certificate *Certificate
		want        handshake.Alert
	}{
		"good":                          {p.server, ok},
		"below an intermediate":         {&complete, ok},
		"an intermediate missing":       {below, handshake.UnknownCA},
		"of another CA":                 {stranger.pair(t, "server.test"), handshake.UnknownCA},
		"for another name":              {p.ca.pair(t, "other.test"), handshake.BadCertificate},
		"signing expired":               {leafOf(t, p.server, 0, p.ca, signUsage, expired), handshake.CertificateExpired},
		"encryption expired":            {leafOf(t, p.server, 1, p.ca, encryptUsage, expired), handshake.CertificateExpired},
		"signing for another name":      {leafOf(t, p.server, 0, p.ca, signUsage, otherName), handshake.BadCertificate},
		"encryption for another name":   {leafOf(t, p.server, 1, p.ca, encryptUsage, otherName), handshake.BadCertificate},
		"encryption of another CA":      {leafOf(t, p.server, 1, stranger, encryptUsage, nil), handshake.UnknownCA},
		"signing for clients":           {leafOf(t, p.server, 0, p.ca, signUsage, forClients), handshake.BadCertificate},
		"encryption without purposes":   {leafOf(t, p.server, 1, p.ca, encryptUsage, func(c *smx509.Certificate) { c.ExtKeyUsage = nil }), ok},
		"no key usages":                 {leafOf(t, leafOf(t, p.server, 1, p.ca, 0, nil), 0, p.ca, 0, nil), ok},
		"signing that may not sign":     {leafOf(t, p.server, 0, p.ca, encryptUsage, nil), handshake.BadCertificate},
		"encryption that may not":       {leafOf(t, p.server, 1, p.ca, signUsage, nil), handshake.BadCertificate},
		"one for both":                  {leafOf(t, p.server, 1, p.ca, signUsage|encryptUsage, nil), ok},
		"a CA in place of encryption":   {&Certificate{Chain: [][]byte{p.server.Chain[0], p.ca.cert.Raw}, Sign: p.server.Sign, Encrypt: p.ca.key}, handshake.BadCertificate},
		"a signing key of another kind": {&Certificate{Chain: [][]byte{p256DER, p.server.Chain[1]}, Sign: p.server.Sign, Encrypt: p.server.Encrypt}, handshake.UnsupportedCertificate},
		"no certificate at all":         {&Certificate{Chain: [][]byte{{1}, {2}}, Sign: p.server.Sign, Encrypt: p.server.Encrypt}, handshake.BadCertificate},
		"the wrong signing key":         {&Certificate{Chain: p.server.Chain, Sign: p.client.Sign, Encrypt: p.server.Encrypt}, handshake.DecryptError},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := configs(t)
			server.Certificate = test.certificate
			if test.want == ok {
				succeed(t, server, client)
				return
			}
			fails(t, shake(t, server, client), "client", test.want)
		})
	}
}

func TestClientRoots(t *testing.T) {
	server, client := configs(t)
	client.Roots = nil // the system's, which do not have it
	fails(t, shake(t, server, client), "client", handshake.UnknownCA)
	client.Insecure = true
	if o := succeed(t, server, client); o.client.PeerVerified || !sameChain(o.client.PeerChain, server.Certificate.Chain) {
		t.Errorf("%+v", o.client)
	}
	client.VerifyPeer = func([]*smx509.Certificate) error { return errors.New("another pin") }
	fails(t, shake(t, server, client), "client", handshake.BadCertificate)
	_, client = configs(t)
	client.ServerName, client.VerifyName = "sent.test", "server.test"
	if o := succeed(t, server, client); o.server.ServerName != "sent.test" {
		t.Errorf("%+v", o.server)
	}
}

// An IP address is verified and never sent (RFC 6066 §3).
func TestIPAddress(t *testing.T) {
	server, client := configs(t)
	server.Certificate = addressPair(t)
	client.ServerName = "127.0.0.1"
	if o := succeed(t, server, client); o.server.ServerName != "" {
		t.Errorf("%q was sent", o.server.ServerName)
	}
	client.ServerName = "127.0.0.2"
	fails(t, shake(t, server, client), "client", handshake.BadCertificate)
}

func TestClientCertificates(t *testing.T) {
	p := pki(t)
	stranger := newCA(t, "stranger", nil)
	intermediate := newCA(t, "intermediate", p.ca)
	below := intermediate.pair(t, "client.test")
	complete := *below
	complete.Chain = append(append([][]byte(nil), below.Chain...), intermediate.cert.Raw)
	signOnly := &Certificate{Chain: p.client.Chain[:1], Sign: p.client.Sign}
	signBelow := &Certificate{Chain: [][]byte{below.Chain[0], intermediate.cert.Raw}, Sign: below.Sign}

	const ok = handshake.CloseNotify
	for name, test := range map[string]struct {
		certificate *Certificate
		auth        ClientAuth
		suites      []uint16
		want        handshake.Alert
		verified    bool
	}{
		"required and good":             {p.client, ClientAuthRequire, nil, ok, true},
		"offered and good":              {p.client, ClientAuthOffered, nil, ok, true},
		"required and none":             {nil, ClientAuthRequire, nil, handshake.HandshakeFailure, false},
		"offered and none":              {nil, ClientAuthOffered, nil, ok, false},
		"not asked for":                 {p.client, ClientAuthNone, nil, ok, false},
		"signing alone":                 {signOnly, ClientAuthRequire, nil, ok, true},
		"signing below an intermediate": {signBelow, ClientAuthRequire, nil, ok, true},
		"below an intermediate":         {&complete, ClientAuthRequire, nil, ok, true},
		"of another CA":                 {stranger.pair(t, "client.test"), ClientAuthOffered, nil, handshake.UnknownCA, false},
		"encryption of another CA":      {leafOf(t, p.client, 1, stranger, encryptUsage, nil), ClientAuthRequire, nil, handshake.UnknownCA, false},
		"expired":                       {leafOf(t, p.client, 0, p.ca, signUsage, expired), ClientAuthRequire, nil, handshake.CertificateExpired, false},
		"for servers":                   {leafOf(t, p.client, 0, p.ca, signUsage, forServers), ClientAuthRequire, nil, handshake.BadCertificate, false},
		"with another's key":            {&Certificate{Chain: p.client.Chain, Sign: p.server.Sign, Encrypt: p.client.Encrypt}, ClientAuthRequire, nil, handshake.DecryptError, false},
		"agreement and not asked for":   {p.client, ClientAuthNone, []uint16{ECDHE_SM4_GCM_SM3}, ok, false},
		"agreement of a stranger":       {stranger.pair(t, "client.test"), ClientAuthOffered, []uint16{ECDHE_SM4_GCM_SM3}, handshake.UnknownCA, false},
		"agreement with another's key":  {&Certificate{Chain: p.client.Chain, Sign: p.client.Sign, Encrypt: p.server.Encrypt}, ClientAuthRequire, []uint16{ECDHE_SM4_GCM_SM3}, handshake.BadRecordMAC, false},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := configs(t)
			server.ClientAuth, client.Certificate, client.Suites = test.auth, test.certificate, test.suites
			if test.want != ok {
				fails(t, shake(t, server, client), "server", test.want)
				return
			}
			o := succeed(t, server, client)
			if o.server.PeerVerified != test.verified || (o.server.PeerChain != nil) != test.verified {
				t.Errorf("%+v", o.server)
			}
		})
	}
}

func TestClientAuthWithoutRoots(t *testing.T) {
	server, client := configs(t)
	server.ClientAuth, server.ClientCAs, client.Certificate = ClientAuthRequire, nil, pki(t).client
	fails(t, shake(t, server, client), "server", handshake.UnknownCA)

	// Whoever judges certificates by something else than authorities does so alone.
	server.Sessions, client.Sessions = NewCache(16, time.Hour), NewCache(16, time.Hour)
	var judged int
	server.VerifyPeer = func(chain []*smx509.Certificate) error {
		judged++
		if !bytes.Equal(chain[0].Raw, pki(t).client.Chain[0]) {
			return errors.New("another certificate")
		}
		return nil
	}
	for i := range 2 {
		o := succeed(t, server, client)
		if o.server.PeerVerified || !sameChain(o.server.PeerChain, pki(t).client.Chain) || judged != i+1 || o.server.Resumed != (i == 1) {
			t.Errorf("%+v", o.server)
		}
	}
	client.Certificate, client.Sessions = pki(t).server, nil
	fails(t, shake(t, server, client), "server", handshake.BadCertificate)
	client.Certificate = nil
	fails(t, shake(t, server, client), "server", handshake.HandshakeFailure)
}

func TestManyAuthoritiesAreNotSent(t *testing.T) {
	p := pki(t)
	config, client := configs(t)
	config.ClientAuth, client.Certificate = ClientAuthRequire, p.client
	pool := p.ca.pool()
	name := make([]byte, 60)
	for i := range 300 {
		for j := range name {
			name[j] = 'a' + byte((i+j)%26)
		}
		c := *p.ca.cert
		c.RawSubject = append([]byte(nil), name...)
		c.Raw = append([]byte{byte(i), byte(i >> 8)}, c.Raw...)
		pool.AddCert(&c)
	}
	config.ClientCAs = pool
	if n := len((&server{config: config}).authorities()); n != 0 {
		t.Errorf("%d names", n)
	}
	succeed(t, config, client)
}

// A device keeps its keys to itself: all that it offers is in the interfaces.
type device struct {
	t   testing.TB
	key *sm2.PrivateKey
	err error
}

func (d *device) Public() crypto.PublicKey { return d.key.Public() }

type deviceSigner struct{ *device }

func (d deviceSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if len(digest) != 32 || opts == nil || opts.HashFunc() != 0 {
		d.t.Errorf("asked to sign %d bytes with %v", len(digest), opts)
	}
	if d.err != nil {
		return nil, d.err
	}
	return d.key.Sign(rand, digest, opts)
}

type deviceDecrypter struct{ *device }

func (d deviceDecrypter) Decrypt(rand io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	if opts != nil {
		d.t.Errorf("asked to decrypt with %v", opts)
	}
	if d.err != nil {
		return nil, d.err
	}
	return d.key.Decrypt(rand, ciphertext, opts)
}

type deviceAgreement struct{ deviceDecrypter }

func (d deviceAgreement) Agree(rand io.Reader) (Agreement, error) {
	if d.err != nil {
		return nil, d.err
	}
	return softKey{d.key}.Agree(rand)
}

func inDevice(t testing.TB, c *Certificate, agreement bool, err error) *Certificate {
	sign := &device{t, c.Sign.(*sm2.PrivateKey), err}
	encrypt := deviceDecrypter{&device{t, c.Encrypt.(*sm2.PrivateKey), err}}
	held := &Certificate{Chain: c.Chain, Sign: deviceSigner{sign}, Encrypt: encrypt}
	if agreement {
		held.Encrypt = deviceAgreement{encrypt}
	}
	return held
}

func TestKeysInADevice(t *testing.T) {
	p := pki(t)
	server, client := configs(t)
	server.Certificate, client.Certificate = inDevice(t, p.server, true, nil), inDevice(t, p.client, true, nil)
	server.ClientAuth = ClientAuthRequire
	for _, suite := range Suites() {
		client.Suites = []uint16{suite}
		succeed(t, server, client)
	}
	// Without key agreement there is no ECDHE.
	server.Certificate = inDevice(t, p.server, false, nil)
	fails(t, shake(t, server, client), "server", handshake.HandshakeFailure)
	client.Suites, client.Certificate = nil, inDevice(t, p.client, false, nil)
	if o := succeed(t, server, client); agrees(o.server.Suite) {
		t.Error("agreed")
	}
	client.Suites = []uint16{ECDHE_SM4_GCM_SM3}
	if _, err := Client(nil, client); err != errNoSuite {
		t.Error(err)
	}
}

func TestDeviceThatFails(t *testing.T) {
	p := pki(t)
	gone := errors.New("the device is gone")
	server, client := configs(t)
	client.Certificate = p.client
	for _, suite := range []uint16{ECC_SM4_GCM_SM3, ECDHE_SM4_GCM_SM3} {
		client.Suites = []uint16{suite}
		server.Certificate = inDevice(t, p.server, true, gone)
		o := shake(t, server, client)
		fails(t, o, "server", handshake.InternalError)
		if !errors.Is(o.serverErr, gone) {
			t.Error(o.serverErr)
		}
	}
	server.Certificate, server.ClientAuth = p.server, ClientAuthRequire
	client.Certificate = inDevice(t, p.client, true, gone)
	fails(t, shake(t, server, client), "client", handshake.InternalError)
}

func TestConfigurationErrors(t *testing.T) {
	server, client := configs(t)
	good := *server.Certificate
	for _, c := range []*Certificate{
		nil, {}, {Chain: good.Chain[:1], Sign: good.Sign, Encrypt: good.Encrypt},
		{Chain: good.Chain, Encrypt: good.Encrypt}, {Chain: good.Chain, Sign: good.Sign},
	} {
		server.Certificate = c
		o := shake(t, server, client)
		fails(t, o, "server", handshake.InternalError)
		if !errors.Is(o.serverErr, errNoCertificate) {
			t.Error(o.serverErr)
		}
	}
	server, client = configs(t)
	server.Suites = []uint16{0x1301}
	if o := shake(t, server, client); !errors.Is(o.serverErr, errNoSuite) {
		t.Error(o.serverErr)
	}
	client.ServerName = ""
	if _, err := Client(nil, client); err != errNoName {
		t.Error(err)
	}
}
