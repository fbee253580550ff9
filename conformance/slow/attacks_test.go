package slow

import (
	"fmt"
	"io"
	"strings"
	"time"

	"longmen/conformance/harness"
)

// An attack is one way to hold a connection for little effort.
type attack struct {
	name string
	run  func(c *attacker) string // what is wrong with how it ended, or ""
	// answer is the status that ends it; 0 for an end without one, where
	// either the client has asked for nothing, or the response is under way.
	answer int
	logged bool // a request was begun, and the access log has to tell of it
}

// An attacker is one connection of one attack.
type attacker struct {
	*harness.Client
	path string // of its own
	cut  chan bool
}

const (
	// pause is between two pieces of what an attacker sends or takes: it makes
	// a rate far below the minimum, and none of the timeouts between pieces.
	pause = 100 * time.Millisecond
	// limit is how long an attacker goes on if the gateway lets it.
	limit = 15 * time.Second
	// large is a response that no kernel buffers whole.
	large = 64 << 20
)

func attacks() []attack {
	head := func(c *attacker) string { return "POST " + c.path + " HTTP/1.1\r\nHost: h\r\n" }
	return []attack{
		{name: "head-by-bytes", answer: 408, run: func(c *attacker) string {
			return c.drip(bytesOf(head(c) + strings.Repeat("X: y\r\n", 1000)))
		}},
		{name: "head-by-fields", answer: 408, run: func(c *attacker) string {
			io.WriteString(c, head(c))
			return c.drip(repeat("X: y\r\n"))
		}},
		{name: "head-stalls", answer: 408, run: func(c *attacker) string {
			io.WriteString(c, head(c)+"X: y")
			return c.end()
		}},
		{name: "body-by-bytes", answer: 408, logged: true, run: func(c *attacker) string {
			io.WriteString(c, head(c)+"Content-Length: 1000000\r\n\r\n")
			return c.drip(repeat("b"))
		}},
		{name: "body-by-chunks", answer: 408, logged: true, run: func(c *attacker) string {
			io.WriteString(c, head(c)+"Transfer-Encoding: chunked\r\n\r\n")
			return c.drip(repeat("1\r\nb\r\n"))
		}},
		{name: "body-in-a-chunk-extension", answer: 408, logged: true, run: func(c *attacker) string {
			io.WriteString(c, head(c)+"Transfer-Encoding: chunked\r\n\r\n1;")
			return c.drip(repeat("x"))
		}},
		{name: "body-stalls", answer: 408, logged: true, run: func(c *attacker) string {
			io.WriteString(c, head(c)+"Content-Length: 1000000\r\n\r\nbbbb")
			return c.end()
		}},
		{name: "body-never-comes", answer: 408, logged: true, run: func(c *attacker) string {
			io.WriteString(c, head(c)+"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")
			return c.end()
		}},
		{name: "second-head-stalls", answer: 408, run: func(c *attacker) string {
			io.WriteString(c, "GET /first HTTP/1.1\r\nHost: h\r\n\r\n"+head(c))
			if res, err := c.Response("GET"); err != nil || res.Status != 200 {
				return fmt.Sprintf("the first request failed: %v", err)
			}
			return c.end()
		}},
		{name: "no-byte", run: func(c *attacker) string { return c.end() }},
		{name: "idle-after-a-request", run: func(c *attacker) string {
			io.WriteString(c, "GET /first HTTP/1.1\r\nHost: h\r\n\r\n")
			if res, err := c.Response("GET"); err != nil || res.Status != 200 {
				return fmt.Sprintf("the first request failed: %v", err)
			}
			return c.end()
		}},
		{name: "only-line-ends", run: func(c *attacker) string { return c.drip(repeat("\r\n")) }},
		{name: "reads-by-bytes", logged: true, run: func(c *attacker) string { return c.take(true) }},
		{name: "reads-nothing", logged: true, run: func(c *attacker) string { return c.take(false) }},
		{name: "reads-no-answers", run: func(c *attacker) string { return c.pile() }},
	}
}

// pieces gives what is sent next, for ever or to an end.
type pieces func() (string, bool)

func repeat(s string) pieces { return func() (string, bool) { return s, true } }

func bytesOf(s string) pieces {
	return func() (string, bool) {
		if s == "" {
			return "", false
		}
		b := s[:1]
		s = s[1:]
		return b, true
	}
}

// ended is what the client has seen when the gateway gave up on it.
type ended struct {
	res *harness.Response
	err error
}

// drip sends pieces slowly until the gateway ends the connection.
func (c *attacker) drip(next pieces) string {
	over := make(chan ended, 1)
	go func() {
		res, err := c.Response("POST")
		over <- ended{res, err}
	}()
	for {
		select {
		case e := <-over:
			return c.outcome(e)
		case <-time.After(pause):
		}
		if s, more := next(); more {
			// The gateway may have closed: then the other side of this tells.
			io.WriteString(c, s)
		}
	}
}

// end sends no more and waits for the gateway.
func (c *attacker) end() string {
	res, err := c.Response("POST")
	return c.outcome(ended{res, err})
}

func (c *attacker) outcome(e ended) string {
	switch {
	case harness.IsTimeout(e.err):
		return "still there after " + limit.String()
	case e.res == nil:
		return "" // closed without an answer
	}
	if e.err == nil && c.Closed() {
		return fmt.Sprint("status ", e.res.Status)
	}
	return fmt.Sprintf("status %d, and the connection stays open", e.res.Status)
}

// take asks for a large response and reads it slowly, or not at all, until the
// gateway has given up, which the origin sees.
func (c *attacker) take(some bool) string {
	c.SetReadBuffer(4096)
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", c.path)
	stop := time.After(limit)
	one := make([]byte, 1)
	for {
		select {
		case <-c.cut:
			return ""
		case <-stop:
			return "still served after " + limit.String()
		case <-time.After(pause):
			if some {
				c.Read(one)
			}
		}
	}
}

// pile sends request after request and reads no answer: at some point the
// gateway has to stop reading, and then to give up.
func (c *attacker) pile() string {
	c.SetReadBuffer(4096)
	request := []byte(strings.Repeat("GET /page HTTP/1.1\r\nHost: h\r\n\r\n", 100))
	sent := 0
	for {
		n, err := c.Write(request)
		sent += n
		if harness.IsTimeout(err) {
			return "still there after " + limit.String()
		}
		if err != nil {
			return ""
		}
		if sent > 256<<20 {
			return fmt.Sprintf("%d bytes of requests were taken from a client that reads nothing", sent)
		}
	}
}
