package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

const (
	requestTimeout = 30 * time.Second // of one request to the authority
	orderTimeout   = 5 * time.Minute  // of an order, from its beginning to its certificate
	ordersAtOnce   = 10               // that begin within orderWindow
	orderWindow    = 10 * time.Second
)

// An issuer orders certificates with one account. It takes the place of
// CertMagic's own, which would open ports by itself.
type issuer struct {
	settings Settings
	storage  *certmagic.FileStorage
	solver   *solver
	log      *slog.Logger
	http     *http.Client
	rate     *certmagic.RingBufferRateLimiter
}

func newIssuer(s Settings, storage *certmagic.FileStorage, c *Challenges, log *slog.Logger) (*issuer, error) {
	roots, err := pool(s.Roots)
	if err != nil {
		return nil, err
	}
	return &issuer{
		settings: s, storage: storage, log: log,
		solver: &solver{challenges: c, folder: folder{storage, s.issuer()}},
		http: &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
			IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 4,
		}},
		rate: certmagic.NewRateLimiter(ordersAtOnce, orderWindow),
	}, nil
}

func (i *issuer) close() {
	i.rate.Stop()
	i.http.CloseIdleConnections()
}

// client makes the client of one order.
func (i *issuer) client() *acmez.Client {
	solvers := map[string]acmez.Solver{}
	for _, kind := range []Challenge{HTTP01, TLSALPN01} {
		if i.settings.Challenge == AnyChallenge || i.settings.Challenge == kind {
			solvers[string(kind)] = i.solver
		}
	}
	return &acmez.Client{
		Client:           &acme.Client{Directory: i.settings.Directory, HTTPClient: i.http, UserAgent: "longmen", PollTimeout: orderTimeout},
		ChallengeSolvers: solvers,
	}
}

// IssuerKey is the issuer's name in the storage.
func (i *issuer) IssuerKey() string { return i.settings.issuer() }

// Issue orders a certificate and waits for it.
func (i *issuer) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	if err := i.rate.Wait(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	client := i.client()
	refused := ""
	for {
		account, err := i.account(ctx, client, refused)
		if err != nil {
			return nil, err
		}
		order, err := acmez.OrderParametersFromCSR(account, csr)
		if err != nil {
			return nil, err
		}
		order.Replaces = i.replaced(ctx, client, csr)
		chains, err := client.ObtainCertificate(ctx, order)
		if forgotten(err) && refused == "" {
			i.log.Warn("the ACME authority does not know the account any more", "account", account.Location)
			refused = account.Location
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(chains) == 0 {
			return nil, errors.New("the authority gave no certificate")
		}
		return &certmagic.IssuedCertificate{Certificate: chains[0].ChainPEM, Metadata: chains[0]}, nil
	}
}

// forgotten reports whether the authority has no such account.
func forgotten(err error) bool {
	problem, ok := errors.AsType[acme.Problem](err)
	return ok && problem.Type == acme.ProblemTypeAccountDoesNotExist
}

// replaced is the certificate that an order renews, for authorities that want to
// know (RFC 9773 section 5); else nil.
func (i *issuer) replaced(ctx context.Context, client *acmez.Client, csr *x509.CertificateRequest) *x509.Certificate {
	directory, err := client.GetDirectory(ctx)
	if err != nil || directory.RenewalInfo == "" || len(csr.DNSNames) != 1 {
		return nil
	}
	text, err := i.storage.Load(ctx, certmagic.StorageKeys.SiteCert(i.IssuerKey(), csr.DNSNames[0]))
	if err != nil {
		return nil
	}
	leaf, err := leafOf(text)
	if err != nil {
		return nil
	}
	if _, err := acme.ARIUniqueIdentifier(leaf); err != nil {
		return nil
	}
	return leaf
}

// GetRenewalInfo asks when a certificate is best renewed (RFC 9773 section 4).
func (i *issuer) GetRenewalInfo(ctx context.Context, c certmagic.Certificate) (acme.RenewalInfo, error) {
	return i.client().GetRenewalInfo(ctx, c.Leaf)
}

// leafOf reads the first certificate of PEM.
func leafOf(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errRoots
	}
	return x509.ParseCertificate(block.Bytes)
}
