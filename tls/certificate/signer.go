package certificate

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
)

// A key is a private key that is loaded when it is first asked for.
type key struct {
	pkcs8  []byte // until it is loaded
	uri    string
	from   string
	loader KeyLoader // nil: Go's crypto

	once   sync.Once
	loaded atomic.Bool
	signer crypto.Signer
	err    error
}

func (k *key) get(c *Certificate) (crypto.Signer, error) {
	k.once.Do(func() {
		k.err = fmt.Errorf("%s: the key could not be loaded", k.from) // what stays if the loader panics
		defer k.loaded.Store(true)
		defer clear(k.pkcs8)
		k.signer, k.err = k.load(c)
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
	return signer, nil
}

func (k *key) open(kind Kind) (crypto.Signer, error) {
	if kind == SM2 {
		if k.uri != "" {
			return nil, fmt.Errorf("SM2 keys in tokens cannot be used")
		}
		return parseSM2(k.pkcs8)
	}
	loader := k.loader
	if loader == nil {
		loader = goKeys{}
	}
	if k.uri != "" {
		return loader.LoadURI(k.uri)
	}
	return loader.LoadPKCS8(k.pkcs8)
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

// goKeys loads keys with Go's crypto.
type goKeys struct{}

func (goKeys) LoadPKCS8(der []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errBrokenKey
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errUnknownKey
	}
	return signer, nil
}

func (goKeys) LoadURI(string) (crypto.Signer, error) {
	return nil, fmt.Errorf("keys in tokens (pkcs11: URIs) need OpenSSL, which this build does not use")
}
