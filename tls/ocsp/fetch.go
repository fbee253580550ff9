package ocsp

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Doer sends HTTP requests; an *http.Client is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Bounds of a fetch.
const (
	fetchTimeout = 10 * time.Second // of one request
	maxServers   = 3                // of those that a certificate names
	maxGET       = 255              // bytes of a URL (RFC 6960, A.1; RFC 5019, 5)
)

var errServers = errors.New("no responder in the certificate")

// fetch asks the responders in their order, until one has a good response. A
// revocation is an answer too.
func fetch(ctx context.Context, client Doer, servers []string, chain [][]byte) (*Response, error) {
	p, err := parsePair(chain)
	if err != nil {
		return nil, fmt.Errorf("OCSP: %w", err)
	}
	request, err := ocsp.CreateRequest(p.leaf, p.issuer, nil)
	if err != nil {
		return nil, fmt.Errorf("OCSP request: %w", err)
	}
	err = errServers
	for _, server := range servers[:min(len(servers), maxServers)] {
		var der []byte
		if der, err = ask(ctx, client, server, request); err != nil {
			err = fmt.Errorf("OCSP responder %s: %w", server, err)
			continue
		}
		var r *Response
		if r, err = p.parse(der, time.Now()); err == nil {
			return r, nil
		}
		err = fmt.Errorf("OCSP responder %s: %w", server, err)
		if _, revoked := errors.AsType[*RevokedError](err); revoked {
			break
		}
	}
	return nil, err
}

// ask sends a request by GET, which caches on the way can answer, and by POST
// when it is too long for that or GET is not answered with 200.
func ask(ctx context.Context, client Doer, server string, request []byte) ([]byte, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("its URL is not of HTTP")
	}
	target := strings.TrimSuffix(server, "/") + "/" + url.QueryEscape(base64.StdEncoding.EncodeToString(request))
	if len(target) <= maxGET && u.RawQuery == "" {
		der, err := send(ctx, client, http.MethodGet, target, nil)
		if _, refused := errors.AsType[statusError](err); !refused {
			return der, err
		}
	}
	return send(ctx, client, http.MethodPost, server, request)
}

// statusError is an HTTP status other than 200.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

func send(ctx context.Context, client Doer, method, target string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/ocsp-response")
	if body != nil {
		request.Header.Set("Content-Type", "application/ocsp-request")
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, statusError(response.StatusCode)
	}
	der, err := io.ReadAll(io.LimitReader(response.Body, MaxResponse+1))
	if err != nil {
		return nil, err
	}
	if len(der) > MaxResponse {
		return nil, errLarge
	}
	return der, nil
}
