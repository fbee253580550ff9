package tls13

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"longmen/tls/handshake"

	"github.com/emmansun/gmsm/smx509"
)

func TestFull(t *testing.T) {
	p := newPair(t)
	client, server := p.mustShake(t)
	for side, result := range map[string]*handshake.Result{"client": client, "server": server} {
		if result.Version != 0x0304 || result.Suite != 0x00C6 || result.Group != 41 || result.Resumed ||
			result.ServerName != "server.test" || result.Protocol != "" {
			t.Errorf("%s: %+v", side, result)
		}
	}
	if !client.PeerVerified || !sameChain(client.PeerChain, p.server.Certificate.Certificate) {
		t.Error("the client does not tell the server's chain")
	}
	if server.PeerVerified || server.PeerChain != nil {
		t.Error("the server tells of a chain that no client showed")
	}
}

func sameChain(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

func TestRetry(t *testing.T) {
	p := newPair(t)
	p.client.holdShare = true
	p.server.Tickets, p.client.Sessions = &plainTickets{}, NewSessions(1)
	p.mustShake(t)
	if _, server := p.mustShake(t); !server.Resumed { // a binder over both hellos
		t.Error("no session was taken up after a retry")
	}
}

func TestALPN(t *testing.T) {
	for _, c := range []struct {
		server, client []string
		want           string
		refused        bool
	}{
		{[]string{"h2", "http/1.1"}, []string{"http/1.1", "h2"}, "h2", false},
		{[]string{"h2"}, nil, "", false},
		{[]string{"h2"}, []string{}, "", false},
		{nil, []string{"h2"}, "", false},
		{[]string{"h2"}, []string{"http/1.1"}, "", true},
	} {
		p := newPair(t)
		p.server.Protocols, p.client.Protocols = c.server, c.client
		if c.refused {
			client, server := p.shake(t)
			wantAlert(t, server.err, handshake.NoApplicationProtocol, false)
			wantAlert(t, client.err, handshake.NoApplicationProtocol, true)
			continue
		}
		if client, server := p.mustShake(t); client.Protocol != c.want || server.Protocol != c.want {
			t.Errorf("%v, %v: %q and %q, want %q", c.server, c.client, client.Protocol, server.Protocol, c.want)
		}
	}
}

func TestMutual(t *testing.T) {
	p := newPair(t)
	asked := 0
	p.server.ClientCAs = p.authority.pool
	p.server.VerifyPeer = func(chain []*smx509.Certificate) error {
		asked++
		if chain[0].Subject.CommonName != "client.test" {
			return errors.New("another client")
		}
		return nil
	}
	own := p.authority.issue(t, "client.test", newKey(t), nil)
	for _, mode := range []ClientAuth{ClientAuthNone, ClientAuthOffered, ClientAuthRequire} {
		p.server.ClientAuth, asked, p.client.Certificate = mode, 0, own
		_, server := p.mustShake(t)
		shown := mode != ClientAuthNone
		if server.PeerVerified != shown || shown != (asked == 1) || shown && !sameChain(server.PeerChain, own.Certificate) {
			t.Errorf("mode %d: verified %v, asked %d times, %d certificates", mode, server.PeerVerified, asked, len(server.PeerChain))
		}
		p.client.Certificate = nil
		if mode != ClientAuthRequire {
			if _, server := p.mustShake(t); server.PeerVerified || server.PeerChain != nil {
				t.Errorf("mode %d: a chain of a client that showed none", mode)
			}
		}
	}
}

// TestRefusedCertificates is what each side says of the other's certificate.
func TestRefusedCertificates(t *testing.T) {
	stranger := newAuthority(t, "stranger")
	expired := func(c *smx509.Certificate) { c.NotAfter = noon.Add(-time.Second) }
	future := func(c *smx509.Certificate) { c.NotBefore = noon.Add(time.Minute) }
	noSigning := func(c *smx509.Certificate) { c.KeyUsage = smx509.KeyUsageKeyEncipherment }
	wrongPurpose := func(c *smx509.Certificate) { c.ExtKeyUsage = []smx509.ExtKeyUsage{smx509.ExtKeyUsageCodeSigning} }
	otherKey := func(p *pair) { p.server.Certificate.PrivateKey = newKey(t) }
	cases := map[string]struct {
		change func(p *pair)
		alert  handshake.Alert
		client bool // the client refuses the server's
	}{
		"server unknown":   {func(p *pair) { p.client.Roots = stranger.pool }, handshake.UnknownCA, true},
		"server expired":   {func(p *pair) { p.server.Certificate = p.authority.issue(t, "server.test", newKey(t), expired) }, handshake.CertificateExpired, true},
		"server early":     {func(p *pair) { p.server.Certificate = p.authority.issue(t, "server.test", newKey(t), future) }, handshake.CertificateExpired, true},
		"server name":      {func(p *pair) { p.server.Certificate = p.authority.issue(t, "other.test", newKey(t), nil) }, handshake.BadCertificate, true},
		"server usage":     {func(p *pair) { p.server.Certificate = p.authority.issue(t, "server.test", newKey(t), noSigning) }, handshake.UnsupportedCertificate, true},
		"server purpose":   {func(p *pair) { p.server.Certificate = p.authority.issue(t, "server.test", newKey(t), wrongPurpose) }, handshake.BadCertificate, true},
		"server key":       {otherKey, handshake.DecryptError, true},
		"server garbage":   {func(p *pair) { p.server.Certificate.Certificate = [][]byte{{0x30, 1, 0}} }, handshake.BadCertificate, true},
		"server none":      {func(p *pair) { p.server.Certificate.Certificate = nil }, handshake.DecodeError, true},
		"server last word": {func(p *pair) { p.client.VerifyPeer = refuse }, handshake.AccessDenied, true},
		"client none":      {func(p *pair) { p.client.Certificate = nil }, handshake.CertificateRequired, false},
		"client unknown":   {func(p *pair) { p.server.ClientCAs = stranger.pool }, handshake.UnknownCA, false},
		"client no roots":  {func(p *pair) { p.server.ClientCAs = nil }, handshake.UnknownCA, false},
		"client expired":   {func(p *pair) { p.client.Certificate = p.authority.issue(t, "c", newKey(t), expired) }, handshake.CertificateExpired, false},
		"client purpose":   {func(p *pair) { p.client.Certificate = p.authority.issue(t, "c", newKey(t), wrongPurpose) }, handshake.BadCertificate, false},
		"client key":       {func(p *pair) { p.client.Certificate.PrivateKey = newKey(t) }, handshake.DecryptError, false},
		"client last word": {func(p *pair) { p.server.VerifyPeer = refuse }, handshake.AccessDenied, false},
		"client plain":     {func(p *pair) { p.server.VerifyPeer = refusePlainly }, handshake.BadCertificate, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.server.ClientAuth, p.server.ClientCAs = ClientAuthRequire, p.authority.pool
			p.client.Certificate = p.authority.issue(t, "client.test", newKey(t), nil)
			c.change(p)
			client, server := p.shake(t)
			if c.client {
				wantAlert(t, client.err, c.alert, false)
				wantAlert(t, server.err, c.alert, true)
				return
			}
			wantAlert(t, server.err, c.alert, false)
			wantSessionAlert(t, client, c.alert)
		})
	}
}

