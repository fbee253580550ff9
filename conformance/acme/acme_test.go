package acme_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// Most of it, with one authority.
func TestOrders(t *testing.T) {
	t.Parallel()
	a := start(t, options{})
	t.Run("challenges", func(t *testing.T) { challenges(t, a) })
	t.Run("restart", func(t *testing.T) { restart(t, a) })
	t.Run("shared storage", func(t *testing.T) { sharedStorage(t, a) })
	t.Run("refused", func(t *testing.T) { refused(t, a) })
}

// Each challenge alone leads to a certificate.
func challenges(t *testing.T, a *authority) {
	t.Run("http-01", func(t *testing.T) {
		g := a.gateway(t, setup{hosts: []string{"shop.example.com", "www.example.com", "'*.example.com'", "localhost"}, acme: "challenge: http-01"})
		for _, host := range []string{"shop.example.com", "www.example.com"} {
			leaf := g.certificate(host, nil)
			if _, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok {
				t.Errorf("%s: a key of type %T", host, leaf.PublicKey)
			}
		}
		c, err := g.dial("shop.example.com")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ask(t, c, "shop.example.com")
	})
	t.Run("tls-alpn-01", func(t *testing.T) {
		g := a.gateway(t, setup{hosts: []string{"api.example.com"}, acme: "challenge: tls-alpn-01, key: rsa2048", noHTTP: true})
		leaf := g.certificate("api.example.com", nil)
		if key, ok := leaf.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() != 2048 {
			t.Errorf("a key of type %T", leaf.PublicKey)
		}
		c, err := g.dial("api.example.com")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ask(t, c, "api.example.com")
	})
}

// A certificate is renewed before it ends, and no connection is touched.
func TestRenewal(t *testing.T) {
	t.Parallel()
	a := start(t, options{validity: 9 * time.Second})
	g := a.gateway(t, setup{hosts: []string{"shop.example.com"}})
	first := g.certificate("shop.example.com", nil)
	c, err := g.dial("shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask(t, c, "shop.example.com")
	second := g.certificate("shop.example.com", first)
	if !second.NotAfter.After(first.NotAfter) {
		t.Errorf("until %v, before %v", second.NotAfter, first.NotAfter)
	}
	if time.Now().After(first.NotAfter) {
		t.Error("renewed after its end")
	}
	ask(t, c, "shop.example.com")
}

// A gateway that begins anew serves at once what it had, with the account that it had.
func restart(t *testing.T, a *authority) {
	storage := t.TempDir()
	account := func() []byte {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(storage, "acme", "*", "account-*.json"))
		if err != nil || len(files) != 1 {
			t.Fatalf("accounts: %v %v", files, err)
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", files[0], info.Mode(), err)
		}
		return text
	}
	var serial string
	var registered []byte
	t.Run("first", func(t *testing.T) {
		g := a.gateway(t, setup{hosts: []string{"shop.example.com"}, storage: storage})
		serial = g.certificate("shop.example.com", nil).SerialNumber.String()
		registered = account()
	})
	t.Run("second", func(t *testing.T) {
		g := a.gateway(t, setup{hosts: []string{"shop.example.com", "new.example.com"}, storage: storage})
		c, err := g.dial("shop.example.com")
		if err != nil {
			t.Fatalf("the first connection: %v", err)
		}
		defer c.Close()
		if again := c.ConnectionState().PeerCertificates[0].SerialNumber.String(); again != serial {
			t.Errorf("certificate %s, before %s", again, serial)
		}
		ask(t, c, "shop.example.com")
		g.certificate("new.example.com", nil)
		ask(t, c, "shop.example.com")
		if !bytes.Equal(account(), registered) {
			t.Error("another account was registered")
		}
		if strings.Contains(g.Output(), "registered with") {
			t.Error(g.Output())
		}
	})
}

// Gateways with one storage answer each other's challenges, and have the same
// certificates.
func sharedStorage(t *testing.T, a *authority) {
	a.resolve("a.example.com", "127.0.0.2")
	a.resolve("b.example.com", "127.0.0.2")
	for _, kind := range []string{"http-01", "tls-alpn-01"} {
		t.Run(kind, func(t *testing.T) {
			storage, hosts := t.TempDir(), []string{"a.example.com", "b.example.com"}
			one := a.gateway(t, setup{ip: "127.0.0.2", hosts: hosts, acme: "challenge: " + kind + ", hosts: a.example.com", storage: storage})
			two := a.gateway(t, setup{ip: "127.0.0.3", hosts: hosts, acme: "challenge: " + kind + ", hosts: b.example.com", storage: storage})
			one.certificate("a.example.com", nil)
			two.certificate("b.example.com", nil) // tried at the first one
		})
	}
	t.Run("the same", func(t *testing.T) {
		storage, hosts := t.TempDir(), []string{"same.example.com"}
		a.resolve("same.example.com", "127.0.0.2")
		one := a.gateway(t, setup{ip: "127.0.0.2", hosts: hosts, storage: storage})
		two := a.gateway(t, setup{ip: "127.0.0.3", hosts: hosts, storage: storage})
		if first, second := one.certificate("same.example.com", nil), two.certificate("same.example.com", nil); !first.Equal(second) {
			t.Errorf("certificates %x and %x", first.SerialNumber, second.SerialNumber)
		}
	})
}

// An authority that takes no account without an external one.
func TestExternalAccount(t *testing.T) {
	t.Parallel()
	mac := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	a := start(t, options{external: map[string]string{"kid-1": mac}})
	file := filepath.Join(t.TempDir(), "eab.key")
	if err := os.WriteFile(file, []byte(mac+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := a.gateway(t, setup{hosts: []string{"shop.example.com"}, acme: "eab: {id: kid-1, key: " + file + "}"})
	g.certificate("shop.example.com", nil)
	if strings.Contains(g.Output(), mac) {
		t.Error("the key is in the log")
	}
}

// A name that the authority does not find is refused with an alert that says so,
// and the others are served.
func refused(t *testing.T, a *authority) {
	a.resolve("elsewhere.example.com", "127.0.0.9") // nobody listens there
	g := a.gateway(t, setup{hosts: []string{"elsewhere.example.com", "shop.example.com"}})
	g.certificate("shop.example.com", nil)
	for deadline := time.Now().Add(harness.Patience); !strings.Contains(g.Output(), "no certificate could be ordered"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(g.Output())
		}
	}
	if _, err := g.dial("elsewhere.example.com"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("refused with: %v", err)
	}
	for state, want := range map[string]float64{"issued": 1, "pending": 1} {
		// Gauges leaves the other state out.
		other := map[string]string{"issued": "pending", "pending": "issued"}[state]
		names, err := g.Gauges(`state="`+other+`"`, "longmen_tls_acme_names")
		if err != nil || names["longmen_tls_acme_names"] != want {
			t.Errorf("%s: %v %v", state, names, err)
		}
	}
}
