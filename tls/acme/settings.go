// Package acme keeps certificates of authorities that speak ACME (RFC 8555): it
// orders them, answers the challenges by which an authority sees that a name is
// ours, and renews them when it is time (RFC 9773), in a storage that several
// gateways may share. CertMagic does the locking, storing and timing; its
// settings for whole processes are not used, and it opens no port.
package acme

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/caddyserver/certmagic"
)

// LetsEncrypt is the directory of Let's Encrypt.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// Settings say where and how certificates are ordered. Two orders with equal
// settings share an account and the storage.
type Settings struct {
	Directory string // URL of the authority's directory; https
	Email     string // for the authority's messages; may be empty
	Roots     string // PEM of the authorities that certify the directory; "": the system's
	Key       Key
	Challenge Challenge
	External  ExternalAccount
	// Storage is a folder for certificates, keys, accounts and pending challenges,
	// readable by its owner only. Gateways that share it (and the settings) order
	// each certificate once, and answer each other's challenges.
	Storage string
}

// Key is the kind of a certificate's private key. Each certificate gets a new one.
type Key string

// The kinds of keys.
const (
	P256    Key = "p256"
	RSA2048 Key = "rsa2048"
)

// Challenge is how an authority may see that a name is ours.
type Challenge string

// The challenges.
const (
	AnyChallenge Challenge = ""            // whichever the authority offers; the other when one fails
	HTTP01       Challenge = "http-01"     // RFC 8555 section 8.3
	TLSALPN01    Challenge = "tls-alpn-01" // RFC 8737
)

// ExternalAccount is an account with the authority that is bound to the one of
// ACME (RFC 8555 section 7.3.4); the zero value is none.
type ExternalAccount struct {
	ID  string
	MAC string // base64url without padding; a secret
}

// Format leaves the secret out, however it is printed.
func (e ExternalAccount) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "external account "+e.ID) // a State takes all that is written
}

var (
	errRoots     = errors.New("no certificate in PEM is in it")
	errDirectory = errors.New("must be an https:// URL")
)

// CheckDirectory says what is wrong with a directory's URL.
func CheckDirectory(directory string) error {
	u, err := url.Parse(directory)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return errDirectory
	}
	return nil
}

// CheckRoots says what is wrong with authorities in PEM.
func CheckRoots(roots string) error {
	_, err := pool(roots)
	return err
}

// pool makes the authorities that certify a directory; nil are the system's.
func pool(roots string) (*x509.CertPool, error) {
	if roots == "" {
		return nil, nil
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM([]byte(roots)) {
		return nil, errRoots
	}
	return p, nil
}

// CheckHost says why no certificate can be ordered for a host.
func CheckHost(host string) error {
	switch {
	case strings.HasPrefix(host, "*."):
		return errors.New("an authority certifies a wildcard by the challenge dns-01 only, which is not supported")
	case certmagic.SubjectIsIP(host):
		return errors.New("an address; only names are ordered")
	case !plainName(host):
		return errors.New("no name such as www.example.com")
	}
	return nil
}

// plainName reports whether a name is one that server names (RFC 6066) can be, in
// lower case: nothing else becomes part of the name of a file.
func plainName(host string) bool {
	if len(host) == 0 || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' {
			return false
		}
		for _, b := range []byte(label) {
			if (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '-' && b != '_' {
				return false
			}
		}
	}
	return true
}

// Files are where the certificate of a host (in lower case) and its private key
// are stored, PEM both. They are not there before the certificate was issued.
func (s *Settings) Files(host string) (cert, key string) {
	storage := &certmagic.FileStorage{Path: s.Storage}
	return storage.Filename(certmagic.StorageKeys.SiteCert(s.issuer(), host)),
		storage.Filename(certmagic.StorageKeys.SitePrivateKey(s.issuer(), host))
}

// issuer is the name of the authority in the storage: that of CertMagic's other
// users for the common kind of key.
func (s *Settings) issuer() string {
	name := (&certmagic.ACMEIssuer{CA: s.Directory}).IssuerKey()
	if s.Key == RSA2048 {
		name += "-rsa2048"
	}
	return name
}
