package certificate

import (
	"crypto"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"longmen/tls/openssl"
)

var errAway = errors.New("the token is away")

// inToken is a certificate whose key a token gives when away is nil. Time stands still.
func inToken(t *testing.T, away *error) (c *Certificate, asked *int) {
	t.Helper()
	l := leaf(t, "p256", "a.test")
	pair := pairOf(t, l)
	pair.Key = []byte("pkcs11:token=edge;object=www")
	c = parse(t, Source{Name: "shop", Pair: pair})
	asked = new(int)
	c.key.token.now = func() time.Time { return time.Unix(1, 0) }
	c.key.token.load = func(string, openssl.Token) (crypto.Signer, error) {
		*asked++
		if *away != nil {
			return nil, *away
		}
		return l.key, nil
	}
	return c, asked
}

// pass lets the time pass after which a token is asked again, and returns how long that was.
func (k *key) pass() time.Duration {
	before, again := k.token.now(), k.state.Load().again
	k.token.now = func() time.Time { return again }
	return again.Sub(before)
}

func TestTokenThatIsAway(t *testing.T) {
	away := errAway
	c, asked := inToken(t, &away)
	if c.Loaded() || c.key.broken() {
		t.Error("nobody has asked for the key")
	}
	wants := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}
	for i, want := range wants {
		for range 3 { // the token is asked once
			if _, err := c.Signer(); !errors.Is(err, errAway) || *asked != i+1 {
				t.Fatalf("%v, asked %d times, want %d", err, *asked, i+1)
			}
		}
		if !c.Loaded() || !c.key.broken() {
			t.Error("it is to be left alone")
		}
		if wait := c.key.pass(); wait != want*time.Second {
			t.Errorf("left alone for %v, want %ds", wait, want)
		}
		if c.Loaded() || c.key.broken() {
			t.Error("it is to be asked again")
		}
	}
	away = nil
	signer, err := c.Signer()
	if err != nil || !c.Loaded() || c.key.broken() {
		t.Fatal(err)
	}
	if standard, err := c.Standard(time.Now()); err != nil || standard.PrivateKey != signer {
		t.Errorf("%v", err)
	}
	if _, err := c.Signer(); err != nil || *asked != len(wants)+1 {
		t.Errorf("%v, asked %d times", err, *asked)
	}
}

// While one asks, which may take its time, the others are told what was wrong before.
func TestTokenIsAskedByOne(t *testing.T) {
	away := errAway
	c, _ := inToken(t, &away)
	c.Signer()
	c.key.pass()
	first := c.key.token.load
	c.key.token.load = func(uri string, token openssl.Token) (crypto.Signer, error) {
		if _, err := c.Signer(); !errors.Is(err, errAway) {
			t.Errorf("%v", err)
		}
		away = nil
		return first(uri, token)
	}
	if _, err := c.Signer(); err != nil {
		t.Error(err)
	}
}

func TestTokenThatIsLost(t *testing.T) {
	var away error
	c, asked := inToken(t, &away)
	signer, err := c.Signer()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Standard(time.Now()); err != nil {
		t.Fatal(err)
	}
	c.Lost(leaf(t, "p256", "b.test").key, errAway)
	if c.key.broken() {
		t.Error("that was not its key")
	}
	for range 2 {
		c.Lost(signer, errAway)
	}
	if _, err := c.Standard(time.Now()); !errors.Is(err, errAway) || !c.key.broken() || *asked != 1 {
		t.Errorf("%v, asked %d times", err, *asked)
	}
	if wait := c.key.pass(); wait != time.Second {
		t.Errorf("left alone for %v", wait)
	}
	if _, err := c.Standard(time.Now()); err != nil || *asked != 2 {
		t.Errorf("%v, asked %d times", err, *asked)
	}

	own := parse(t, Source{Pair: pairOf(t, leaf(t, "p256", "a.test"))})
	if signer, err = own.Signer(); err != nil {
		t.Fatal(err)
	}
	own.Lost(signer, errAway)
	if own.key.broken() {
		t.Error("a key in memory cannot be lost")
	}
}

func TestTokenURIs(t *testing.T) {
	pair := pairOf(t, leaf(t, "p256", "a.test"))
	for text, want := range map[string]string{
		"pkcs11:object=www?pin-value=SECRET&pin-source=file:/x": "more than one of pin-value and pin-source",
		"pkcs11:object=www?pin-source=|cat%20SECRET":            "the pin-source of a token's key is a file",
		"pkcs11:object=%SECRET":                                 "two hexadecimal digits",
	} {
		pair.Key = []byte(text)
		var parser Parser
		_, err := parser.Parse(Source{Name: "shop", Pair: pair})
		if err == nil || !strings.HasPrefix(err.Error(), "shop.key: ") || !strings.Contains(err.Error(), want) || strings.Contains(fmt.Sprint(err), "SECRET") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
