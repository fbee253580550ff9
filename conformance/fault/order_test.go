package fault

import (
	"fmt"
	"io"
	"strings"
	"time"

	"longmen/conformance/harness"
)

// early answers before the request's body has ended.
func early() *group {
	g := &group{name: "early"}
	head := func(n int) string {
		return fmt.Sprintf("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", n)
	}
	const big = 4 << 20
	answer := "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n"
	// The client sends all of a body while the origin has long answered.
	for _, v := range []struct {
		name, fields string
		end          func(*harness.Exchange)
	}{
		{"close", "Connection: close\r\n", func(x *harness.Exchange) { x.CloseWrite(); x.Hold() }},
		{"keep", "", func(x *harness.Exchange) { x.ReadBody() }},
	} {
		g.add(trial{
			name: "refusal-" + v.name, request: head(big) + strings.Repeat("b", big),
			outcomes: complete | refused, statuses: []int{413}, once: true, flags: []string{"", "UC", "DC"},
			script: func(x *harness.Exchange) { x.Write([]byte(answer + v.fields + "\r\nno\n")); v.end(x) },
		})
	}
	// The client waits for the answer with its body half sent, then sends the rest.
	g.add(trial{
		name: "interleaved", request: head(10) + "01234", flags: []string{""}, once: true,
		script: func(x *harness.Exchange) {
			x.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcde"))
			if x.ReadBody() == nil {
				x.Write([]byte("fghij"))
			}
		},
		client: func(c *rawClient) {
			io.WriteString(c, c.request)
			// Only when the response has begun does the request go on.
			if _, _, err := c.R.ResponseHead("POST"); err != nil {
				return
			}
			io.WriteString(c, "56789")
			io.CopyN(io.Discard, c.R.Buf(), 10)
		},
		check: func(rec harness.Record) string {
			for _, r := range rec.Requests {
				if r.Target == "/early/interleaved" && string(r.Body) == "0123456789" {
					return ""
				}
			}
			return "the response did not start before the request's body ended"
		},
	})
	// The origin goes away while the body comes.
	for _, end := range []string{"fin", "reset"} {
		g.add(trial{
			name: "gone-" + end, request: head(big) + strings.Repeat("b", big), outcomes: refused, statuses: []int{502}, once: true,
			flags: []string{"UC", "UR"},
			script: func(x *harness.Exchange) {
				if end == "fin" {
					x.Close()
				} else {
					x.Reset()
				}
			},
		})
	}
	return g
}

// pooled breaks connections that the proxy has kept for another request.
func pooled() *group {
	g := &group{name: "pooled"}
	two := func(c *rawClient) string {
		io.WriteString(c, c.request)
		if res, err := c.Response("GET"); err != nil || res.Status != 200 {
			return fmt.Sprintf("the first request: %v", err)
		}
		return ""
	}
	ended := make(chan bool, 1)
	var fault string
	// The origin closes an idle connection; when the proxy has noticed, the next
	// request must not fail.
	g.add(trial{
		name: "closed-when-idle", flags: []string{""},
		script: func(x *harness.Exchange) {
			harness.Echo(x)
			x.CloseWrite()
			x.Hold() // returns when the proxy has closed its side
			ended <- true
		},
		client: func(c *rawClient) {
			for range every(50, 10) {
				if fault = two(c); fault != "" {
					return
				}
				select {
				case <-ended:
				case <-time.After(harness.Patience):
					fault = "the proxy keeps a connection that the origin has ended"
					return
				}
			}
		},
		check: func(harness.Record) string { return fault },
	})
	var surplus string
	// Bytes behind a response belong to nobody: the connection must not be used again.
	g.add(trial{
		name: "surplus", flags: []string{"", "UPE"},
		script: func(x *harness.Exchange) {
			x.ReadBody()
			x.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmineHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nyours"))
		},
		client: func(c *rawClient) {
			for range 5 {
				io.WriteString(c, c.request)
				if res, err := c.Response("GET"); err != nil || string(res.Body) != "mine" {
					surplus = fmt.Sprintf("received %v, %v", res, err)
					return
				}
			}
		},
		check: func(harness.Record) string { return surplus },
	})
	late := make(chan bool, 1)
	var spoken string
	// An origin that speaks when it was not asked has nothing to say to the next client.
	g.add(trial{
		name: "speaks-when-idle", flags: []string{""},
		script: func(x *harness.Exchange) {
			harness.Echo(x)
			x.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nyours"))
			x.Hold()
			late <- true
		},
		client: func(c *rawClient) {
			for range 3 {
				io.WriteString(c, c.request)
				res, err := c.Response("GET")
				if err != nil || !strings.HasPrefix(string(res.Body), "origin GET /pooled/speaks") {
					spoken = fmt.Sprintf("received %v, %v", res, err)
					return
				}
				select {
				case <-late:
				case <-time.After(harness.Patience):
					spoken = "the proxy keeps a connection on which an unasked response came"
					return
				}
			}
		},
		check: func(harness.Record) string { return spoken },
	})
	// A POST on a kept connection that ends without an answer is not repeated.
	for _, n := range []int{0, 10} {
		g.add(trial{
			name: fmt.Sprintf("post-%d", n), request: fmt.Sprintf("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("b", n)),
			outcomes: refused, statuses: []int{502}, flags: []string{"UC", "UR"}, once: true,
			script: func(x *harness.Exchange) { x.ReadBody(); x.Close() },
		})
	}
	return g
}
