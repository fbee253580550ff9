package certificate

import (
	"crypto"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/openssl"
	"longmen/tls/sign"
)

// A tokenKey says where a key is that never leaves its device.
type tokenKey struct {
	uri   string // RFC 7512; it may hold the PIN
	token openssl.Token
	load  func(uri string, t openssl.Token) (crypto.Signer, error)
	now   func() time.Time
}

func loadToken(uri string, t openssl.Token) (crypto.Signer, error) {
	k, err := sign.LoadPKCS11(uri, t)
	if err != nil {
		return nil, err
	}
	return k, nil
}

// A key is a private key that is loaded when it is first asked for.
type key struct {
	pkcs8  []byte    // until it is loaded
	token  *tokenKey // instead of pkcs8
	from   string
	policy sign.Policy

	loading sync.Mutex
	state   atomic.Pointer[loaded] // nil until it is first asked for
}

// loaded is what came of loading a key. What is wrong with a key in memory stays wrong; a token
// may be away, and is asked again.
type loaded struct {
	signer crypto.Signer
	err    error
	tries  int       // that failed one after the other
	again  time.Time // when the token is asked again; zero: never
}

// How long a token is left alone that gave no key: at first, and at most.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// due reports whether a token is to be asked again.
func (k *key) due(l *loaded) bool { return !l.again.IsZero() && !k.token.now().Before(l.again) }

// ready reports whether get answers at once.
func (k *key) ready() bool {
	l := k.state.Load()
	return l != nil && !k.due(l)
}

// broken reports whether the key has failed to load, and is not to be tried again yet.
func (k *key) broken() bool {
	l := k.state.Load()
	return l != nil && l.err != nil && !k.due(l)
}

func (k *key) get(c *Certificate) (crypto.Signer, error) {
	last := k.state.Load()
	if last != nil && !k.due(last) {
		return last.signer, last.err
	}
	if last == nil {
		k.loading.Lock()
	} else if !k.loading.TryLock() {
		return nil, last.err // another asks the token, which may take its time
	}
	defer k.loading.Unlock()
	if last = k.state.Load(); last != nil && !k.due(last) {
		return last.signer, last.err
	}
	next := &loaded{err: fmt.Errorf("%s: the key could not be loaded", k.from)} // what stays if the loader panics
	defer k.state.Store(next)
	defer func() {
		clear(k.pkcs8)
		k.pkcs8 = nil
	}()
	next.signer, next.err = k.load(c)
	if next.err != nil && k.token != nil {
		if last != nil {
			next.tries = last.tries
		}
		next.later(k.token.now())
	}
	if c.Encryption != nil {
		_, _ = c.Encryption.Signer() // its error is told to who asks for it
	}
	return next.signer, next.err
}

// later sets when a token is asked again: after a second, then after twice as long each time.
func (l *loaded) later(now time.Time) {
	l.again = now.Add(min(firstRetry<<min(l.tries, 10), lastRetry))
	l.tries++
}

// lost notes that a token's signature failed: its key is looked for again.
func (k *key) lost(signer crypto.Signer, err error) {
	l := k.state.Load()
	if k.token == nil || l == nil || l.signer != signer || signer == nil {
		return // it has been found again already
	}
	next := &loaded{err: fmt.Errorf("%s: the key does not sign any more: %w", k.from, err)}
	next.later(k.token.now())
	k.state.CompareAndSwap(l, next)
}

// load makes the signer and makes sure that it is the certificate's.
func (k *key) load(c *Certificate) (crypto.Signer, error) {
	leaf, err := smx509.ParseCertificate(c.Chain[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.From, err)
	}
	signer, err := k.open(c.Kind)
	if err != nil {
		return nil, fmt.Errorf("%s: the key cannot be loaded: %w", k.from, err)
	}
	public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(signer.Public()) {
		return nil, fmt.Errorf("%s: the key is not that of the certificate in %s", k.from, c.From)
	}
	if k.token == nil {
		return signer, nil // what loads a key has checked that its halves belong together
	}
	if err := prove(signer, leaf.PublicKey); err != nil {
		return nil, fmt.Errorf("%s: the key does not sign: %w", k.from, err)
	}
	return signer, nil
}

func (k *key) open(kind Kind) (crypto.Signer, error) {
	switch {
	case kind == SM2 && k.token != nil:
		return nil, errors.New("SM2 keys in tokens cannot be used")
	case kind == SM2:
		return parseSM2(k.pkcs8)
	case k.token != nil:
		return k.token.load(k.token.uri, k.token.token)
	}
	return sign.Load(k.pkcs8, k.policy)
}

func parseSM2(pkcs8 []byte) (crypto.Signer, error) {
	parsed, err := smx509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return nil, errBrokenKey
	}
	private, ok := parsed.(*sm2.PrivateKey)
	if !ok {
		return nil, errUnknownKey
	}
	return private, nil
}