func refuse([]*smx509.Certificate) error {
	return handshake.Errorf(handshake.AccessDenied, "not you")
}

func refusePlainly([]*smx509.Certificate) error { return errors.New("not you") }

// TestJudge: without authorities, VerifyPeer judges clients alone, and each time.
func TestJudge(t *testing.T) {
	p := newPair(t).mutual(t)
	judged := 0
	p.server.ClientCAs, p.server.Tickets, p.client.Sessions = nil, &plainTickets{}, NewSessions(1)
	p.server.VerifyPeer = func(chain []*smx509.Certificate) error {
		judged++
		if !bytes.Equal(chain[0].Raw, p.client.Certificate.Certificate[0]) {
			return errors.New("another client")
		}
		return nil
	}
	for i := range 2 {
		_, server := p.mustShake(t)
		if server.PeerVerified || !sameChain(server.PeerChain, p.client.Certificate.Certificate) || judged != i+1 || server.Resumed != (i == 1) {
			t.Errorf("connection %d: verified %v, judged %d times, resumed %v", i, server.PeerVerified, judged, server.Resumed)
		}
	}
	p.server.VerifyPeer, p.client.Sessions = refusePlainly, nil
	_, server := p.shake(t)
	wantAlert(t, server.err, handshake.BadCertificate, false)
}

