package proxy

import (
	"net/http"
	"testing"
	"time"

	"longmen/gateway/upstream/origintest"
)

// asked is a request that came to one of a row of endpoints, which the test answers.
type asked struct {
	*peer
	at     int // the endpoint's number
	method string
	body   string
	head   http.Header
	gone   chan bool // closed when the connection has ended
	next   chan bool // the test is done with it
}

// row is endpoints of HTTP/1 whose requests the test answers.
type row struct {
	testing.TB
	origins []*origintest.Origin
	calls   chan *asked
}

func newRow(t testing.TB, n int) *row {
	r := &row{TB: t, calls: make(chan *asked, 100)}
	for at := range n {
		r.origins = append(r.origins, newOrigin(t, func(p *peer, _ int) {
			for {
				request, body := p.ask()
				if request == nil {
					return
				}
				k := &asked{p, at, request.Method, body, request.Header, make(chan bool), make(chan bool)}
				r.calls <- k
				<-k.next
				if _, err := p.r.Peek(1); err != nil {
					close(k.gone)
					return
				}
			}
		}))
	}
	t.Cleanup(func() {
		for {
			select {
			case k := <-r.calls:
				close(k.next)
			default:
				return
			}
		}
	})
	return r
}

// take waits for the next request.
func (r *row) take() *asked {
	r.Helper()
	select {
	case k := <-r.calls:
		return k
	case <-time.After(patience):
		r.Fatal("no request came")
		return nil
	}
}

// none looks whether there was any other request.
func (r *row) none() {
	r.Helper()
	select {
	case k := <-r.calls:
		r.Errorf("endpoint %d was asked too: %s %q", k.at, k.method, k.body)
		close(k.next)
	default:
	}
}

// say answers, and the endpoint goes on.
func (k *asked) say(status int, body string) {
	k.send("HTTP/1.1 %d X\r\ncontent-length: %d\r\nx-at: %d\r\n\r\n%s", status, len(body), k.at, body)
	close(k.next)
}

// cancelled waits until the gateway has ended the connection.
func (k *asked) cancelled() {
	k.Helper()
	close(k.next)
	select {
	case <-k.gone:
	case <-time.After(patience):
		k.Error("the connection of a try that lost goes on")
	}
}
