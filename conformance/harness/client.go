package harness

import (
	"errors"
	"io"
	"net"
	"time"
)

// Patience bounds every wait for the proxy. Only a proxy that hangs, or a
// machine that stands still, meets it.
const Patience = 10 * time.Second

// A Client is one raw connection to the proxy.
type Client struct {
	*net.TCPConn
	R *Reader
}

// Dial connects to the proxy.
func Dial(addr string) (*Client, error) {
	c, err := net.DialTimeout("tcp", addr, Patience)
	if err != nil {
		return nil, err
	}
	tc := c.(*net.TCPConn)
	tc.SetDeadline(time.Now().Add(Patience))
	return &Client{tc, NewReader(tc)}, nil
}

// Reset ends the connection with RST.
func (c *Client) Reset() {
	c.SetLinger(0)
	c.Close()
}

// Response reads one final response and the 1xx ones before it. With an error,
// what was read so far is returned too; it is nil if not even a head was read.
func (c *Client) Response(method string) (*Response, error) {
	var informational []int
	for {
		head, framing, err := c.R.ResponseHead(method)
		if err != nil {
			return nil, err
		}
		if head.Status/100 == 1 && head.Status != 101 {
			informational = append(informational, head.Status)
			continue
		}
		res := &Response{Head: *head, Informational: informational, Framing: framing}
		if head.Status == 101 {
			return res, nil
		}
		var kept limited
		res.BodySize, res.Trailers, err = c.R.Body(framing, &kept)
		res.Body = kept.b.Bytes()
		return res, err
	}
}

// Do sends raw bytes on a new connection and reads one response.
func Do(addr, raw string) (*Response, error) {
	c, err := Dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := io.WriteString(c, raw); err != nil {
		return nil, err
	}
	method := "GET"
	if i := len(raw); i > 5 && raw[:5] == "HEAD " {
		method = "HEAD"
	}
	return c.Response(method)
}

// Closed waits for the proxy to end the connection and says whether it did,
// dropping whatever it still sends.
func (c *Client) Closed() bool {
	_, err := io.Copy(io.Discard, c.R.br)
	return !IsTimeout(err)
}

// IsTimeout says that a wait ended by its deadline.
func IsTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// WaitAtMost moves the deadline of the connection.
func (c *Client) WaitAtMost(d time.Duration) { c.SetDeadline(time.Now().Add(d)) }