// TestHugeKey: a peer's chain with a key that is costly to verify by is not verified.
func TestHugeKey(t *testing.T) {
	p := newPair(t)
	modulus := new(big.Int).Lsh(big.NewInt(1), maxRSABits)
	huge := &rsa.PublicKey{N: modulus.Add(modulus, big.NewInt(1)), E: 65537}
	template := &smx509.Certificate{SerialNumber: big.NewInt(3), NotBefore: noon, NotAfter: noon}
	p.server.Certificate.Certificate = append(p.server.Certificate.Certificate, create(t, template, p.authority.root, huge, p.authority.key))
	client, server := p.shake(t)
	wantAlert(t, client.err, handshake.BadCertificate, false)
	wantAlert(t, server.err, handshake.BadCertificate, true)
	if !strings.Contains(client.err.Error(), "8193 bits") {
		t.Error(client.err)
	}
}

func TestNoCertificate(t *testing.T) {
	p := newPair(t)
	p.server.Certificate = nil
	client, server := p.shake(t)
	if !errors.Is(server.err, errNoCertificate) {
		t.Error(server.err)
	}
	wantAlert(t, client.err, handshake.InternalError, true)
}

// TestInsecure takes whoever has the key of whatever certificate is shown, and says so.
func TestInsecure(t *testing.T) {
	p := newPair(t)
	p.client.Roots, p.client.ServerName, p.client.Insecure = nil, "", true
	client, _ := p.mustShake(t)
	if client.PeerVerified || len(client.PeerChain) != 1 {
		t.Errorf("verified %v, %d certificates", client.PeerVerified, len(client.PeerChain))
	}
	p.client.Insecure = false
	if c, s := p.shake(t); !errors.Is(c.err, errNoName) || s.err == nil {
		t.Errorf("a client that has no name to verify: %v, server: %v", c.err, s.err)
	}
}

// TestNames: the name that is verified may be another than is sent, and addresses are not sent.
func TestNames(t *testing.T) {
	p := newPair(t)
	p.client.ServerName, p.client.VerifyName = "Front.Test", "server.test"
	if _, server := p.mustShake(t); server.ServerName != "front.test" {
		t.Errorf("the server was asked for %q", server.ServerName)
	}
	p.client.ServerName, p.client.VerifyName = "192.0.2.1", "server.test"
	if _, server := p.mustShake(t); server.ServerName != "" {
		t.Errorf("the server was asked for %q", server.ServerName)
	}
}

func TestKeyLog(t *testing.T) {
	p := newPair(t)
	client, server := &secretLog{}, &secretLog{}
	p.client.KeyLog, p.server.KeyLog = client, server
	p.mustShake(t)
	for _, label := range []string{logClientHandshake, logServerHandshake, logClientApplication, logServerApplication} {
		if secret := client.secret(label); len(secret) != 32 || !bytes.Equal(secret, server.secret(label)) {
			t.Errorf("%s: %d bytes, the same on both sides: %v", label, len(secret), bytes.Equal(secret, server.secret(label)))
		}
	}
}
