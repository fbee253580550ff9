package health

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const maxHead = 64 << 10 // bytes of a response head, interim responses included

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

// client1 is the client's side of a connection of HTTP/1.
type client1 struct {
	conn    net.Conn
	limited io.LimitedReader // of head and body together; net/http has no limit for a head
	reader  *bufio.Reader
	whole   bool // the last response was read as a whole, and another one may come
}

func newClient1(conn net.Conn) *client1 {
	k := &client1{conn: conn, limited: io.LimitedReader{R: conn}}
	k.reader = bufio.NewReaderSize(&k.limited, 1024)
	return k
}

// ask makes a check. keep tells that another one is to follow.
func (k *client1) ask(c *HTTP, host string, keep bool) error {
	k.whole = false
	if _, err := k.conn.Write(request(c, host, keep)); err != nil {
		return &networkError{error: fmt.Errorf("send: %w", cause(err))}
	}
	k.limited.N = maxHead
	response, err := final(k.reader, cmp.Or(c.Method, http.MethodGet))
	if err != nil {
		if k.limited.N <= 0 {
			return fmt.Errorf("the response head is larger than %d bytes", maxHead)
		}
		return &networkError{error: fmt.Errorf("response: %w", err)}
	}
	k.limited.N = 2 * maxSearch // chunked coding adds bytes; the text itself is limited by search
	if err = c.judge(response.StatusCode); err == nil && len(c.Expect) > 0 {
		found, failure := search(response.Body, c.Expect)
		switch {
		case failure != nil && k.limited.N > 0:
			err = &networkError{error: fmt.Errorf("response body: %w", cause(failure))}
		case !found:
			err = errors.New("the body lacks the expected text")
		}
	}
	if keep && !response.Close && response.StatusCode != http.StatusSwitchingProtocols {
		_, failure := io.Copy(io.Discard, response.Body)
		k.whole = failure == nil && k.reader.Buffered() == 0
	}
	return err
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
func request(c *HTTP, host string, keep bool) []byte {
	fields := map[string]string{
		"Host":       host,
		"User-Agent": "longmen-health-check",
		"Accept":     "*/*",
	}
	if !keep {
		fields["Connection"] = "close"
	}
	if len(c.Body) > 0 {
		fields["Content-Length"] = strconv.Itoa(len(c.Body))
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
	b.Write(c.Body)
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
