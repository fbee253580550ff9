package ocsp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// A real HTTP server, asked by GET and by POST.
func TestFetch(t *testing.T) {
	now := time.Now()
	a := newAuthority(t)
	c := a.certificate()
	der := a.answer(c, answer{ocsp.Good, now.Add(-time.Hour), now.Add(time.Hour)})
	var methods []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		methods = append(methods, r.Method)
		request, err := readRequest(r)
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
		case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/post/"):
			http.Error(w, "", http.StatusMethodNotAllowed)
		case strings.HasPrefix(r.URL.Path, "/large"):
			w.Write(make([]byte, MaxResponse+1))
		case strings.HasPrefix(r.URL.Path, "/error"):
			w.Write([]byte{0x30, 3, 0x0a, 1, 3}) // tryLater
		case strings.HasPrefix(r.URL.Path, "/cut"):
			w.Header().Set("Content-Length", "9999")
			w.Write(der)
		case len(request.IssuerKeyHash) != 20:
			http.Error(w, "hash", http.StatusBadRequest)
		default:
			w.Header().Set("Content-Type", "application/ocsp-response")
			w.Write(der)
		}
	}))
	defer server.Close()
	tests := []struct {
		name    string
		servers []string
		methods string
		err     string
	}{
		{"by GET", []string{server.URL}, "GET", ""},
		{"by GET with a path", []string{server.URL + "/ocsp/"}, "GET", ""},
		{"by POST as GET is refused", []string{server.URL + "/post"}, "GET POST", ""},
		{"by POST as the URL is long", []string{server.URL + "/" + strings.Repeat("x", 200)}, "POST", ""},
		{"by POST as there is a query", []string{server.URL + "/?a=b"}, "POST", ""},
		{"the second", []string{"http://127.0.0.1:1/", "ftp://x/", server.URL}, "GET", ""},
		{"none", nil, "", "no responder"},
		{"another scheme", []string{"file:///etc/passwd"}, "", "not of HTTP"},
		{"too large", []string{server.URL + "/large"}, "GET", "larger than"},
		{"an error of OCSP", []string{server.URL + "/error"}, "GET", "try later"},
		{"cut short", []string{server.URL + "/cut"}, "GET", "EOF"},
		{"the fourth", []string{"x:", "x:", "x:", server.URL}, "", "not of HTTP"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			methods = nil
			r, err := fetch(t.Context(), server.Client(), test.servers, c.Chain)
			if got := strings.Join(methods, " "); got != test.methods {
				t.Errorf("asked by %q, want %q", got, test.methods)
			}
			switch {
			case test.err == "":
				if err != nil || !bytes.Equal(r.DER, der) {
					t.Errorf("%v", err)
				}
			case err == nil || !strings.Contains(err.Error(), test.err):
				t.Errorf("%v, want %q", err, test.err)
			}
		})
	}
}

// A fetch ends with its context, also in the middle of a body.
func TestFetchCanceled(t *testing.T) {
	a := newAuthority(t)
	c := a.certificate("http://a.test")
	ctx, cancel := context.WithCancel(t.Context())
	client := doer(func(r *http.Request) (*http.Response, error) {
		cancel()
		return &http.Response{StatusCode: 200, Body: io.NopCloser(&contextReader{r.Context()})}, nil
	})
	if _, err := fetch(ctx, client, c.OCSPServers, c.Chain); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

// contextReader is a body of which nothing comes.
type contextReader struct{ ctx context.Context }

func (r *contextReader) Read([]byte) (int, error) {
	<-r.ctx.Done()
	return 0, r.ctx.Err()
}
