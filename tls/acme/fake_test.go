package acme

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// A fake is as much of an ACME authority (RFC 8555) as a client can see. It
// believes every signature.
type fake struct {
	t      testing.TB
	server *httptest.Server
	path   string // of the directory: acmez keeps directories by their URL, and ports are used again
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate

	// try says whether a challenge is solved; it is called on its own goroutine.
	try func(kind, host, token string) error
	// window of renewal; nil: the authority does not say.
	window func() (start, end time.Time)

	mu       sync.Mutex
	orders   []*fakeOrder
	accounts []map[string]any // what they were registered with
	forget   int              // so many orders are refused, as the account is not known
	kinds    []string         // of challenges that are offered
}

type fakeOrder struct {
	host, replaces, token string
	status                string // "pending", "ready", "invalid", "valid"
	chain                 []byte
}

func newFake(t testing.TB) *fake {
	t.Helper()
	f := &fake{t: t, path: "/dir/" + rand.Text(), kinds: []string{"http-01", "tls-alpn-01"}}
	var err error
	if f.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Fake CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, SubjectKeyId: []byte{1, 2, 3},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, f.key.Public(), f.key)
	if err != nil {
		t.Fatal(err)
	}
	if f.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	f.server = httptest.NewTLSServer(f)
	t.Cleanup(f.server.Close)
	return f
}

// settings are those of its clients.
func (f *fake) settings(storage string) Settings {
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.server.Certificate().Raw})
	return Settings{Directory: f.server.URL + f.path, Email: "me@example.com", Roots: string(roots), Key: P256, Storage: storage}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Replay-Nonce", "bm9uY2U")
	url := func(format string, args ...any) string { return f.server.URL + fmt.Sprintf(format, args...) }
	var message struct{ Payload string }
	var payload map[string]any
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			f.t.Error(err)
		}
		if text, err := base64.RawURLEncoding.DecodeString(message.Payload); err != nil {
			f.t.Error(err)
		} else if len(text) > 0 {
			if err := json.Unmarshal(text, &payload); err != nil {
				f.t.Error(err)
			}
		}
	}
	what, number := path.Split(r.URL.Path)
	var o *fakeOrder
	i, err := strconv.Atoi(number)
	if err == nil && i < len(f.orders) {
		o = f.orders[i]
	}
	switch {
	case r.URL.Path == f.path:
		directory := map[string]string{"newNonce": url("/nonce"), "newAccount": url("/account"), "newOrder": url("/order"), "revokeCert": url("/revoke"), "keyChange": url("/key")}
		if f.window != nil {
			directory["renewalInfo"] = url("/renewal")
		}
		f.answer(w, 200, directory)
	case r.URL.Path == "/nonce":
	case r.URL.Path == "/account":
		f.accounts = append(f.accounts, payload)
		w.Header().Set("Location", url("/account/%d", len(f.accounts)))
		f.answer(w, 201, map[string]string{"status": "valid"})
	case r.URL.Path == "/order" && f.forget > 0:
		f.forget--
		f.answer(w, 400, acme.Problem{Type: acme.ProblemTypeAccountDoesNotExist, Status: 400})
	case r.URL.Path == "/order":
		identifiers := payload["identifiers"].([]any)
		o = &fakeOrder{host: identifiers[0].(map[string]any)["value"].(string), status: "pending", token: fmt.Sprintf("token-%d_%s", len(f.orders), strings.Repeat("A", 22))}
		o.replaces, _ = payload["replaces"].(string)
		f.orders = append(f.orders, o)
		w.Header().Set("Location", url("/order/%d", len(f.orders)-1))
		f.answer(w, 201, f.order(len(f.orders)-1))
	case what == "/order/" && o != nil:
		w.Header().Set("Location", url("/order/%d", i))
		f.answer(w, 200, f.order(i))
	case what == "/authz/" && o != nil:
		f.answer(w, 200, f.authorization(i))
	case strings.HasPrefix(what, "/challenge/") && o != nil:
		kind := path.Base(what)
		go f.tried(i, kind)
		f.answer(w, 200, f.challenge(i, kind))
	case what == "/finalize/" && o != nil:
		f.issue(o, payload["csr"].(string))
		w.Header().Set("Location", url("/order/%d", i))
		f.answer(w, 200, f.order(i))
	case what == "/cert/" && o != nil:
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		w.Write(o.chain)
	case what == "/renewal/":
		start, end := f.window()
		f.answer(w, 200, map[string]any{"suggestedWindow": map[string]time.Time{"start": start, "end": end}})
	default:
		f.t.Errorf("%s %s", r.Method, r.URL.Path)
		w.WriteHeader(404)
	}
}

func (f *fake) answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	if status >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		f.t.Error(err)
	}
}

func (f *fake) order(i int) map[string]any {
	o := f.orders[i]
	return map[string]any{
		"status": o.status, "identifiers": []any{map[string]string{"type": "dns", "value": o.host}},
		"authorizations": []string{fmt.Sprintf("%s/authz/%d", f.server.URL, i)},
		"finalize":       fmt.Sprintf("%s/finalize/%d", f.server.URL, i), "certificate": fmt.Sprintf("%s/cert/%d", f.server.URL, i),
	}
}

func (f *fake) authorization(i int) map[string]any {
	o := f.orders[i]
	status := map[string]string{"pending": "pending", "invalid": "invalid"}[o.status]
	if status == "" {
		status = "valid"
	}
	var challenges []any
	for _, kind := range f.kinds {
		challenges = append(challenges, f.challenge(i, kind))
	}
	return map[string]any{"status": status, "identifier": map[string]string{"type": "dns", "value": o.host}, "challenges": challenges}
}

func (f *fake) challenge(i int, kind string) map[string]any {
	o := f.orders[i]
	challenge := map[string]any{"type": kind, "status": "pending", "token": o.token, "url": fmt.Sprintf("%s/challenge/%s/%d", f.server.URL, kind, i)}
	switch o.status {
	case "invalid":
		challenge["status"] = "invalid"
		challenge["error"] = acme.Problem{Type: acme.ProblemTypeUnauthorized, Detail: "not yours"}
	case "ready", "valid":
		challenge["status"] = "valid"
	}
	return challenge
}

// tried tries a challenge.
func (f *fake) tried(i int, kind string) {
	f.mu.Lock()
	o := f.orders[i]
	host, token, pending := o.host, o.token, o.status == "pending"
	f.mu.Unlock()
	if !pending {
		return
	}
	err := f.try(kind, host, token)
	f.mu.Lock()
	defer f.mu.Unlock()
	if o.status = "ready"; err != nil {
		o.status = "invalid"
	}
}

// issue signs what was asked for.
func (f *fake) issue(o *fakeOrder, request string) {
	der, err := base64.RawURLEncoding.DecodeString(request)
	if err != nil {
		f.t.Error(err)
		return
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		f.t.Error(err)
		return
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: csr.DNSNames, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().AddDate(0, 0, 90),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, f.cert, csr.PublicKey, f.key)
	if err != nil {
		f.t.Error(err)
		return
	}
	for _, der := range [][]byte{leaf, f.cert.Raw} {
		o.chain = append(o.chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	o.status = "valid"
}
