package certificate

import (
	"crypto"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/openssl"
	"longmen/tls/sign"
)

// A tokenKey says where a key is that never leaves its device.
type tokenKey struct {
	uri   string // RFC 7512; it may hold the PIN
	token openssl.Token
}

// A key is a private key that is loaded when it is first asked for.
type key struct {
	pkcs8  []byte    // until it is loaded
	token  *tokenKey // instead of pkcs8
	from   string
	policy sign.Policy

	once   sync.Once
	loaded atomic.Bool
	failed atomic.Bool // loaded, with an error
	signer crypto.Signer
	err    error
}

func (k *key) get(c *Certificate) (crypto.Signer, error) {
	k.once.Do(func() {
		k.err = fmt.Errorf("%s: the key could not be loaded", k.from) // what stays if the loader panics
		defer func() {
			k.failed.Store(k.err != nil)
			k.loaded.Store(true)
		}()
		defer clear(k.pkcs8)
		k.signer, k.err = k.load(c)
		if c.Encryption != nil {
			_, _ = c.Encryption.Signer() // its error is told to who asks for it
		}
	})
	return k.signer, k.err
}

// load makes the signer and proves that it is the certificate's.
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
		return sign.LoadPKCS11(k.token.uri, k.token.token)
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
