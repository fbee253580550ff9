package fault

import (
	"fmt"
	"io"
	"strings"
	"time"

	"longmen/conformance/harness"
)

// clients breaks off requests after every byte, and responses under way.
func clients() *group {
	g := &group{name: "client"}
	for _, shape := range []struct{ name, head, body string }{
		{"length", "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n", "01234567890123456789"},
		{"chunked", "POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nX-T: t\r\n\r\n"},
	} {
		for _, end := range []string{"fin", "reset"} {
			g.cutRequests(shape.name+"-"+end, shape.head, shape.body, end == "reset")
		}
	}
	g.abandoned()
	return g
}

func (g *group) cutRequests(name, head, body string, reset bool) {
	// Every case's path has the same length, and so has every request.
	size := len(g.fill(name, 0, head+body))
	border := len(g.fill(name, 0, head))
	for k := 0; k < size; k++ {
		if k%every(1, 9) != 0 && k != border && k != size-1 {
			continue
		}
		part := g.fill(name, k, head+body)[:k]
		tr := trial{name: fmt.Sprintf("%s-%03d", name, k), side: "downstream"}
		if k >= border && !reset {
			// A reset may come before the head was read: then there is no request.
			tr.flags, tr.phases = []string{"DC", "DPE"}, []string{"request-body", "response-head"}
		}
		path := "/" + g.name + "/" + tr.name
		tr.client = func(c *rawClient) {
			io.WriteString(c, part)
			if reset {
				c.Reset()
				return
			}
			c.CloseWrite()
			c.Closed()
		}
		tr.check = func(rec harness.Record) string {
			for _, r := range rec.Requests {
				if r.Target == path && r.Complete {
					return "a request that was cut off reached the origin as if it were whole"
				}
			}
			if len(rec.Violations) > 0 {
				return "the origin: " + rec.Violations[0]
			}
			return ""
		}
		g.add(tr)
	}
}

// fill puts the path of the kth case into a request.
func (g *group) fill(name string, k int, request string) string {
	return strings.ReplaceAll(request, "{path}", fmt.Sprintf("/%s/%s-%03d", g.name, name, k))
}

// abandoned are clients that go while a response is due or under way: the
// origin must see it end.
func (g *group) abandoned() {
	const large = 256 << 20 // more than sockets hold, whose receive buffers may grow to tens of MB
	for _, v := range []struct {
		name   string
		read   int  // bytes of the response that the client takes
		answer bool // the origin answers at all
	}{
		{"waiting", 0, false},
		{"at-head", 1, true},
		{"in-body", 100_000, true},
	} {
		asked, over := make(chan bool, 1), make(chan bool, 1)
		var fault string
		g.add(trial{
			name: "abandons-" + v.name, side: "downstream", flags: []string{"DC"}, phases: []string{"response-head", "response-body"},
			script: func(x *harness.Exchange) {
				x.ReadBody()
				asked <- true
				if v.answer {
					fmt.Fprintf(x.Conn(), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", large)
					// It ends by an error when the proxy has gone.
					io.Copy(x.Conn(), io.LimitReader(zeros{}, large))
				}
				x.Hold()
				over <- true
			},
			client: func(c *rawClient) {
				io.WriteString(c, c.request)
				<-asked
				if _, err := io.CopyN(io.Discard, c, int64(v.read)); err != nil {
					fault = err.Error()
				}
				c.Reset()
				select {
				case <-over:
				case <-time.After(harness.Patience):
					fault = "the origin is left waiting for a client that has gone"
				}
			},
			check: func(harness.Record) string { return fault },
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
