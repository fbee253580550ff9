package health

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"
)

const maxHead = 64 << 10 // bytes of a response head, interim responses included

// Dialer opens the connections of checks; *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// networkError is a failure to get a complete answer, as opposed to a wrong one.
type networkError struct {
	error
	connect bool // there was no connection
}

func (e *networkError) Unwrap() error { return e.error }

// finalError is a failure that needs no others to make the endpoint down.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// probe makes one check. The error says what is wrong; it never cites what was
// received beyond the status, nor headers that were sent.
func probe(ctx context.Context, dial Dialer, t *Target) error {
	address := t.Address()
	conn, err := dial.DialContext(ctx, "tcp", address)
	if err != nil {
		return &networkError{fmt.Errorf("connect: %w", cause(err)), true}
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if t.Secure != nil {
		if conn, err = t.Secure(conn, t.Hostname, t.alpn()); err != nil {
			return &networkError{error: fmt.Errorf("TLS: %w", err)}
		}
		defer conn.Close()
	}
	scheme := "http"
	if t.Secure != nil {
		scheme = "https"
	}
	switch {
	case t.Config.HTTP != nil && t.http2():
		return probeHTTP2(conn, t.Config.HTTP, scheme, cmp.Or(t.Config.HTTP.Host, t.Hostname, address))
	case t.Config.HTTP != nil:
		return probeHTTP(conn, t.Config.HTTP, cmp.Or(t.Config.HTTP.Host, t.Hostname, address))
	case t.Config.GRPC != nil:
		return probeGRPC(conn, t.Config.GRPC, scheme, cmp.Or(t.Config.GRPC.Authority, t.Hostname, address))
	case t.Config.TCP != nil:
		return probeTCP(conn, t.Config.TCP)
	}
	return nil // connecting was the check
}

// cause strips addresses and call names off a network error: the log has the
// address beside it, and our own words for the call.
func cause(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

func probeTCP(conn net.Conn, c *TCP) error {
	if len(c.Send) > 0 {
		if _, err := conn.Write(c.Send); err != nil {
			return &networkError{error: fmt.Errorf("send: %w", cause(err))}
		}
	}
	if len(c.Receive) == 0 {
		return nil
	}
	found, err := search(conn, c.Receive)
	switch {
	case err != nil:
		return &networkError{error: fmt.Errorf("receive: %w", cause(err))}
	case !found:
		return errors.New("the answer lacks the expected text")
	}
	return nil
}

func probeHTTP(conn net.Conn, c *HTTP, host string) error {
	if _, err := conn.Write(request(c, host)); err != nil {
		return &networkError{error: fmt.Errorf("send: %w", cause(err))}
	}
	// The limit of head and body together; net/http has none for a head.
	limited := &io.LimitedReader{R: conn, N: maxHead}
	reader := bufio.NewReaderSize(limited, 4096)
	response, err := final(reader, cmp.Or(c.Method, http.MethodGet))
	if err != nil {
		if limited.N <= 0 {
			return fmt.Errorf("the response head is larger than %d bytes", maxHead)
		}
		return &networkError{error: fmt.Errorf("response: %w", err)}
	}
	if err := c.judge(response.StatusCode); err != nil {
		return err
	}
	if len(c.Expect) == 0 {
		return nil
	}
	limited.N = 2 * maxSearch // chunked coding adds bytes; the text itself is limited by search
	found, err := search(response.Body, c.Expect)
	switch {
	case err != nil && limited.N > 0:
		return &networkError{error: fmt.Errorf("response body: %w", cause(err))}
	case !found:
		return errors.New("the body lacks the expected text")
	}
	return nil
}

// judge says what is wrong with a status.
func (c *HTTP) judge(status int) error {
	expected := c.Expected
	if len(expected) == 0 {
		expected = []Statuses{{200, 300}}
	}
	in := func(s Statuses) bool { return status >= s.Low && status < s.High }
	if slices.ContainsFunc(expected, in) {
		return nil
	}
	how := "in "
	if len(expected) == 1 && expected[0].High == expected[0].Low+1 {
		how = ""
	}
	err := fmt.Errorf("status %d is not %s%s", status, how, names(expected))
	if len(c.Retriable) > 0 && !slices.ContainsFunc(c.Retriable, in) {
		return &finalError{err}
	}
	return err
}

// names writes statuses as the configuration does.
func names(list []Statuses) string {
	var b strings.Builder
	for i, s := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d", s.Low)
		if s.High > s.Low+1 {
			fmt.Fprintf(&b, "..%d", s.High-1)
		}
	}
	return b.String()
}

// request is the whole request. Fields of the configuration replace ours.
func request(c *HTTP, host string) []byte {
	fields := map[string]string{
		"Host":       host,
		"User-Agent": "longmen-health-check",
		"Accept":     "*/*",
		"Connection": "close",
	}
	for name, value := range c.Headers {
		fields[http.CanonicalHeaderKey(name)] = value
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", cmp.Or(c.Method, http.MethodGet), cmp.Or(c.Path, "/"))
	fmt.Fprintf(&b, "Host: %s\r\n", clean.Replace(fields["Host"]))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "Host" {
			fmt.Fprintf(&b, "%s: %s\r\n", clean.Replace(name), clean.Replace(fields[name]))
		}
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// clean keeps configured text from ending its line.
var clean = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")

// final reads response heads up to the first that is not interim (RFC 9110, 15.2).
func final(reader *bufio.Reader, method string) (*http.Response, error) {
	asked := &http.Request{Method: method}
	for {
		response, err := http.ReadResponse(reader, asked)
		switch {
		case err == nil:
			if response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
				return response, nil
			}
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errors.New("closed before its head was complete")
		case errors.As(err, new(*net.OpError)):
			return nil, cause(err)
		default: // net/http cites what came, which does not belong into a log
			return nil, errors.New("not an HTTP/1.1 response")
		}
	}
}
